"""CatBoost: pickles and files of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.zoo import data as sets
from tests.zoo import saving
from tests.zoo.case import PROVED, Case, Made, line, refused
from tests.zoo.data import Data

_SMALL = {
    "iterations": 12, "depth": 3, "random_seed": 0, "thread_count": 1, "verbose": False,
    "allow_writing_files": False,
}  # fmt: skip


def model(kind: str, data: Callable[[], Data], **params: Any) -> Callable[[], Made]:
    def make() -> Made:
        import catboost

        fitted = getattr(catboost, f"CatBoost{kind}")(**{**_SMALL, **params})
        return Made(model=fitted.fit(data().X, data().y), data=data())

    return make


def ranker() -> Made:
    import catboost
    import numpy as np

    data = sets.diabetes()
    relevance = (data.y.rank(pct=True) * 4).astype(int)
    fitted = catboost.CatBoostRanker(loss_function="YetiRank", **_SMALL)
    return Made(model=fitted.fit(data.X, relevance, group_id=np.repeat(np.arange(26), 17)), data=data)


CASES: tuple[Case, ...] = (
    line("CatBoost classifier", model("Classifier", sets.cancer), PROVED, quick=True),
    line("CatBoost classifier, multiclass", model("Classifier", sets.wine), PROVED),
    line("CatBoost classifier, text labels", model("Classifier", sets.species), PROVED),
    line(
        "CatBoost classifier, one against all",
        model("Classifier", sets.wine, loss_function="MultiClassOneVsAll"),
        PROVED,
    ),
    line("CatBoost classifier, True and False", model("Classifier", sets.benign), PROVED),
    line("CatBoost regressor", model("Regressor", sets.diabetes), PROVED),
    *(
        line(f"CatBoost {loss}", model("Regressor", sets.diabetes, loss_function=loss), PROVED)
        for loss in ("MAE", "Quantile:alpha=0.9", "Huber:delta=10", "Poisson", "Tweedie:variance_power=1.5")
    ),
    line("CatBoost several outputs", model("Regressor", sets.linnerud, loss_function="MultiRMSE"), PROVED),
    line("CatBoost missing values", model("Classifier", sets.cancer_with_gaps), PROVED),
    line(
        "CatBoost missing values as the most",
        model("Classifier", sets.cancer_with_gaps, nan_mode="Max"),
        PROVED,
    ),
    line(
        "CatBoost free trees",
        model("Regressor", sets.diabetes, grow_policy="Lossguide", max_leaves=9),
        PROVED,
    ),
    line("CatBoost depth-wise trees", model("Regressor", sets.diabetes, grow_policy="Depthwise"), PROVED),
    line("CatBoost ranker", ranker, PROVED),
    line(
        "CatBoost as .cbm",
        model("Classifier", sets.cancer),
        PROVED,
        saving.by_own_method("model.cbm"),
        quick=True,
    ),
    line(
        "CatBoost as JSON",
        model("Classifier", sets.cancer),
        PROVED,
        saving.by_own_method("model.json", format="json"),
    ),
    line(
        "CatBoost categories of its own",
        model("Regressor", sets.firms, cat_features=["firm"]),
        refused("categorical features"),
    ),
    line(
        "CatBoost text of its own",
        model("Classifier", sets.sentences, cat_features=["initial"], text_features=["text"]),
        refused("features"),
    ),
    line(
        "CatBoost with uncertainty",
        model("Regressor", sets.diabetes, loss_function="RMSEWithUncertainty"),
        refused("several scores"),
    ),
)
