"""Each way of giving rows, and each way of giving wrong ones."""

from __future__ import annotations

import enum
import gc
import math
import pickle
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from validator.errors import PreflightError
from validator.results import FeatureSpec
from validator.serving import (
    ContractError,
    Deployment,
    EmptyBatchError,
    ExtraFeatureError,
    FeatureTypeError,
    InfiniteValueError,
    InputTypeError,
    MissingFeatureError,
    MissingValueError,
    NumberRangeError,
    OutputValueError,
    ShapeError,
    UnseenCategoryError,
)
from validator.table import Column, Table

Serve = Callable[..., Deployment]
NAMES = ["f0", "f1", "f2", "f3"]
MATRIX = np.random.default_rng(3).normal(size=(7, 4))


def frame() -> pd.DataFrame:
    return pd.DataFrame(MATRIX, columns=NAMES)


def spec(name: str, dtype: str = "float64", **fields: Any) -> FeatureSpec:
    return FeatureSpec(name=name, dtype=dtype, **fields)


class Exporting:
    """A table or column of another library, of which only its Arrow stream is known: as Polars' and DuckDB's."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._held.__arrow_c_stream__(requested_schema)


FORMS: dict[str, Callable[[], Any]] = {
    "frame": frame,
    "reordered frame": lambda: frame()[NAMES[::-1]],
    "nullable frame": lambda: frame().convert_dtypes(),
    "arrow-backed frame": lambda: frame().convert_dtypes(dtype_backend="pyarrow"),
    "mapping of arrays": lambda: {name: MATRIX[:, i] for i, name in enumerate(NAMES)},
    "mapping of lists": lambda: {name: MATRIX[:, i].tolist() for i, name in reversed([*enumerate(NAMES)])},
    "mapping of series": lambda: dict(frame().items()),
    "array": lambda: MATRIX,
    "column-major array": lambda: np.asfortranarray(MATRIX),
    "structured array": lambda: frame()[NAMES[::-1]].to_records(index=False).view(np.ndarray),
    "record array": lambda: frame().to_records(index=False),
    "arrow table": lambda: pa.Table.from_pandas(frame()[NAMES[::-1]]),
    "arrow batch": lambda: pa.RecordBatch.from_pandas(frame()),
    "chunked arrow table": lambda: pa.concat_tables(
        [pa.Table.from_pandas(frame()[:3]), pa.table(frame()[3:])]
    ),
    "frame of another library": lambda: Exporting(pa.Table.from_pandas(frame()[NAMES[::-1]])),
    "mapping of another library's columns": lambda: {
        name: Exporting(pa.chunked_array([MATRIX[:3, i], MATRIX[3:, i]])) for i, name in enumerate(NAMES)
    },
    "table": lambda: Table.of([Column(name, MATRIX[:, i]) for i, name in reversed(list(enumerate(NAMES)))]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_answers(serve: Serve, expected: Any, form: str) -> None:
    prediction = serve().predict(FORMS[form]())
    assert np.allclose(prediction.probabilities[:, 1], expected(MATRIX), atol=1e-12)
    assert prediction.label.tolist() == (expected(MATRIX) > 0.5).astype(int).tolist()
    assert prediction.valid.all()
    assert len(prediction) == 7
    assert prediction.problems == ()


def test_single_rows_and_batches_of_mappings_agree_with_the_table(serve: Serve) -> None:
    deployment = serve()
    rows = frame().to_dict("records")
    table = deployment.predict(frame())
    batch = deployment.predict_batch(rows)
    assert np.array_equal(batch.probabilities, table.probabilities)
    for i, row in enumerate(rows):
        for single in (deployment.predict_single(row), deployment.predict_single(pd.Series(row))):
            assert single.probabilities == table.probabilities[i].tolist()
            assert single.label == table.label[i]
            assert type(single.label) is int
            assert single.valid


def test_a_fitting_array_is_not_copied(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    deployment = serve()
    model = deployment._guard._model
    given: list[Any] = []
    run = model.run
    monkeypatch.setattr(model, "run", lambda feed: given.append(feed["features"]) or run(feed))
    deployment.predict(MATRIX)
    assert given[0] is MATRIX


def test_another_library_s_frame_without_pyarrow_is_one_clear_error(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment, given = serve(), Exporting(pa.Table.from_pandas(frame()))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputTypeError, match="read through pyarrow, which is not installed"):
        deployment.predict(given)


WRONG_NAMES: list[tuple[Any, type[ContractError], str]] = [
    (
        lambda f: f.rename(columns=lambda name: "x" + name[1:]),
        MissingFeatureError,
        "4 of 4 features missing: 'f0'",
    ),
    (lambda f: f.drop(columns="f2"), MissingFeatureError, "1 of 4 features missing: 'f2'"),
    (lambda f: f.rename(columns={"f2": "F2"}), MissingFeatureError, r"'f2' \(is 'F2' meant\?\)"),
    (lambda f: f.assign(extra=1.0), ExtraFeatureError, "not in the contract: 'extra'"),
    (lambda f: f.set_axis(range(4), axis=1), MissingFeatureError, "4 of 4"),
    (lambda f: pd.concat([f, f[["f1"]]], axis=1), ExtraFeatureError, "given more than once: 'f1'"),
]


@pytest.mark.parametrize(("change", "error", "message"), WRONG_NAMES)
def test_wrong_names_are_named(serve: Serve, change: Any, error: type[ContractError], message: str) -> None:
    wrong = change(frame())
    forms = [wrong] if wrong.columns.has_duplicates else [wrong, {n: wrong[n].to_numpy() for n in wrong}]
    for given in forms:
        with pytest.raises(error, match=message) as caught:
            serve().predict(given)
        assert isinstance(caught.value, KeyError)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, PreflightError)


def test_a_misspelt_key_suggests_the_right_one(serve: Serve, row: Mapping[str, float]) -> None:
    deployment = serve(specs=[spec("returns_1d"), spec("returns_5d"), spec("momentum_10"), spec("range")])
    good = dict(zip(["returns_1d", "returns_5d", "momentum_10", "range"], row.values(), strict=True))
    bad = {{"momentum_10": "momentun_10"}.get(name, name): value for name, value in good.items()}
    for call in (deployment.predict_single, lambda row: deployment.predict_batch([good, row])):
        with pytest.raises(
            MissingFeatureError, match=r"'momentum_10' \(is 'momentun_10' meant\?\)"
        ) as caught:
            call(bad)
        assert caught.value.hint == "rename 'momentun_10' to 'momentum_10'"
        assert caught.value.features == ("momentum_10",)


def test_extra_columns_can_be_left_out(serve: Serve, row: Mapping[str, float], expected: Any) -> None:
    deployment = serve(extra="ignore")
    prediction = deployment.predict(frame().assign(customer="x"))
    assert np.allclose(prediction.probabilities[:, 1], expected(MATRIX))
    assert deployment.predict_single({**row, "id": "x"}).valid
    assert deployment.predict_batch([row, {"id": 1, **row}]).valid.all()
    with pytest.raises(MissingFeatureError):
        deployment.predict(frame().drop(columns="f1").assign(customer="x"))


WRONG_VALUES: list[tuple[Any, type[ContractError], str]] = [
    (float("nan"), MissingValueError, "'f1' has no value"),
    (None, MissingValueError, "'f1' has no value"),
    (pd.NA, MissingValueError, "'f1' has no value"),
    (float("inf"), InfiniteValueError, "'f1' holds inf"),
    (-float("inf"), InfiniteValueError, "'f1' holds -inf"),
    ("0.5", FeatureTypeError, "'f1' holds str '0.5' where float64 belongs"),
    (b"0.5", FeatureTypeError, "'f1' holds bytes"),
    (True, FeatureTypeError, "'f1' holds bool True"),
    (1 + 2j, FeatureTypeError, "'f1' holds complex"),
    (datetime(2024, 1, 1), FeatureTypeError, "'f1' holds datetime"),
    ([1.0], FeatureTypeError, "'f1' holds list"),
    (SimpleNamespace(), FeatureTypeError, "'f1' holds SimpleNamespace"),
    (2**53 + 1, NumberRangeError, "'f1' holds 9007199254740993, which .*float64"),
    (10**400, NumberRangeError, "which float64 cannot hold"),
]


@pytest.mark.parametrize(("value", "error", "message"), WRONG_VALUES)
def test_a_wrong_value_is_named(
    serve: Serve, row: Mapping[str, float], value: Any, error: type[ContractError], message: str
) -> None:
    deployment = serve()
    wrong = {**row, "f1": value}
    with pytest.raises(error, match=message + r".*\(row 0\)"):
        deployment.predict_single(wrong)
    with pytest.raises(error, match=message + r".*\(row 2\)") as caught:
        deployment.predict_batch([row, row, wrong])
    assert (caught.value.features, caught.value.rows) == (("f1",), (2,))
    assert isinstance(caught.value, ValueError)
    with pytest.raises(error):
        deployment.predict({name: [row[name], wrong[name]] for name in row})


def test_wrong_types_are_type_errors_too(serve: Serve, row: Mapping[str, float]) -> None:
    with pytest.raises(TypeError, match="'f3' holds str"):
        serve().predict_single({**row, "f3": "high"})


WRONG_COLUMNS: list[tuple[Any, str]] = [
    (["a"] * 7, "'f1' holds str 'a'|'f1' has dtype"),
    (np.array([*MATRIX[:6, 1], "a"], dtype=object), "'f1' holds str 'a' where float64 belongs"),
    (MATRIX[:, 1].astype(str), "'f1' has dtype text"),
    (np.arange(7).astype("datetime64[D]"), "'f1' has dtype datetime64"),
    (np.arange(7).astype("timedelta64[s]"), "'f1' has dtype timedelta64"),
    (MATRIX[:, 1] > 0, "'f1' has dtype bool"),
    (MATRIX[:, 1] * 1j, "'f1' has dtype complex128"),
]


@pytest.mark.parametrize(("column", "message"), WRONG_COLUMNS)
def test_a_column_of_the_wrong_type_is_named(serve: Serve, column: Any, message: str) -> None:
    columns = {name: MATRIX[:, i] for i, name in enumerate(NAMES)} | {"f1": column}
    with pytest.raises(FeatureTypeError, match=message) as caught:
        serve().predict(columns)
    assert caught.value.features == ("f1",)
    if not isinstance(column, list):
        with pytest.raises(FeatureTypeError, match="'f1'"):
            serve().predict(frame().assign(f1=column))


def test_several_breaches_are_told_together(serve: Serve) -> None:
    wrong = frame()
    wrong.loc[2, "f0"] = np.nan
    wrong.loc[[3, 5], "f3"] = np.nan
    with pytest.raises(
        MissingValueError, match=r"'f0' .*\(row 2\); feature 'f3' .*\(row 3 and 1 more\)"
    ) as caught:
        serve().predict(wrong)
    assert caught.value.features == ("f0", "f3")
    assert caught.value.rows == (2, 3, 5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", range(4))
def test_nan_and_infinity_are_found_in_every_feature_of_an_array(
    serve: Serve, value: float, index: int
) -> None:
    wrong = MATRIX.copy()
    wrong[4, index] = value
    for given in (wrong, wrong[4:5], np.asfortranarray(wrong), pd.DataFrame(wrong, columns=NAMES)):
        with pytest.raises((MissingValueError, InfiniteValueError), match=f"'f{index}'"):
            serve().predict(given)


def test_missing_and_infinite_values_pass_where_the_contract_allows_them(serve: Serve) -> None:
    specs = [spec("f0", missing=True), spec("f1"), spec("f2"), spec("f3")]
    deployment = serve(_nan_proof(), specs)
    good = dict.fromkeys(NAMES, 0.5)
    for missing in (None, math.nan):
        assert deployment.predict_single({**good, "f0": missing}).valid
        with pytest.raises(MissingValueError, match="'f1'"):
            deployment.predict_single({**good, "f1": missing})
    with pytest.raises(InfiniteValueError):
        deployment.predict_single({**good, "f0": math.inf})
    open_ended = serve(_nan_proof(), allow_infinite=True)
    assert open_ended.predict_single({**good, "f2": math.inf}).valid
    assert open_ended.predict(np.array([[math.inf, 0.0, -math.inf, 1.0]])).valid.all()


def _nan_proof() -> bytes:
    """A model that answers [0.5, 0.5] and 0 whatever it is given."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("IsNaN", ["features"], ["nan"]),
        helper.make_node("Cast", ["nan"], ["numbers"], to=TensorProto.DOUBLE),
        helper.make_node("Slice", ["numbers", "from", "to", "axis"], ["two"]),
        helper.make_node("Mul", ["two", "none"], ["zeros"]),
        helper.make_node("Add", ["zeros", "half"], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    constants = {"from": [0], "to": [2], "axis": [1]}
    initial = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    initial += [
        numpy_helper.from_array(np.full((1, 1), value), name)
        for name, value in (("none", 0.0), ("half", 0.5))
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, 4])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, [None, 2]),
        ],
        initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


