"""The sample's own rows in the forms that callers have: which form is not answered alike, and for which column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.unit.serving.conftest import contract_of, features, logistic_graph
from validator.outputs import Outputs
from validator.results import FeatureSpec
from validator.serving import Deployment
from validator.table import Table
from validator.worker.arrow_table import to_table
from validator.worker.forms import answer_forms, typed
from validator.worker.jobs.deployment import DeploymentModel
from validator.worker.rows_as_given import stream, telling

ROWS = pa.table(
    {
        "f0": pa.array([0.5, None, 1.5]),
        "f1": pa.array([True, False, None]),
        "f2": pa.array([1, 2, None], pa.int32()),
        "f3": pa.array(["0.25", "1.50", None]).cast(pa.decimal128(8, 2)),
    }
)
SPECS = (
    *features("f0", missing=True),
    FeatureSpec(name="f1", dtype="bool", missing=True),
    *features("f2", "f3", missing=True),
)
FORMS = [
    "a pandas DataFrame",
    "a DataFrame of nullable types",
    "a DataFrame of Arrow types",
    "an Arrow table",
    "a list of mappings",
    "JSON",
    "one mapping",
]


def deployment(specs: Any = SPECS) -> DeploymentModel:
    contract = contract_of(specs).model_dump(mode="json") | {"schema_version": 1}
    clean = [
        ("IsNaN", ["p"], ["odd"], {}),
        ("Where", ["odd", "half", "p"], ["probabilities"], {}),
    ]
    return DeploymentModel(Deployment.for_validation(onnx=_with_half(clean), contract=contract))


def _with_half(tail: Any) -> bytes:
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(logistic_graph(tail=tail))
    model.graph.initializer.append(numpy_helper.from_array(np.full((1, 1), 0.5), "half"))
    return bytes(model.SerializeToString())


def asked(model: Any, rows: Any = ROWS, *, change: Any = None) -> tuple[list[str], dict[str, Any] | None]:
    def ask(method: str, given: Any) -> Outputs:
        outputs = model.predict((getattr(model.deployment, method), given))
        return outputs if change is None else change(method, given, outputs)

    return answer_forms(ask, rows, as_table(rows))


def as_table(rows: Any) -> Table:
    return to_table(rows.combine_chunks().to_batches()[0], "sample", ())


def test_nulls_among_truth_values_decimals_and_whole_numbers_are_answered_alike_in_every_form() -> None:
    assert asked(deployment()) == (FORMS, None)


@pytest.mark.parametrize("dtype", ["float64", "int64"])
def test_a_deployment_of_another_contract_is_found_out(dtype: str) -> None:
    """As the contract was when the reader turned truth values into floats: `smoke.forms` names form and column."""
    specs = (SPECS[0], FeatureSpec(name="f1", dtype=dtype, missing=True), *SPECS[2:])
    model = deployment(specs)
    model_ask = model.predict
    told = answer_forms(
        lambda method, given: model_ask((getattr(model.deployment, method), _as_floats(given))),
        ROWS,
        as_table(ROWS),
    )[1]
    assert told is not None
    assert told["form"] == "a pandas DataFrame"
    assert told["columns"] == ["f1"]
    assert "FeatureTypeError" in told["message"]
    assert f"holds bool True where {dtype} belongs" in told["message"]


def _as_floats(given: Any) -> Any:
    """The gate's own columns, cast as they once were; what callers give stays as it is."""
    if not isinstance(given, dict) or not isinstance(given["f1"], np.ndarray):
        return given
    return {**given, "f1": given["f1"].astype(float)}


def test_a_column_that_is_answered_otherwise_is_named() -> None:
    def change(method: str, given: Any, outputs: Outputs) -> Outputs:
        as_objects = isinstance(given, dict) and isinstance(given["f2"], list)
        if as_objects or not isinstance(given, dict):
            return Outputs(**{**outputs.present, "probabilities": outputs.probabilities / 2})  # type: ignore[operator]
        return outputs

    told = asked(deployment(), change=change)[1]
    assert told == {"form": "a pandas DataFrame", "columns": ["f2"], "message": ""}


def test_json_has_no_infinity_and_is_not_tried_then() -> None:
    specs = features("f0", "f1", "f2", "f3")
    contract = contract_of(specs, allow_infinite=True).model_dump(mode="json") | {"schema_version": 1}
    model = DeploymentModel(Deployment.for_validation(onnx=logistic_graph(), contract=contract))
    rows = pa.table({f"f{i}": [1.0, np.inf if i == 0 else 2.0] for i in range(4)})
    assert asked(model, rows) == ([form for form in FORMS if form != "JSON"], None)


def test_digits_of_a_csv_file_are_text_where_the_models_categories_are() -> None:
    from validator.model.categories import as_categories

    rows = pa.table({"f0": [1, 2, 1], "f1": [1.0, 2.0, 3.0]})
    table = as_categories(as_table(rows), {"f0": ("1", "2")})
    assert typed(rows, table).to_pydict() == {"f0": ["1", "2", "1"], "f1": [1.0, 2.0, 3.0]}


def test_the_first_rows_are_given_and_for_each_column_one_where_it_is_missing() -> None:
    batch = pa.record_batch({"a": [*range(50), None], "b": [None, *range(50)], "c": [*range(51)]})
    found = telling(batch, 10)
    assert found.column("c").to_pylist() == [0, 1, 2, 3, 4, 50]
    with pa.ipc.open_stream(pa.py_buffer(stream(found))) as reader:
        assert reader.read_all().to_batches()[0].equals(found)


def test_truth_values_with_nulls_stay_truth_values_for_the_contract() -> None:
    from validator.model.contract import Observer
    from validator.sandbox.packing import pack_table, unpack_table

    observer = Observer()
    for values in ([True, False], [None, True], [None, None]):
        table = as_table(pa.table({"vip": pa.array(values, pa.bool_())}))
        observer.observe(unpack_table(*pack_table(table)).take(slice(0, 2)))
    (feature,) = observer.features
    assert (feature.dtype, feature.missing, feature.minimum) == ("bool", True, None)
