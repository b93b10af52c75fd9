"""Which of the columns that a scikit-learn model was trained on it looks at, and which it reads as free text.

Python 3.9 with the model's library.
"""

from __future__ import annotations

from typing import Any, List, Tuple


def first_step(model: Any) -> Any:
    """What a model hands its inputs to first: itself where it is no pipeline."""
    steps = getattr(model, "steps", None)
    if steps:
        return first_step(steps[0][1])
    best = getattr(model, "best_estimator_", None)
    return model if best is None else first_step(best)


def unused(model: Any) -> List[str]:
    """The columns, by name, that the model's first step drops: rows may come without them.

    Only of a ColumnTransformer that was trained on a DataFrame, and of a release that does not ask for them.
    """
    first = first_step(model)
    names = getattr(first, "feature_names_in_", None)
    if names is None or not hasattr(first, "_transformer_to_input_indices"):
        return []
    places = first._transformer_to_input_indices
    used = {
        place for title, step, _ in _branches(first) if not _is_drop(step) for place in places.get(title, ())
    }
    return [str(name) for place, name in enumerate(names) if place not in used]


def free_texts(model: Any) -> List[str]:
    """The columns, by name, that the model's first step hands to a vectoriser: any text fits them."""
    first = first_step(model)
    names = getattr(first, "feature_names_in_", None)
    places = getattr(first, "_transformer_to_input_indices", {})
    if names is None:
        return []
    read = [
        str(names[place])
        for title, step, _ in _branches(first)
        if any(hasattr(part, "build_analyzer") for part in _chain(step))
        for place in places.get(title, ())
    ]
    return list(dict.fromkeys(read))


def _branches(step: Any) -> List[Tuple[str, Any, Any]]:
    return list(getattr(step, "transformers_", None) or [])


def _is_drop(step: Any) -> bool:
    return isinstance(step, str) and step == "drop"


def _chain(step: Any) -> List[Any]:
    """A branch's steps, one after the other."""
    if not hasattr(step, "steps"):
        return [step]
    return [inner for _, part in step.steps for inner in _chain(part)]
