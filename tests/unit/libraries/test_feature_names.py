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


def test_a_file_whose_parameters_catboost_cannot_list_is_read_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Files of its old releases predict well, and `get_all_params` fails on them."""
    import catboost

    from validator.libraries.export import export
    from validator.libraries.read import read

    def refuse(_: Any) -> Any:
        raise catboost.CatBoostError("unknown parameter")

    model = catboost.CatBoostClassifier(
        iterations=3,
        depth=2,
        verbose=0,
        thread_count=1,
        allow_writing_files=False,
        loss_function="MultiClass",
    ).fit(_ROWS, np.arange(len(_ROWS)) % 3)
    before = read(*export(model))
    monkeypatch.setattr(catboost.CatBoostClassifier, "get_all_params", refuse)
    after = read(*export(model))
    assert before is not None
    assert after is not None
    assert after.transform == before.transform
    assert np.array_equal(after.leaf_value, before.leaf_value)
    assert Adapter(model).task == "multiclass"


@pytest.mark.parametrize("space", ["\t", "\u00a0", "\u3000", "\x0b"])
def test_names_of_lightgbm_may_hold_any_space_but_a_blank(space: str) -> None:
    from validator.libraries.lightgbm.check import check_text

    names = [f"a{space}b", "c", "d"]
    model = _fitted("lightgbm", _frame(names))
    text = model.booster_.model_to_string()
    assert check_text(text.encode(), nodes=1_000).facts["features"] == "3"
    assert Adapter(model).feature_names == names
