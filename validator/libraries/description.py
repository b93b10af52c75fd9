"""What a model's answers do not show: categories, its parts, and the numbers at which they change their answer."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from validator.libraries import columns_used
from validator.libraries.known import live_of
from validator.libraries.plain import Header, plain
from validator.libraries.training import trained_on

MAX_BREAKPOINTS = 1000
"""Values listed for one feature of one step; beyond that the first and last of the sorted ones are."""


def describe(model: Any) -> Header:
    """Outputs, categories, training's columns and breakpoints of a fitted model or pipeline, as plain values.

    `breakpoints` are lists of {step, class, what, column, values}: bin edges, categories, imputer statistics; a part
    of a part has a name joined by "__", and `column` counts what the step itself is given.
    """
    last = final_step(model)
    return {
        "n_outputs": _outputs(last),
        "sums_to_one": live_of(last).sums_to_one(last),
        "single": any(live_of(part).single for part in inside(model)),
        **live_of(model).categories(model),
        "trained_on": _of_used(model, trained_on(model)),
        "importance": importance(model),
        "breakpoints": [point for name, step in walk(model) for point in breakpoints(name, step)],
    }


def _of_used(model: Any, columns: List[Header]) -> List[Header]:
    """The same of the columns that the model looks at alone, numbered without those that it drops."""
    unused = set(columns_used.unused(model))
    names = getattr(columns_used.first_step(model), "feature_names_in_", None) if unused else None
    if names is None:
        return columns
    kept = [place for place, name in enumerate(names) if str(name) not in unused]
    number = {place: index for index, place in enumerate(kept)}
    return [{**one, "column": number[one["column"]]} for one in columns if one["column"] in number]


def importance(model: Any) -> Optional[Header]:
    """What the model tells of each feature's use: {kind, values}; None where it tells nothing.

    It decides nothing, so whatever a library raises here, the model is judged all the same.
    """
    import numpy as np

    try:
        kind, values = live_of(model).importance(model) or ("", ())
        numbers = np.asarray(values, dtype=np.float64).reshape(-1)
    except Exception:
        return None
    if not len(numbers):
        return None
    return {"kind": kind, "values": np.nan_to_num(numbers, nan=0.0, posinf=0.0, neginf=0.0).tolist()}


def final_step(model: Any) -> Any:
    """The estimator that answers: a pipeline's last step, found through nested pipelines."""
    while getattr(model, "steps", None):
        model = model.steps[-1][1]
    return model


def walk(model: Any, name: str = "", depth: int = 0) -> List[Tuple[str, Any]]:
    """The model and its parts with their names, steps and branches before what is inside them; 8 levels at most."""
    found: List[Tuple[str, Any]] = [(name, model)]
    if depth == 8:
        return found
    parts = list(getattr(model, "steps", None) or getattr(model, "transformer_list", None) or [])
    parts += [(part[0], part[1]) for part in getattr(model, "transformers_", None) or []]
    inner = [(key, getattr(model, key, None)) for key in ("estimator_", "base_estimator_", "regressor_")]
    for part, step in parts + [pair for pair in inner if hasattr(pair[1], "predict")]:
        if step is not None and not isinstance(step, str):
            found += walk(step, f"{name}__{part}" if name else str(part), depth + 1)
    return found


def inside(model: Any, depth: int = 0) -> List[Any]:
    """The model and every estimator that it holds, in lists, tuples and dictionaries too; 8 levels at most."""
    found, held = [model], list(getattr(model, "__dict__", {}).values())
    while held and depth < 8:
        value = held.pop()
        if isinstance(value, (list, tuple)):
            held += value
        elif isinstance(value, dict):
            held += value.values()
        elif hasattr(value, "get_params") and not isinstance(value, type):
            found += inside(value, depth + 1)
    return found


def _outputs(model: Any) -> int:
    for name in ("n_outputs_", "n_outputs"):
        found = getattr(model, name, None)
        if isinstance(found, int):
            return found
    return 1


def breakpoints(name: str, step: Any) -> List[Header]:
    """Where a step's answer changes abruptly. Nothing for steps that have no such place."""
    found: List[Header] = []
    for what, attribute in (
        ("bin_edges", "bin_edges_"),
        ("categories", "categories_"),
        ("quantiles", "quantiles_"),
        ("knots", "bsplines_"),
        ("statistics", "statistics_"),
        ("threshold", "threshold"),
    ):
        value = step.__dict__.get(attribute) if hasattr(step, "__dict__") else None
        if value is None or (what == "knots" and not isinstance(value, list)):
            continue
        for column, values in enumerate(_per_column(what, value)):
            entry = {"step": name, "class": type(step).__name__, "what": what, "column": column}
            found.append({**entry, "values": _bounded(values)})
    return found


def _per_column(what: str, value: Any) -> List[Any]:
    import numpy as np

    if what == "knots":
        return [spline.t for spline in value]
    if what == "quantiles":
        return list(np.asarray(value).T)
    if what == "threshold":
        return [[value]] if isinstance(value, (int, float)) else []
    if what == "statistics":
        return [[item] for item in value]
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else []


def _bounded(values: Any) -> List[Any]:
    listed = plain(list(values))
    if len(listed) <= MAX_BREAKPOINTS:
        return list(listed)
    return list(listed[: MAX_BREAKPOINTS // 2]) + list(listed[-MAX_BREAKPOINTS // 2 :])
