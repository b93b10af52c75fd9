"""Which columns a model was trained on: its own names are never taken for numbers of a bare matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from validator.libraries.adapter import Adapter

_ROWS = np.random.default_rng(0).normal(size=(40, 3))


def _frame(names: list[str]) -> Any:
    import pandas as pd

    return pd.DataFrame(_ROWS, columns=names)


def _fitted(kind: str, X: Any) -> Any:
    if kind == "lightgbm":
        import lightgbm

        return lightgbm.LGBMRegressor(n_estimators=2, min_child_samples=5, verbosity=-1, n_jobs=1).fit(
            X, _ROWS[:, 0]
        )
    if kind == "xgboost":
        import xgboost

        return xgboost.XGBRegressor(n_estimators=2, n_jobs=1).fit(X, _ROWS[:, 0])
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=2).fit(X, _ROWS[:, 0])


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "sklearn"])
@pytest.mark.parametrize(
    "names", [["f0", "f1", "f2"], ["x2", "x0", "x1"], ["Column_2", "Column_1", "Column_0"]]
)
def test_names_of_a_frame_are_kept_however_plain(kind: str, names: list[str]) -> None:
    """A sample in another order would else be taken by position, and its contract with it."""
    assert Adapter(_fitted(kind, _frame(names))).feature_names == names


@pytest.mark.parametrize("kind", ["lightgbm", "xgboost", "sklearn"])
def test_a_bare_matrix_has_no_names(kind: str) -> None:
    assert Adapter(_fitted(kind, _ROWS)).feature_names is None


def test_a_file_of_catboost_knows_how_many_columns_its_bare_matrix_had() -> None:
    import catboost

    from validator.libraries.catboost.live import LiveCatBoost

    model = catboost.CatBoostRegressor(
        iterations=2, depth=2, verbose=0, thread_count=1, allow_writing_files=False
    )
    data = model.fit(_ROWS, _ROWS[:, 0])._serialize_model()
    loaded = LiveCatBoost().load(data, "catboost-cbm")
    assert Adapter(loaded).n_features == 3
    assert Adapter(loaded).feature_names is None