SHAPES: list[tuple[Any, str]] = [
    (np.zeros(4), r"must be \[N, 4\], this one is \[4\]"),
    (np.zeros((2, 4, 1)), r"this one is \[2, 4, 1\]"),
    (np.zeros((2, 3)), r"this one is \[2, 3\]"),
    (np.zeros((2, 5)), r"this one is \[2, 5\]"),
    (np.array(1.0), r"this one is \[\]"),
    ({"f0": [1.0], "f1": [1.0, 2.0], "f2": [1.0], "f3": [1.0]}, "columns differ in length"),
    ({"f0": np.zeros((2, 2)), "f1": [1.0], "f2": [1.0], "f3": [1.0]}, r"'f0' has shape \[2, 2\]"),
]


@pytest.mark.parametrize(("given", "message"), SHAPES)
@pytest.mark.parametrize("on_invalid", ["raise", "flag"])
def test_a_wrong_shape_is_always_raised(serve: Serve, given: Any, message: str, on_invalid: str) -> None:
    with pytest.raises(ShapeError, match=message):
        serve(on_invalid=on_invalid).predict(given)


@pytest.mark.parametrize(
    "given", [None, 1.0, "f0", [[1.0, 2.0, 3.0, 4.0]], [{"f0": 1.0}], {"f0": 1.0}, object()]
)
def test_what_is_no_table_is_a_type_error(serve: Serve, given: Any) -> None:
    with pytest.raises(InputTypeError) as caught:
        serve().predict(given)
    assert isinstance(caught.value, TypeError)
    assert caught.value.hint


