"""Models of each library, trained, exported, read, written, and proved."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from validator.libraries import leaves as inner
from validator.libraries.adapter import Adapter
from validator.libraries.export import export
from validator.libraries.read import read
from validator.outputs import Outputs
from validator.table import Table
from validator.trees.proof import Status, prove
from validator.trees.rows.boundary import plan_boundary
from validator.trees.rows.coding import coding_of_names, decode
from validator.trees.rows.fingerprint import fingerprint_onnx, raw_scores_onnx
from validator.trees.writer import write
from validator.worker.onnx_session import OnnxModel

ROWS = 200


def _features(missing: bool = True) -> np.ndarray:
    random = np.random.default_rng(0)
    rows = random.normal(size=(ROWS, 4))
    if missing:
        rows[random.random(rows.shape) < 0.05] = np.nan
    return rows


def _target(classes: int = 0) -> np.ndarray:
    rows = np.nan_to_num(_features())
    y = rows[:, 0] + np.sin(2 * rows[:, 1])
    if classes == 0:
        return y
    return np.digitize(y, [0.0] if classes == 2 else [-0.5, 0.5])


def _frame() -> pd.DataFrame:
    frame = pd.DataFrame(_features(), columns=list("abcd"))
    frame["d"] = pd.Categorical(np.random.default_rng(1).choice(["u", "v", "w"], ROWS))
    return frame


def _tree() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    return DecisionTreeClassifier(max_depth=4).fit(_features(), np.array(["x", "y", "z"])[_target(3)])


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(4, max_depth=4, random_state=0).fit(_features(), _target(3))


def _multi_output() -> Any:
    from sklearn.ensemble import RandomForestRegressor

    y = np.stack([_target(), -_target()], axis=1)
    return RandomForestRegressor(4, max_depth=4, random_state=0).fit(_features(), y)


def _boosting() -> Any:
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(n_estimators=4).fit(_features(missing=False), _target(2))


def _histogram() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(max_iter=4, categorical_features="from_dtype")
    return model.fit(_frame(), _target(2))


def _isolation() -> Any:
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=4, max_samples=32, random_state=0).fit(_features(missing=False))


def _lightgbm() -> Any:
    import lightgbm

    model = lightgbm.LGBMClassifier(n_estimators=4, verbose=-1, min_child_samples=5, n_jobs=1)
    return model.fit(_frame(), _target(3))


def _lightgbm_linear() -> Any:
    import lightgbm

    model = lightgbm.LGBMRegressor(n_estimators=4, verbose=-1, linear_tree=True, n_jobs=1)
    return model.fit(_features(), _target())


def _lightgbm_linear_categories() -> Any:
    import lightgbm

    model = lightgbm.LGBMRegressor(
        n_estimators=4, verbose=-1, min_child_samples=5, linear_tree=True, n_jobs=1
    )
    return model.fit(_frame(), _target())


def _xgboost() -> Any:
    xgboost = pytest.importorskip("xgboost")
    model = xgboost.XGBClassifier(n_estimators=4, max_depth=3, enable_categorical=True, n_jobs=1)
    return model.fit(_frame(), _target(2))


def _xgboost_dart() -> Any:
    xgboost = pytest.importorskip("xgboost")
    return xgboost.XGBRegressor(n_estimators=4, max_depth=3, booster="dart", rate_drop=0.3, n_jobs=1).fit(
        _features(), _target()
    )


def _xgboost_multi() -> Any:
    xgboost = pytest.importorskip("xgboost")
    y = np.stack([_target(), -_target()], axis=1)
    model = xgboost.XGBRegressor(n_estimators=4, max_depth=3, multi_strategy="multi_output_tree", n_jobs=1)
    return model.fit(_features(missing=False), y)


def _catboost() -> Any:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(
        iterations=4, depth=4, verbose=0, allow_writing_files=False, thread_count=1
    )
    return model.fit(_features(), _target(3))


MAKERS = (
    _tree, _forest, _multi_output, _boosting, _histogram, _isolation,
    _lightgbm, _lightgbm_linear, _lightgbm_linear_categories, _xgboost, _xgboost_dart, _xgboost_multi, _catboost,
)  # fmt: skip


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_a_faithful_file_is_proved(maker: Callable[[], Any]) -> None:
    header, arrays = export(maker())
    ensemble = read(json.loads(json.dumps(header)), arrays)
    assert ensemble is not None
    for dtype in ("float64", "float32"):
        proof = prove(ensemble, write(ensemble, input_dtype=dtype))
        assert proof.status is Status.PROVED, (dtype, proof.reason)
        assert proof.bounds is not None
        if ensemble.linear is None:
            assert proof.bounds.raw_in_order == 0.0
            assert proof.bounds.output < (1e-4 if ensemble.transform.dtype == "float32" else 1e-12)
            assert proof.labels_exact
        plan = plan_boundary(ensemble, input_dtype=dtype, limit=2000)
        assert plan.taken + plan.unreachable == plan.branches


_SILENT = {_histogram, _isolation}
"""their libraries do not tell which leaves a row meets"""
_WITHOUT_RAW = {*_SILENT, _tree, _forest, _multi_output} - {_histogram}
"""what they answer is no transform of a score"""


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
def test_leaves_raw_scores_and_labels_are_the_librarys_on_every_boundary_row(
    maker: Callable[[], Any],
) -> None:
    model = maker()
    ensemble = read(*export(model))
    assert ensemble is not None
    names = list(ensemble.feature_names or [f"f{i}" for i in range(ensemble.n_features)])
    dtype = ensemble.comparison_dtype
    rows = plan_boundary(ensemble, _features(), input_dtype=dtype, limit=2000).rows
    if not ensemble.admits_missing:
        rows = rows[~np.isnan(rows).any(axis=1)]
    table = decode(rows, coding_of_names(names, ensemble.feature_categories))
    adapter = Adapter(model)
    given = adapter.inputs(table)
    data = write(ensemble, input_dtype=dtype)

    met = inner.leaves(model, given)
    assert (met is None) == (maker in _SILENT)
    if met is not None:
        marked = fingerprint_onnx(data, seed=1)
        expected = inner.sums_of(marked.values, marked.starts, met)
        np.testing.assert_array_equal(_answers(marked.data, table).score, expected)

    native, onnx = adapter.predict(given), _answers(data, table)
    if native.label is not None and maker is not _isolation:
        np.testing.assert_array_equal(onnx.label, native.label)

    raw = inner.raw_scores(model, given)
    assert (raw is None) == (maker in _WITHOUT_RAW)
    if raw is not None and maker not in (_lightgbm_linear, _lightgbm_linear_categories):
        found = _answers(raw_scores_onnx(data, ensemble), table).score
        np.testing.assert_array_equal(found, raw.reshape(found.shape))


def _answers(data: bytes, table: Table) -> Outputs:
    model = OnnxModel(data, 1)
    return model.predict(model.inputs(table))
