"""What a live model is, and the numbers at which its steps change their answer, as plain values."""

from __future__ import annotations

from typing import Any, List, Optional, Tuple

from validator.libraries.live_categories import categories_of
from validator.libraries.live_plain import (
    Header,
    NotExpressible,
    class_labels,
    class_name,
    feature_names,
    library_of,
    library_version,
    plain,
)

MAX_KNEES = 1000
"""Values listed for one feature of one step; beyond that the first and last of the sorted ones are."""


def describe(model: Any) -> Header:
    """Framework, versions, task, features, steps and breakpoints of a fitted model or pipeline.

    `steps` are the pipeline's parts in order, parts of parts below them with names joined by "__". `breakpoints` are
    lists of {step, class, what, column, values}: bin edges, categories, imputer statistics; `column` counts what the
    step itself is given.
    """
    library = library_of(model)
    last = final_step(model)
    steps = list(walk(model))
    try:
        classes, several = class_labels(last), False
    except NotExpressible:
        classes, several = None, isinstance(getattr(last, "classes_", None), list)
    return {
        "framework": library_of(last),
        "framework_version": library_version(library_of(last)),
        "library": library,
        "class": class_name(model),
        "final_class": class_name(last),
        "task": task_of(model),
        "classes": classes,
        "multilabel": several,
        "n_features": n_features(model),
        "feature_names": names_of(model),
        "takes_names": names_of(model) is not None,
        "n_outputs": _outputs(last),
        "sums_to_one": _sums_to_one(last),
        **categories_of(model),
        "steps": [{"name": name, "class": class_name(step)} for name, step in steps],
        "libraries": _libraries(steps),
        "breakpoints": [point for name, step in steps for point in breakpoints(name, step)],
    }


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


def task_of(model: Any) -> str:
    """binary, multiclass, multilabel, regression, ranking, outlier, or transform for what cannot predict."""
    last = final_step(model)
    if not hasattr(last, "predict"):
        return "transform"
    if "Ranker" in type(last).__name__:
        return "ranking"
    if hasattr(last, "fit_predict") and hasattr(last, "offset_"):
        return "outlier"
    classes = getattr(last, "classes_", None)
    if classes is None or not len(classes):
        return "regression"
    if isinstance(classes, list) and not isinstance(classes[0], (str, int, float)):
        return "multilabel"
    return "binary" if len(classes) == 2 else "multiclass"


def n_features(model: Any) -> Optional[int]:
    for candidate in (model, getattr(model, "steps", [(None, None)])[0][1]):
        try:
            found = getattr(candidate, "n_features_in_", None)
        except Exception:  # noqa: S112 - properties of foreign estimators may raise anything: then it is unknown
            continue
        if found is not None:
            return int(found)
    if library_of(model) == "lightgbm":
        return int(model.num_feature())
    return int(model.num_features()) if library_of(model) == "xgboost" else None


def names_of(model: Any) -> Optional[List[str]]:
    """Column names from training: of the model, its first step, or its booster."""
    for candidate in (model, getattr(model, "steps", [(None, None)])[0][1]):
        found = feature_names(candidate)
        if found is not None:
            return found
    names = getattr(model, "feature_names", None)
    if type(model).__name__ == "Booster" and isinstance(names, (list, tuple)):
        return [str(name) for name in names]
    return None


def _outputs(model: Any) -> int:
    for name in ("n_outputs_", "n_outputs"):
        found = getattr(model, name, None)
        if isinstance(found, int):
            return found
    return 1


def _sums_to_one(model: Any) -> bool:
    """Whether a classifier's probabilities are one distribution; some train each class apart and leave it at that."""
    library = library_of(model)
    if library == "lightgbm":
        booster = getattr(model, "booster_", model)
        return "\nobjective=multiclassova" not in booster.model_to_string(num_iteration=1)
    if library == "catboost":
        return "MultiClassOneVsAll" not in str((model.get_all_params() or {}).get("loss_function"))
    return True


def _libraries(steps: List[Tuple[str, Any]]) -> Header:
    names = sorted({library_of(step) for _, step in steps} - {"builtins"})
    return {name: library_version(name) for name in names}


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
    if len(listed) <= MAX_KNEES:
        return list(listed)
    return list(listed[: MAX_KNEES // 2]) + list(listed[-MAX_KNEES // 2 :])
