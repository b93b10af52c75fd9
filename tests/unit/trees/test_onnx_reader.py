"""The reader from ONNX: hostile files end in named errors, and files of other converters are judged right."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.trees import proof_models as models
from validator.errors import ConversionError
from validator.trees.evaluate import answers
from validator.trees.onnx_reading.model import NotUnderstoodError, read
from validator.trees.proof import Status, prove
from validator.trees.rows.boundary import boundary_rows
from validator.trees.walk import raw_scores
from validator.trees.writer import write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


KINDS = {kind.name: kind for kind in models.KINDS}


def changed(change: Callable[[dict[str, Any], Any], None], name: str = "truncated") -> bytes:
    import onnx

    model = onnx.load_model_from_string(write(models.make(KINDS[name], 0), input_dtype="float64"))
    node = next(item for item in model.graph.node if item.op_type == "TreeEnsemble")
    change({attribute.name: attribute for attribute in node.attribute}, model)
    return model.SerializeToString()


def set_int(name: str, at: int, value: int) -> Callable[[dict[str, Any], Any], None]:
    def change(a: dict[str, Any], _model: Any) -> None:
        a[name].ints[at] = value

    return change


def drop(name: str) -> Callable[[dict[str, Any], Any], None]:
    def change(a: dict[str, Any], _model: Any) -> None:
        del a[name].ints[-1]

    return change


def set_tensor(name: str, at: int, value: float) -> Callable[[dict[str, Any], Any], None]:
    def change(a: dict[str, Any], _model: Any) -> None:
        from onnx import numpy_helper

        values = numpy_helper.to_array(a[name].t).copy()
        values[at] = value
        a[name].t.CopyFrom(numpy_helper.from_array(values))

    return change


def external(a: dict[str, Any], _model: Any) -> None:
    a["leaf_weights"].t.data_location = 1
    entry = a["leaf_weights"].t.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"


def short_tensor(a: dict[str, Any], _model: Any) -> None:
    a["nodes_splits"].t.raw_data = a["nodes_splits"].t.raw_data[:-3]


def cyclic_graph(_a: dict[str, Any], model: Any) -> None:
    first, last = model.graph.node[0], model.graph.node[-1]
    first.input[0] = last.output[0]


def cyclic_tree(a: dict[str, Any], _model: Any) -> None:
    a["nodes_truenodeids"].ints[0], a["nodes_trueleafs"].ints[0] = 0, 0


def shared_node(a: dict[str, Any], _model: Any) -> None:
    a["tree_roots"].ints[1] = a["tree_roots"].ints[0]


def wrong_type(a: dict[str, Any], _model: Any) -> None:
    a["nodes_featureids"].type = 1


HOSTILE = {
    "child out of range": set_int("nodes_truenodeids", 0, 10**9),
    "negative child": set_int("nodes_falsenodeids", 0, -5),
    "root out of range": set_int("tree_roots", 0, 10**6),
    "negative feature": set_int("nodes_featureids", 0, -1),
    "feature out of range": set_int("nodes_featureids", 0, 10**5),
    "huge feature": set_int("nodes_featureids", 0, 2**62),
    "target out of range": set_int("leaf_targetids", 0, 7),
    "children missing": drop("nodes_truenodeids"),
    "leaf flags missing": drop("nodes_falseleafs"),
    "targets missing": drop("leaf_targetids"),
    "directions missing": drop("nodes_missing_value_tracks_true"),
    "unknown mode": set_tensor("nodes_modes", 0, 9),
    "threshold NaN": set_tensor("nodes_splits", 0, np.nan),
    "leaf infinite": set_tensor("leaf_weights", 0, np.inf),
    "external data": external,
    "short tensor": short_tensor,
    "cycle in the graph": cyclic_graph,
    "cycle in a tree": cyclic_tree,
    "node under two parents": shared_node,
    "attribute of another type": wrong_type,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_damage_is_a_named_error(name: str) -> None:
    ensemble = models.make(KINDS["truncated"], 0)
    with pytest.raises(ConversionError) as caught:
        prove(ensemble, changed(HOSTILE[name]))
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\x00", b"not onnx", bytes(range(156, 256))])
def test_what_is_no_onnx_file_is_an_error(data: bytes) -> None:
    with pytest.raises((ConversionError, NotUnderstoodError)):
        read(data)


def test_flipped_bytes_never_end_in_another_error() -> None:
    random = np.random.default_rng(0)
    for name in ("truncated", "multiclass", "vectors"):
        ensemble = models.make(KINDS[name], 0)
        data = write(ensemble, input_dtype="float64")
        for _ in range(150):
            broken = bytearray(data)
            for at in random.integers(0, len(data), size=random.integers(1, 4)):
                broken[at] ^= int(random.integers(1, 256))
            cut = int(random.integers(len(data))) if random.random() < 0.2 else len(data)
            try:
                prove(ensemble, bytes(broken[:cut]))
            except ConversionError as error:
                assert error.hint  # noqa: PT017 (any outcome but another exception is right)


def session_run(data: bytes, dtype: str) -> Callable[[np.ndarray], dict[str, np.ndarray]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name

    def run(rows: np.ndarray) -> dict[str, np.ndarray]:
        found = session.run(None, {given: rows.astype(dtype)})
        return {"prediction": np.asarray(found[-1]).reshape(-1)}

    return run


def regression_data() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, 4)).astype(np.float32).astype(np.float64)
    return rows, rows[:, 0] * 2 + np.sin(3 * rows[:, 1])


def test_a_stock_lightgbm_file_is_different_and_a_row_shows_it() -> None:
    import lightgbm

    from validator.libraries.lightgbm.trees import read as read_lightgbm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        rows, y = regression_data()
        model = lightgbm.LGBMRegressor(n_estimators=8, num_leaves=7, verbose=-1, n_jobs=1).fit(rows, y)
        stock = onnxmltools.convert_lightgbm(model, initial_types=[("x", FloatTensorType([None, 4]))])
    data = stock.SerializeToString()
    ensemble = read_lightgbm(model.booster_.model_to_string())
    proof = prove(
        ensemble,
        data,
        native_run=lambda given: {"prediction": model.booster_.predict(given)},
        onnx_run=session_run(data, "float32"),
        sample=rows,
    )
    assert proof.status is Status.DIFFERENT
    assert proof.difference is not None
    assert proof.difference.seen
    row = proof.difference.row
    assert row is not None
    np.testing.assert_array_equal(row.astype(np.float32), row)
    mine = float(model.booster_.predict(row[None, :])[0])
    theirs = float(session_run(data, "float32")(row[None, :])["prediction"][0])
    assert mine != theirs


def test_a_stock_lightgbm_classifier_is_different_and_a_row_shows_it() -> None:
    import lightgbm

    from validator.libraries.lightgbm.trees import read as read_lightgbm

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType

        rows, y = regression_data()
        model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=7, verbose=-1, n_jobs=1)
        model.fit(rows, (y > 0).astype(int))
        stock = onnxmltools.convert_lightgbm(
            model, initial_types=[("x", FloatTensorType([None, 4]))], zipmap=False
        )
    data = stock.SerializeToString()
    ensemble = read_lightgbm(model.booster_.model_to_string())

    def native_run(given: np.ndarray) -> dict[str, np.ndarray]:
        p = model.booster_.predict(given)
        return {"prediction": np.stack([1 - p, p], axis=1).reshape(-1)}

    proof = prove(ensemble, data, native_run=native_run, onnx_run=session_run(data, "float32"), sample=rows)
    assert proof.status is Status.DIFFERENT, proof.reason
    assert proof.difference is not None
    assert proof.difference.seen
    assert "whether x <=" in proof.difference.what


def test_a_stock_scikit_learn_tree_is_judged(answer: Callable[..., Any]) -> None:
    from sklearn.tree import DecisionTreeRegressor

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skl2onnx import to_onnx

        rows, y = regression_data()
        y = np.round(y * 4) / 4
        model = DecisionTreeRegressor(max_depth=4, random_state=0).fit(rows, y)
        data = to_onnx(model, rows[:1].astype(np.float32)).SerializeToString()
    ensemble = answer(model, rows, count=10).ensemble
    proof = prove(
        ensemble,
        data,
        native_run=lambda given: {"prediction": model.predict(given)},
        onnx_run=session_run(data, "float32"),
        sample=rows,
    )
    # It forgets where missing values go.
    assert proof.status is Status.DIFFERENT
    assert proof.difference is not None
    assert proof.difference.seen
    assert np.isnan(proof.difference.row).any()


def _forest_files() -> Iterator[tuple[str, Any, Any, bytes]]:
    from skl2onnx import to_onnx
    from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, RandomForestRegressor
    from sklearn.tree import DecisionTreeClassifier

    rows, y = regression_data()
    names = np.array(["no", "perhaps", "yes"])
    ranks = np.digitize(y, np.quantile(y, [0.3, 0.7]))
    for name, model, target, options in (
        ("two classes", RandomForestClassifier(7, max_depth=4, random_state=0), y > 0, {"zipmap": False}),
        ("two classes, a map", ExtraTreesClassifier(5, max_depth=3, random_state=0), ranks > 1, {}),
        ("three classes of text", RandomForestClassifier(6, max_depth=4), names[ranks], {"zipmap": False}),
        ("one tree", DecisionTreeClassifier(max_depth=4, random_state=0), ranks, {}),
        ("regression", RandomForestRegressor(7, max_depth=4, random_state=0), y, None),
    ):
        target = target.astype(int) if target.dtype == bool else target
        model.fit(rows.astype(np.float32), target)
        file = to_onnx(model, rows[:1].astype(np.float32), options=options, target_opset=17)
        yield name, model, rows, file.SerializeToString()


def _changed_trees(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    import onnx

    file = onnx.load_model_from_string(data)
    node = next(item for item in file.graph.node if item.op_type.startswith("TreeEnsemble"))
    change({attribute.name: attribute for attribute in node.attribute})
    return file.SerializeToString()


def test_stock_forests_are_proved_for_rows_without_missing_values_and_for_no_others(
    answer: Callable[..., Any],
) -> None:
    import onnxruntime

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        files = list(_forest_files())
    for name, model, rows, data in files:
        ensemble = answer(model, rows, count=10).ensemble
        nowhere = np.zeros(rows.shape[1], dtype=bool)
        assert prove(ensemble, data).status is Status.DIFFERENT, name
        proof = prove(ensemble, data, missing=nowhere)
        assert proof.status is Status.PROVED, (name, proof.reason)
        assert proof.bounds is not None
        for feature in np.unique(ensemble.feature[ensemble.missing_true])[:2]:
            somewhere = nowhere.copy()
            somewhere[feature] = True
            found = prove(ensemble, data, missing=somewhere)
            assert found.status is Status.DIFFERENT
            assert found.difference is not None
            assert np.flatnonzero(np.isnan(found.difference.row)).tolist() == [feature]
        at = boundary_rows(ensemble, rows, input_dtype="float32", limit=600, missing=nowhere)
        assert not np.isnan(at).any()
        given = onnxruntime.InferenceSession(data).run(None, {"X": at.astype(np.float32)})[-1]
        if isinstance(given, list):
            given = np.array([list(row.values()) for row in given])
        with np.errstate(invalid="ignore", over="ignore"):
            mine = model.predict(at) if ensemble.task == "regression" else model.predict_proba(at)
        assert np.abs(given.reshape(mine.shape) - mine).max() <= proof.bounds.output < 1e-5


def _lower(at: int, name: str) -> Callable[[dict[str, Any]], None]:
    def change(a: dict[str, Any]) -> None:
        floats = a[name].floats
        floats[at] = float(np.nextafter(np.float32(floats[at]), np.float32(-np.inf)))

    return change


def _second_class(a: dict[str, Any]) -> None:
    a["class_ids"].ints[:] = [1 for _ in a["class_ids"].ints]


def _other_labels(a: dict[str, Any]) -> None:
    a["classlabels_int64s"].ints[:] = [1, 0]


def _sigmoid(a: dict[str, Any]) -> None:
    a["post_transform"].s = b"LOGISTIC"


def test_changed_stock_forests_are_not_proved(answer: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, model, rows, data = next(_forest_files())
    ensemble = answer(model, rows, count=10).ensemble
    nowhere = np.zeros(rows.shape[1], dtype=bool)
    for change, status in (
        (_lower(0, "nodes_values"), Status.DIFFERENT),
        (_lower(-1, "class_weights"), Status.DIFFERENT),
        (_other_labels, Status.DIFFERENT),
        (_second_class, Status.DIFFERENT),
        (_sigmoid, Status.UNPROVED),
    ):
        assert prove(ensemble, _changed_trees(data, change), missing=nowhere).status is status, change


def _boosting(rows: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
    from skl2onnx import to_onnx
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(n_estimators=6).fit(rows, y)
    return model, to_onnx(model, rows[:1].astype(np.float32)).SerializeToString()


def _xgboost(rows: np.ndarray, y: np.ndarray) -> tuple[Any, bytes]:
    xgboost = pytest.importorskip("xgboost")
    import onnxmltools
    from onnxmltools.convert.common.data_types import FloatTensorType

    model = xgboost.XGBRegressor(n_estimators=6, max_depth=3, n_jobs=1).fit(rows, y)
    data = onnxmltools.convert_xgboost(model, initial_types=[("x", FloatTensorType([None, 4]))])
    return model, data.SerializeToString()


@pytest.mark.parametrize("maker", [_boosting, _xgboost])
def test_a_stock_regressor_that_is_right_is_proved(
    maker: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, y = regression_data()
        model, data = maker(rows, y)
    ensemble = answer(model, rows, count=10).ensemble
    proof = prove(ensemble, data)
    assert proof.status is Status.PROVED, proof.reason
    assert proof.bounds is not None
    at = boundary_rows(ensemble, rows, input_dtype="float32", limit=2000)
    theirs = session_run(data, "float32")(at)["prediction"]
    apart = np.abs(theirs - answers(ensemble, raw_scores(ensemble, at)).output.astype(float))
    assert 0.0 < apart.max() <= proof.bounds.output < 1e-4


def test_a_stock_regressor_with_another_base_is_different(answer: Callable[..., Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows, y = regression_data()
        model, data = _boosting(rows, y)
    ensemble = answer(model, rows, count=10).ensemble
    proof = prove(replace(ensemble, base_score=ensemble.base_score + 1e-3), data)
    assert proof.status is Status.DIFFERENT
    assert "base values" in proof.reason
