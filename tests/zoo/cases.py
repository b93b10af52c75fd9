"""The table: one line a model."""

from __future__ import annotations

from tests.zoo import catboost_models, file_models, lightgbm_models, sklearn_models, xgboost_models
from tests.zoo.case import Case

SECTIONS: dict[str, tuple[Case, ...]] = {
    "LightGBM": lightgbm_models.CASES,
    "XGBoost": xgboost_models.CASES,
    "CatBoost": catboost_models.CASES,
    "scikit-learn: trees": sklearn_models.TREES,
    "scikit-learn: linear models": sklearn_models.LINEAR,
    "scikit-learn: other models": sklearn_models.OTHERS,
    "scikit-learn: models of models": sklearn_models.COMBINED,
    "scikit-learn: pipelines": sklearn_models.PIPELINES,
    "Files": file_models.CASES,
}

CASES: tuple[Case, ...] = tuple(case for section in SECTIONS.values() for case in section)
