"""From what `validator.libraries.export.export` said of a live model to the canonical TreeEnsemble."""

from __future__ import annotations

from typing import Any

from validator.libraries import header as told
from validator.trees.ensemble import TreeEnsemble


def read(header: told.Header, arrays: told.Arrays) -> TreeEnsemble | None:
    """The valid ensemble behind an export; None where its kind is "other", which no reader claims.

    Raises ConversionError, with a hint, for a model that no TreeEnsemble expresses exactly or one that is damaged.
    """
    ensemble = _read(header, arrays)
    if ensemble is not None:
        ensemble.validate()
    return ensemble


def _read(header: told.Header, arrays: told.Arrays) -> TreeEnsemble | None:
    kind = header.get("kind")
    if kind == "sklearn-trees":
        from validator.libraries.sklearn.trees import read_sklearn

        return read_sklearn(header, arrays)
    if kind == "lightgbm-text":
        return _read_lightgbm(header, arrays)
    if kind == "xgboost-ubj":
        from validator.libraries.xgboost.trees import read_xgboost

        return read_xgboost(model_bytes(arrays, "XGBoost"), header)
    if kind == "catboost-json":
        from validator.libraries.catboost.trees import read_catboost

        return read_catboost(model_bytes(arrays, "CatBoost"), header)
    return None


def _read_lightgbm(header: told.Header, arrays: told.Arrays) -> TreeEnsemble:
    from validator.libraries.lightgbm import trees as lightgbm

    classes: Any = told.labels(header, "LightGBM") if header.get("classes") is not None else None
    iterations, n_features = header.get("num_iteration"), told.count(header, "n_features", "LightGBM")
    named = told.names(header, n_features, "LightGBM") or None
    # Without a sample no column is known to hold categories: then the text itself has to tell.
    categorical: Any = header.get("category_columns") or None
    return lightgbm.read(
        model_bytes(arrays, "LightGBM"),
        class_labels=classes,
        feature_names=named if categorical else None,
        categorical_columns=categorical,
        start_iteration=int(told.number(header, "start_iteration", 0, "LightGBM")),
        num_iteration=iterations if type(iterations) is int and iterations > 0 else None,
    )


def model_bytes(arrays: told.Arrays, library: str) -> bytes:
    """The model file that travels as the uint8 array "model"."""
    found = told.array(arrays, "model", "uint8", (-1,), library)
    return found.tobytes()
