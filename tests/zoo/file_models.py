"""The forms in which a model comes as a file, and what is no model."""

from __future__ import annotations

from typing import Any

from tests.zoo import catboost_models, lightgbm_models, sklearn_models, xgboost_models
from tests.zoo import data as sets
from tests.zoo.case import ALONE, MEASURED, PROVED, Case, Made, line, refused
from tests.zoo.saving import (
    as_cloudpickle,
    as_joblib,
    as_lightgbm_text,
    as_skops,
    as_stock_onnx,
    by_own_method,
    in_mlflow_folder,
    with_protocol,
)

_boosted = lightgbm_models.classifier(sets.cancer)
_forest = sklearn_models.fitted(
    "ensemble.RandomForestClassifier", sets.wine, n_estimators=8, max_depth=4, random_state=0
)
_linear = sklearn_models.pipeline(sets.wine, sklearn_models.SCALED, sklearn_models.LOGISTIC)
_catboost = catboost_models.model("Classifier", sets.wine)
_xgboost = xgboost_models.wrapper("Classifier", sets.wine)


def _held(wrap: Any) -> Any:
    def make() -> Made:
        made = _linear()
        scaler, model = made.model.steps[0][1], made.model.steps[1][1]
        return Made(model=wrap(scaler, model), data=made.data)

    return make


CASES: tuple[Case, ...] = (
    *(line(f"Pickle, protocol {i}", _forest, PROVED, with_protocol(i)) for i in range(6)),
    *(
        line(f"joblib, {name}", _forest, PROVED, as_joblib(compress))
        for name, compress in (
            ("plain", 0),
            ("level 3", 3),
            ("zlib", ("zlib", 3)),
            ("gzip", ("gzip", 3)),
            ("bz2", ("bz2", 3)),
            ("xz", ("xz", 3)),
            ("lzma", ("lzma", 3)),
        )
    ),
    line("cloudpickle", _boosted, PROVED, as_cloudpickle),
    line("skops", _forest, PROVED, as_skops),
    line("skops, pipeline", _linear, MEASURED, as_skops),
    line("LightGBM text", _boosted, PROVED, as_lightgbm_text, quick=True),
    line(
        "MLflow, sklearn", _linear, MEASURED, in_mlflow_folder("sklearn", "pickled_model", with_protocol(4))
    ),
    line("MLflow, lightgbm", _boosted, PROVED, in_mlflow_folder("lightgbm", "data", as_lightgbm_text)),
    line(
        "MLflow, xgboost", _xgboost, PROVED, in_mlflow_folder("xgboost", "data", by_own_method("model.ubj"))
    ),
    line(
        "MLflow, catboost", _catboost, PROVED, in_mlflow_folder("catboost", "data", by_own_method("model.cb"))
    ),
    line("MLflow, onnx", _linear, ALONE, in_mlflow_folder("onnx", "data", as_stock_onnx)),
    line("ONNX alone", _linear, ALONE, as_stock_onnx, quick=True),
    line("ONNX alone, trees", _forest, ALONE, as_stock_onnx),
    line(
        "Dictionary of scaler and model",
        _held(lambda scaler, model: {"scaler": scaler, "model": model, "features": ["alcohol"]}),
        refused("dictionary", check="load.model"),
        quick=True,
    ),
    line(
        "Tuple of scaler and model",
        _held(lambda scaler, model: (scaler, model)),
        refused("tuple", check="load.model"),
    ),
    line(
        "Scaler alone",
        _held(lambda scaler, model: scaler),
        refused("predict", check="load.model"),
    ),
)
