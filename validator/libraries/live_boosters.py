"""LightGBM, XGBoost and CatBoost models as the text or bytes their own libraries write, with what those leave out.

What a wrapper knows and a booster's file does not: class labels, which iterations `predict` uses, what counts as
missing. The file's bytes travel as one uint8 array named "model".
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any, Callable, List, Optional

from validator.libraries.live_plain import Export, Header, NotExpressible, class_labels, feature_names, plain


def lightgbm(model: Any) -> Export:
    """Kind "lightgbm-text": the model text of the iterations that `predict` uses."""
    booster = getattr(model, "booster_", model)
    wrapped = booster is not model
    best = int(getattr(booster, "best_iteration", -1) or -1)
    text = _lightgbm_text(booster, best if best > 0 else -1)
    objective = getattr(model, "objective_", None) if wrapped else None
    header: Header = {
        "kind": "lightgbm-text",
        "wrapper": type(model).__name__,
        "task": _wrapper_task(model) if wrapped else None,
        "classes": class_labels(model) if wrapped else None,
        "custom_objective": callable(objective),
        "best_iteration": best if best > 0 else None,
        "start_iteration": 0,
        "num_iteration": -1,
        "n_features": int(booster.num_feature()),
        "feature_names": [str(name) for name in booster.feature_name()],
        "named": feature_names(model) is not None,
        "pandas_categorical": plain(getattr(booster, "pandas_categorical", None)),
    }
    return header, {"model": _bytes(text)}


def xgboost(model: Any) -> Export:
    """Kind "xgboost-ubj": UBJSON, or JSON from releases before 1.6, which knew no other way."""
    wrapped = hasattr(model, "get_booster")
    booster = model.get_booster() if wrapped else model
    header: Header = {
        "kind": "xgboost-ubj",
        "wrapper": type(model).__name__,
        "task": _wrapper_task(model) if wrapped else None,
        "classes": _xgboost_classes(model) if wrapped else None,
        "best_iteration": _best_iteration(booster) if wrapped else None,
        "missing": _missing(model) if wrapped else None,
        "inplace": bool(wrapped and _predicts_inplace(model)),
        "n_features": int(booster.num_features()),
        "feature_names": plain(booster.feature_names),
        "feature_types": plain(booster.feature_types),
    }
    try:
        data = bytes(booster.save_raw(raw_format="ubj"))
    except TypeError:
        data = _through_file("model.json", booster.save_model)
    return header, {"model": _bytes(data)}


def catboost(model: Any) -> Export:
    """Kind "catboost-json"."""
    names = model.feature_names_
    for kind, found in (("text", "get_text_feature_indices"), ("embedding", "get_embedding_feature_indices")):
        if getattr(model, found, list)():
            raise NotExpressible(
                f"the CatBoost model has {kind} features, which it turns into numbers of its own",
                f"turn the {kind} into numbers before training, in a step of its own",
            )
    header: Header = {
        "kind": "catboost-json",
        "wrapper": type(model).__name__,
        # A .cbm file loads as a plain CatBoost, which knows its classes all the same.
        "task": "classification" if len(model.classes_) else _wrapper_task(model),
        "classes": class_labels(model) if len(model.classes_) else None,
        "threshold": plain(_probability_threshold(model)),
        "prediction_type": _catboost_answer(model),
        "n_features": len(names),
        "feature_names": [str(name) for name in names],
        "loss": plain(_catboost_loss(model)),
    }
    data = _through_file("model.json", lambda path: model.save_model(path, format="json"))
    return header, {"model": _bytes(data)}


def _lightgbm_text(booster: Any, iterations: int) -> bytes:
    """By way of a file: `model_to_string` writes a large text twice, the first time only to learn its length."""
    try:
        return _through_file("model.txt", lambda path: booster.save_model(path, num_iteration=iterations))
    except OSError:
        # Where nothing may be written.
        return bytes(booster.model_to_string(num_iteration=iterations).encode("utf-8"))


def _wrapper_task(model: Any) -> str:
    if "Ranker" in type(model).__name__:
        return "ranking"
    classes = getattr(model, "classes_", None) if _is_classifier(model) else None
    return "regression" if classes is None or not len(classes) else "classification"


def _is_classifier(model: Any) -> bool:
    return getattr(model, "_estimator_type", None) == "classifier" or "Classifier" in type(model).__name__


def _xgboost_classes(model: Any) -> Optional[List[Any]]:
    return class_labels(model) if _is_classifier(model) else None


def _best_iteration(booster: Any) -> Optional[int]:
    """The iteration that early stopping chose; wrappers predict with those up to it, boosters with all."""
    found = booster.attributes().get("best_iteration")
    return None if found is None else int(found)


def _missing(model: Any) -> Any:
    """The number that stands for missing values, infinite ones as text; None for NaN."""
    found = getattr(model, "missing", None)
    return str(float(found)) if isinstance(found, float) and math.isinf(found) else plain(found)


def _predicts_inplace(model: Any) -> bool:
    can = getattr(model, "_can_use_inplace_predict", None)
    return bool(can()) if callable(can) else False


def _probability_threshold(model: Any) -> Any:
    found = getattr(model, "get_probability_threshold", None)
    return found() if callable(found) and len(model.classes_) == 2 else None


def _catboost_answer(model: Any) -> Optional[str]:
    """What a regressor's `predict` returns by default; None for wrappers that have no choice."""
    choose = getattr(model, "_get_default_prediction_type", None)
    return str(choose()) if callable(choose) else None


def _catboost_loss(model: Any) -> Any:
    return (model.get_all_params() or {}).get("loss_function")


def _through_file(name: str, save: Callable[[str], Any]) -> bytes:
    """For libraries that write to paths alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(str(path))
        return path.read_bytes()


def _bytes(data: bytes) -> Any:
    import numpy as np

    return np.frombuffer(data, dtype=np.uint8)