def test_rows_that_are_no_mappings_are_type_errors(serve: Serve, row: Any) -> None:
    deployment = serve()
    for given in ([1.0, 2.0], np.zeros(4), None, "row"):
        with pytest.raises(InputTypeError, match="predict_single was given"):
            deployment.predict_single(given)
    with pytest.raises(InputTypeError, match="row 1 is a list"):
        deployment.predict_batch([row, [1.0]])
    with pytest.raises(InputTypeError, match="predict_batch was given DataFrame"):
        deployment.predict_batch(frame())


@pytest.mark.parametrize(
    "given", [np.zeros((0, 4)), {name: [] for name in NAMES}, pd.DataFrame(columns=NAMES, dtype=float), []]
)
def test_an_empty_batch_is_an_error_or_an_empty_flag(serve: Serve, given: Any) -> None:
    method = "predict_batch" if isinstance(given, list) else "predict"
    with pytest.raises(EmptyBatchError, match="no rows to answer"):
        getattr(serve(), method)(given)
    flagged = getattr(serve(on_invalid="flag"), method)(given)
    assert (len(flagged), flagged.probabilities.shape, flagged.label.shape) == (0, (0, 2), (0,))
    assert [problem.error for problem in flagged.problems] == ["EmptyBatchError"]


def test_whole_numbers_must_be_whole_and_truth_values_true_or_false(serve: Serve) -> None:
    deployment = serve(specs=[spec("f0", "int64"), spec("f1", "bool"), spec("f2"), spec("f3")])
    good = {"f0": 3, "f1": True, "f2": 1, "f3": 0.5}
    like = deployment.predict_single(good).probabilities
    assert deployment.predict_single({**good, "f0": 3.0, "f1": 1}).probabilities == like
    assert (
        deployment.predict({name: [value] for name, value in good.items()}).probabilities[0].tolist() == like
    )
    for name, value, message in (
        ("f0", 3.5, "'f0' holds 3.5 where int64 belongs"),
        ("f0", True, "'f0' holds bool"),
        ("f1", 2, "'f1' holds 2 where bool belongs"),
        ("f1", "yes", "'f1' holds str"),
    ):
        with pytest.raises(FeatureTypeError, match=message):
            deployment.predict_single({**good, name: value})


