"""Arrow's spellings of text and categories: what comes out holds the same in the types that everybody takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from validator.arrow_types import plain_types
from validator.worker.arrow_table import to_table
from validator.worker.jobs.sample import read_batches
from validator.worker.rows_as_given import stream, telling

VIEW = pa.array(["a", None, "c"], pa.string_view())
TEXT = pa.array(["x", "y", "z"], pa.string_view())


def codes(values: Any, known: Any, kind: Any = None) -> Any:
    return pa.DictionaryArray.from_arrays(pa.array(values, kind or pa.uint32()), known)


ODD = {
    "view": VIEW,
    "unsigned": codes([2, None, 0], pa.array(["x", "y", "z"])),
    "view of codes": codes([2, None, 0], TEXT, pa.int8()),
    "both": codes([2, None, 0], TEXT, pa.uint8()),
    "numbers": codes([1, None, 0], pa.array([0.5, 2.5])),
    "null among them": codes([1, 2, 0], pa.array(["x", None, "z"]), pa.int32()),
    "null among views": codes([1, 2, 0], pa.array([None, "x", "z"], pa.string_view())),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("whole", [False, True])
def test_values_stay_and_types_become_plain(name: str, whole: bool) -> None:
    array = ODD[name]
    columns = {"n": pa.array([1, 2, 3]), "odd": array}
    given = (
        pa.table({**columns, "odd": pa.chunked_array([array, array[:0]])})
        if whole
        else pa.record_batch(columns)
    )
    found = plain_types(given)
    assert found.column("odd").to_pylist() == array.to_pylist()
    kind = found.schema.field("odd").type
    if pa.types.is_dictionary(kind):
        assert pa.types.is_signed_integer(kind.index_type)
        kind = kind.value_type
    assert kind in (pa.string(), pa.float64())
    assert found.column("n").to_pylist() == [1, 2, 3]


def test_an_order_of_categories_stays_and_plain_columns_are_not_touched() -> None:
    ordered = pa.DictionaryArray.from_arrays(
        pa.array([1, 0], pa.uint8()), pa.array(["lo", "hi"]), ordered=True
    )
    assert plain_types(pa.record_batch({"o": ordered})).schema.field("o").type.ordered
    plain = pa.record_batch({"a": [1.5], "c": pa.array(["x"]).dictionary_encode(), "s": ["t"]})
    assert plain_types(plain) is plain
    assert plain_types(pa.table({"v": pa.chunked_array([], pa.string_view())})).num_rows == 0


@pytest.mark.parametrize("name", ODD)
def test_a_sample_of_such_columns_is_read(name: str, tmp_path: Path) -> None:
    given = pa.record_batch({"odd": ODD[name]})
    path = tmp_path / "sample.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, given.schema) as writer:
        writer.write_batch(given)
    with path.open("rb") as file:
        (table,) = read_batches(file.fileno(), "arrow", "sample.arrow")
    decoded = [None if value != value else value for value in table.column("odd").decoded().tolist()]
    assert decoded == ODD[name].to_pylist()
    few = telling(plain_types(given), 2)
    assert pa.ipc.open_stream(pa.py_buffer(memoryview(stream(few)))).read_all().num_rows == len(few)
    assert len(to_table(few, "sample", ())) == len(few)
