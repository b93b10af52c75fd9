"""What a file holds that holds no model: looked into, so that whoever saved it is told what to save instead."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Tuple

_SHOWN = 12
_DEPTH = 2
_SAVE_ESTIMATOR = (
    "save the fitted estimator itself: a LightGBM, XGBoost, CatBoost or scikit-learn model or pipeline"
)


def describe(found: Any) -> str:
    """One sentence: a container's keys and what is under each, or the class of anything else."""
    parts = _parts(found)
    if parts is None and is_unfitted(found):
        return f"the file holds a {_class_of(found)} that was never fitted"
    if parts is None:
        return f"the file holds a {_class_of(found)}, which has no predict method"
    kind = "dictionary" if isinstance(found, dict) else type(found).__name__
    return f"the file holds a {kind} ({_listed(parts, _DEPTH)}), not a model"


def remedy(found: Any) -> str:
    """What to save instead, in terms of what is there."""
    parts = _parts(found)
    if parts is None and is_unfitted(found):
        return (
            "call fit before saving it, and save what was fitted: not its clone, nor what a search was given"
        )
    if parts is None:
        return _transformer_remedy(found) if hasattr(found, "transform") else _SAVE_ESTIMATOR
    models = [(name, part) for name, part in parts if callable(getattr(part, "predict", None))]
    before = [
        (name, part)
        for name, part in parts
        if callable(getattr(part, "transform", None)) and not callable(getattr(part, "predict", None))
    ]
    if not models:
        return _SAVE_ESTIMATOR
    if len(models) > 1:
        return f"save each model in a file of its own: {', '.join(name for name, _ in models[:_SHOWN])}"
    (name, model) = models[0]
    if not before:
        return f"save {name} alone, the {type(model).__name__}, and keep the rest in another file"
    steps = ", ".join(step for step, _ in [*before, (name, model)])
    return (
        f"save one pipeline: sklearn.pipeline.make_pipeline({steps}), in the order in which they are applied; "
        "then what prepares the features is judged and shipped with the model"
    )


def is_unfitted(found: Any) -> bool:
    """Whether an estimator says that `fit` was never called, or one of scikit-learn's has learned nothing."""
    says = getattr(found, "__sklearn_is_fitted__", None)
    if callable(says) and not isinstance(found, type):
        return not says()
    if type(found).__module__.split(".")[0] != "sklearn" or hasattr(found, "steps"):
        return False
    return not any(name.endswith("_") and not name.startswith("__") for name in vars(found))


def _transformer_remedy(found: Any) -> str:
    name = type(found).__name__
    return f"a {name} prepares features: save the pipeline that ends in the model, with the {name} as a step"


def _parts(found: Any) -> Optional[List[Tuple[str, Any]]]:
    """Expressions that reach the parts of a container from `saved`, and the parts; None for anything else."""
    if isinstance(found, dict):
        return [(f"saved[{str(key)[:40]!r}]", value) for key, value in list(found.items())]
    if isinstance(found, (list, tuple)):
        return [(f"saved[{i}]", value) for i, value in enumerate(found)]
    return None


def _listed(parts: Iterable[Tuple[str, Any]], depth: int) -> str:
    shown = list(parts)
    texts = [f"{name[len('saved') :][1:-1]}: {_summary(part, depth - 1)}" for name, part in shown[:_SHOWN]]
    return ", ".join(texts) + (f" and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else "")


def _summary(part: Any, depth: int) -> str:
    """A part's type, and of an estimator what it takes; short values and inner containers are shown."""
    inner = _parts(part)
    if inner is not None:
        plain = all(isinstance(value, (str, int, float, bool)) for _, value in inner)
        if depth and not plain and inner:
            return f"{type(part).__name__} of ({_listed(inner, depth)})"
        return f"{type(part).__name__} of {len(inner)}"
    if isinstance(part, (str, int, float, bool)) or part is None:
        return repr(part)[:40]
    shape = getattr(part, "shape", None)
    if isinstance(shape, tuple):
        return f"{type(part).__name__} {list(shape)}"
    width = getattr(part, "n_features_in_", None)
    return type(part).__name__ + (f" of {width} features" if isinstance(width, int) else "")


def _class_of(found: Any) -> str:
    return f"{type(found).__module__}.{type(found).__name__}"