def test_numbers_that_a_float_input_cannot_hold_are_refused(serve: Serve, logistic: Any) -> None:
    deployment = serve(logistic(double=False))
    good = dict.fromkeys(NAMES, 1)
    assert deployment.predict_single(good).valid
    for value, seen in ((2**53 + 1, "9007199254740993"), (1e39, "1e\\+39"), (-1e300, "-1e\\+300")):
        with pytest.raises(NumberRangeError, match=f"'f2' holds {seen}"):
            deployment.predict_single({**good, "f2": value})
        with pytest.raises(NumberRangeError, match=f"'f2' holds {seen}"):
            deployment.predict({name: np.array([good[name] if name != "f2" else value]) for name in NAMES})
    assert deployment.predict_single({**good, "f2": 2**24}).valid
    # Training rounded it to float32 as well: so does whoever compares in float32.
    rounded, exact = (deployment.predict_single({**good, "f2": value}) for value in (2**24 + 1, 2**24))
    assert rounded.probabilities == exact.probabilities
    assert deployment.predict_single({**good, "f2": 0.1}).valid
    for dtype, value in ((np.uint64, 2**63 + 1), (np.int64, -(2**53) - 1)):
        wide = {name: np.array([1], dtype=dtype) for name in NAMES} | {"f0": np.array([value], dtype=dtype)}
        with pytest.raises(NumberRangeError, match=f"'f0' holds {value}"):
            serve().predict(wide)


