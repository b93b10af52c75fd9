"""One number a row tells whether ONNX Runtime meets the leaves that LightGBM meets."""

from __future__ import annotations

import os

import lightgbm
import numpy as np
import pytest

from validator.errors import ConversionError
from validator.libraries.leaves import sums_of
from validator.libraries.lightgbm.trees import read
from validator.trees.rows.boundary import boundary_rows
from validator.trees.rows.fingerprint import fingerprint_onnx, raw_scores_onnx
from validator.trees.writer import write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def trained(objective: str, **params: object) -> lightgbm.Booster:
    random = np.random.default_rng(0)
    rows = random.normal(size=(400, 4))
    rows[:, 3] = random.integers(0, 20, 400)
    rows[random.random(rows.shape) < 0.1] = np.nan
    y = (np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 3] * 0.618) % 1 > 0.4).astype(float)
    given = {"objective": objective, "verbose": -1, "num_threads": 1, "num_leaves": 9, **params}
    data = lightgbm.Dataset(rows, y, categorical_feature=[3])
    return lightgbm.Booster(model_str=lightgbm.train(given, data, 12).model_to_string())


def outputs(data: bytes, rows: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["score"], {"features": rows})[0])[:, 0]


@pytest.mark.parametrize(
    "params",
    [{}, {"zero_as_missing": True}, {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}],
    ids=["plain", "zeros", "forest"],
)
def test_every_leaf_is_the_librarys(params: dict[str, object]) -> None:
    booster = trained("binary", **params)
    ensemble = read(booster.model_to_string())
    rows = boundary_rows(ensemble, input_dtype="float64", limit=4000)
    marked = fingerprint_onnx(write(ensemble, input_dtype="float64"), seed=1)
    leaves = booster.predict(rows, pred_leaf=True).reshape(len(rows), -1).astype(int)
    np.testing.assert_array_equal(outputs(marked.data, rows), sums_of(marked.values, marked.starts, leaves))


@pytest.mark.parametrize("objective", ["regression", "binary", "cross_entropy_lambda", "tweedie"])
def test_raw_scores_are_the_librarys_bit_for_bit(objective: str) -> None:
    booster = trained(objective)
    ensemble = read(booster.model_to_string())
    rows = boundary_rows(ensemble, input_dtype="float64", limit=2000)
    cut = raw_scores_onnx(write(ensemble, input_dtype="float64"), ensemble)
    np.testing.assert_array_equal(outputs(cut, rows), booster.predict(rows, raw_score=True))


def test_another_leaf_changes_the_number() -> None:
    booster = trained("regression")
    ensemble = read(booster.model_to_string())
    rows = boundary_rows(ensemble, input_dtype="float64", limit=500)
    marked = fingerprint_onnx(write(ensemble, input_dtype="float64"), seed=1)
    leaves = booster.predict(rows, pred_leaf=True).reshape(len(rows), -1).astype(int)
    leaves[7, 3] += 1 if leaves[7, 3] == 0 else -1
    expected = sums_of(marked.values, marked.starts, leaves)
    assert np.flatnonzero(outputs(marked.data, rows) != expected).tolist() == [7]


def test_files_without_trees_are_refused() -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["N", 1])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["N", 1])],
    )
    with pytest.raises(ConversionError, match="0 TreeEnsemble"):
        fingerprint_onnx(helper.make_model(graph).SerializeToString(), seed=0)


def test_a_leaf_that_does_not_exist_is_refused() -> None:
    ensemble = read(trained("regression").model_to_string())
    marked = fingerprint_onnx(write(ensemble, input_dtype="float64"), seed=1)
    with pytest.raises(ValueError, match="does not have"):
        sums_of(marked.values, marked.starts, np.full((1, ensemble.n_trees), 99))
    with pytest.raises(ValueError, match="trees"):
        sums_of(marked.values, marked.starts, np.zeros((1, ensemble.n_trees + 1), dtype=int))