def test_the_pipeline_answers_as_scikit_learn_does(serve: Serve, mixed: Any) -> None:
    onnx, pipeline, sample, contract = mixed
    deployment = serve(onnx, contract.features, classes=contract.classes)
    prediction = deployment.predict(sample[["spend", "plan", "visits"]])
    assert prediction.label.tolist() == pipeline.predict(sample).tolist()
    assert np.allclose(prediction.probabilities, pipeline.predict_proba(sample), atol=1e-5)
    rows = sample.to_dict("records")
    assert np.array_equal(deployment.predict_batch(rows).probabilities, prediction.probabilities)
    single = deployment.predict_single(rows[0])
    assert single.label in ("goes", "stays")
    assert single.probabilities == pytest.approx(prediction.probabilities[0].tolist(), abs=1e-6)
    assert np.array_equal(
        deployment.predict(pa.Table.from_pandas(sample.astype({"plan": "category"}))).probabilities,
        prediction.probabilities,
    )


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        (
            "plan",
            "Basic",
            UnseenCategoryError,
            "'plan' holds category 'Basic', which the contract does not list",
        ),
        ("plan", None, MissingValueError, "'plan' has no value"),
        ("plan", float("nan"), MissingValueError, "'plan' has no value"),
        ("plan", 3, FeatureTypeError, "'plan' holds int 3 where string belongs"),
        ("visits", 2.5, FeatureTypeError, "'visits' holds 2.5 where int64 belongs"),
        ("visits", 2**63, NumberRangeError, "'visits'"),
        ("visits", float("nan"), MissingValueError, "'visits' has no value"),
        ("spend", "much", FeatureTypeError, "'spend' holds str 'much'"),
    ],
)
def test_wrong_values_in_a_mixed_table_are_named(
    serve: Serve, mixed: Any, name: str, value: Any, error: type[ContractError], message: str
) -> None:
    onnx, _, sample, contract = mixed
    deployment = serve(onnx, contract.features, classes=contract.classes)
    rows = sample.head(3).to_dict("records")
    rows[1][name] = value
    with pytest.raises(error, match=message) as caught:
        deployment.predict_batch(rows)
    assert caught.value.rows == (1,)
    if value == "Basic":
        assert caught.value.hint == "is 'basic' meant?"
        with pytest.raises(error, match=message):
            deployment.predict(pd.DataFrame(rows).astype({"plan": "category"}))


@pytest.mark.parametrize("value", [3, -1, 1.5, True, "1", 2**70])
def test_an_unseen_negative_or_fractional_category_is_refused(serve: Serve, value: Any) -> None:
    specs = [spec("f0", "category", categories=(0, 1, 2)), spec("f1"), spec("f2"), spec("f3")]
    deployment = serve(specs=specs)
    good = {"f0": 2, "f1": 0.0, "f2": 0.0, "f3": 0.0}
    assert (
        deployment.predict_single(good).probabilities
        == deployment.predict_single({**good, "f0": 2.0}).probabilities
    )
    with pytest.raises((UnseenCategoryError, FeatureTypeError), match="'f0' holds"):
        deployment.predict_single({**good, "f0": value})


def test_text_categories_of_a_number_input_are_their_position(serve: Serve, expected: Any) -> None:
    specs = [spec("f0", "category", categories=("lo", "mid", "hi")), spec("f1"), spec("f2"), spec("f3")]
    single = serve(specs=specs).predict_single({"f0": "hi", "f1": 0.0, "f2": 0.0, "f3": 0.0})
    assert single.probabilities[1] == pytest.approx(expected([2.0, 0.0, 0.0, 0.0]))


def test_hostile_names_and_values_are_cut_short(serve: Serve, row: Mapping[str, float]) -> None:
    with pytest.raises(FeatureTypeError) as caught:
        serve().predict_single({**row, "f0": "x" * 100_000})
    assert len(caught.value.message) < 300
    with pytest.raises(ExtraFeatureError) as extra:
        serve().predict_single({**row, "\n::error::" + "y" * 100_000: 1.0})
    assert len(extra.value.message) < 300
    assert "\n" not in extra.value.message


def test_errors_survive_pickling(serve: Serve, row: Mapping[str, float]) -> None:
    with pytest.raises(MissingFeatureError) as caught:
        serve().predict_single({"f0": 1.0})
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is MissingFeatureError
    assert (again.message, again.hint, again.features) == (
        caught.value.message,
        caught.value.hint,
        caught.value.features,
    )


def _masked(matrix: np.ndarray, row: int, column: int) -> np.ma.MaskedArray[Any, Any]:
    mask = np.zeros(matrix.shape, dtype=bool)
    mask[row, column] = True
    return np.ma.MaskedArray(matrix.copy(), mask=mask)


def test_what_is_masked_is_missing(serve: Serve) -> None:
    strict = serve()
    lenient = serve(specs=[spec(name, missing=True) for name in NAMES], on_invalid="flag")
    masked = _masked(MATRIX, 2, 1)
    records = np.rec.fromarrays(masked.data.T, names=",".join(NAMES)).view(np.ndarray)
    structured = np.ma.array(records, mask=[tuple(row) for row in masked.mask])
    forms = [masked, {name: masked[:, i] for i, name in enumerate(NAMES)}, structured]
    for form in (*forms, _masked(MATRIX[2:3], 0, 1)):
        with pytest.raises(MissingValueError, match="'f1'"):
            strict.predict(form)
    # This graph answers NaN where a feature is: the model was given what is missing, not what lies under the mask.
    for form in forms:
        found = lenient.predict(form)
        assert found.valid.tolist() == [True, True, False, True, True, True, True]
        assert found.problems[0].error == "OutputValueError"
    np.testing.assert_array_equal(
        strict.predict(np.ma.MaskedArray(MATRIX)).probabilities, strict.predict(MATRIX).probabilities
    )


def test_masked_whole_numbers_and_texts_are_missing(serve: Serve, mixed: Any) -> None:
    onnx, _, _, contract = mixed
    deployment = serve(onnx, contract.features, classes=contract.classes)
    good = {"plan": ["plus"], "visits": np.array([3]), "spend": np.array([1.0])}
    for name, value in (
        ("visits", [999_999]),
        ("plan", ["plus"]),
        ("plan", np.array(["plus"], dtype=object)),
    ):
        with pytest.raises(MissingValueError, match=name):
            deployment.predict({**good, name: np.ma.array(value, mask=[True])})


@pytest.mark.parametrize("kind", [lambda row: defaultdict(float, row), Counter])
def test_a_mapping_that_makes_up_values_is_held_to_the_names_it_has(
    serve: Serve, kind: Any, row: Any
) -> None:
    wrong = kind({"g0" if name == "f0" else name: value for name, value in row.items()})
    before = dict(wrong)
    for ask in (serve().predict_single, lambda one: serve().predict_batch([one])):
        with pytest.raises(MissingFeatureError, match="'f0'"):
            ask(wrong)
    assert dict(wrong) == before
    assert serve().predict_single(kind(row)).valid


def test_a_payload_with_none_in_it_is_a_frame_with_a_missing_value(serve: Serve, row: Any) -> None:
    pandas = pytest.importorskip("pandas")
    lenient = serve(specs=[spec(name, missing=True) for name in NAMES])
    for nothing in (None, pandas.NA, float("nan")):
        payload = pandas.DataFrame([{**row, "f1": nothing}])
        with pytest.raises(OutputValueError):  # the model was asked, and this graph answers NaN to NaN
            lenient.predict(payload)
        with pytest.raises(MissingValueError, match="'f1'"):
            serve().predict(payload)
    with pytest.raises(FeatureTypeError, match="'f1' holds str 'a'"):
        lenient.predict(pandas.DataFrame([{**row, "f1": "a"}]).astype(object))


class _TimeIsUpError(Exception):
    """What a task queue's soft time limit raises from its signal handler."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="POSIX only")
def test_what_a_signal_handler_raises_reaches_the_caller(serve: Serve, row: Any) -> None:
    deployment = serve()

    def handler(*_: Any) -> None:
        raise _TimeIsUpError

    before = signal.signal(signal.SIGALRM, handler)
    reached = 0
    gc.disable()  # whatever is raised while the collector calls back (hypothesis does) reaches nobody
    try:
        for _ in range(40):
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            try:
                for _ in range(200_000):
                    deployment.predict_single(row)
            except _TimeIsUpError:
                reached += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert reached == 40
    assert deployment.predict_single(row).valid


def test_decimals_are_numbers(serve: Serve, row: Any) -> None:
    wanted = serve().predict_single(row).probabilities
    exact = {name: Decimal(repr(value)) for name, value in row.items()}
    assert serve().predict_single(exact).probabilities == wanted
    table = pa.table({name: [value] for name, value in exact.items()})
    assert tuple(serve().predict(table).probabilities[0].tolist()) == tuple(wanted)
    with pytest.raises(MissingValueError, match="'f1'"):
        serve().predict_single({**exact, "f1": Decimal("NaN")})
    with pytest.raises(FeatureTypeError, match="'f1'"):
        serve().predict_single({**exact, "f1": Decimal("sNaN")})


class Plan(enum.StrEnum):
    """Named otherwise than its values."""

    MIDDLE = "plus"


class OldPlan(str, enum.Enum):  # noqa: UP042 - `str` makes its name of it
    MIDDLE = "plus"


@pytest.mark.parametrize("member", [Plan.MIDDLE, OldPlan.MIDDLE, np.str_("plus")])
def test_a_member_of_an_enumeration_of_texts_is_that_text(serve: Serve, mixed: Any, member: str) -> None:
    onnx, _, _, contract = mixed
    model = serve(onnx, contract.features, classes=contract.classes)
    rows = [{"plan": plan, "visits": 3, "spend": 20.0} for plan in ("plus", member)]
    wanted, found = (model.predict_single(row).probabilities for row in rows)
    assert found == wanted
    assert model.predict_batch(rows).probabilities.tolist() == [wanted, wanted]


def test_a_row_that_names_a_feature_twice_is_refused(serve: Serve, row: Any) -> None:
    doubled = pd.concat([pd.Series(row), pd.Series({"f0": 9.0})])
    with pytest.raises(ExtraFeatureError, match="given more than once: 'f0'"):
        serve().predict_single(doubled)


def test_a_field_of_several_values_is_a_wrong_shape(serve: Serve) -> None:
    nested = np.zeros(2, dtype=[("f0", "f8", (2,)), ("f1", "f8"), ("f2", "f8"), ("f3", "f8")])
    with pytest.raises(ShapeError, match="field 'f0' holds \\[2\\] values a row"):
        serve().predict(nested)


def test_a_masked_value_is_missing_and_a_decimal_beyond_doubles_is_no_infinity(
    serve: Serve, row: Any
) -> None:
    with pytest.raises(MissingValueError):
        serve().predict_single({**row, "f0": np.ma.masked})
    model = serve(allow_infinite=True)
    assert model.predict_single({**row, "f0": Decimal("Infinity")}).label == 1
    with pytest.raises(NumberRangeError, match="float64 cannot hold"):
        model.predict_single({**row, "f0": Decimal("1e999")})
