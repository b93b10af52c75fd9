"""What is in memory is written to files that hold the same, or refused by name."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from validator.api.saved import saved
from validator.errors import UsageError

FRAME = pd.DataFrame({"a": [1.5, 2.5], "c": pd.Categorical(["x", "y"])}, index=[7, 3])


def table(found: dict[str, object]) -> pa.Table:
    return pq.read_table(str(found["data"]))


def test_paths_stay_as_they_are(tmp_path):
    assert saved("m*.pkl", Path("s.csv"), tmp_path) == {"model": ["m*.pkl"], "data": "s.csv"}
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_pickled_under_the_name_of_its_class(tmp_path):
    (path,) = saved(FRAME, None, tmp_path)["model"]
    assert Path(path).name == "DataFrame.pkl"
    assert pickle.loads(Path(path).read_bytes()).equals(FRAME)


def test_an_onnx_model_is_written_as_it_is(tmp_path):
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []))
    (path,) = saved(model, None, tmp_path)["model"]
    assert onnx.load(path) == model


class Exports:
    """A frame of another library, as Polars has them: text as views, unsigned codes."""

    columns = ("a", "c")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        text = pa.array(["x", "y"], pa.string_view())
        codes = pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.uint32()), text)
        return pa.table({"a": [1.5, 2.5], "c": codes}).__arrow_c_stream__(requested_schema)


class ExportsColumn:
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.chunked_array([[1.5, 2.5]]).__arrow_c_stream__(requested_schema)


class Lazy:
    def collect(self) -> Exports:
        return Exports()


ARROW = pa.table({"a": [1.5, 2.5], "c": pa.array(["x", "y"]).dictionary_encode()})


@pytest.mark.parametrize(
    "data",
    [FRAME, ARROW, ARROW.to_batches()[0], Exports(), {"a": ExportsColumn(), "c": ARROW["c"]}],
    ids=["pandas", "arrow", "batch", "polars", "series"],
)
def test_a_table_keeps_columns_types_and_categories_and_loses_its_index(data, tmp_path):
    found = table(saved("m", data, tmp_path))
    assert found.column_names == ["a", "c"]
    assert found["a"].to_pylist() == [1.5, 2.5]
    assert found["c"].to_pylist() == ["x", "y"]
    assert pa.types.is_dictionary(found.schema.field("c").type)


def test_columns_in_a_mapping_may_be_of_any_kind(tmp_path):
    found = table(saved("m", {"a": np.array([1.0]), "b": ["text"]}, tmp_path))
    assert found.to_pylist() == [{"a": 1.0, "b": "text"}]


def test_an_array_is_a_matrix_of_columns_without_names(tmp_path):
    matrix = np.arange(6.0).reshape(3, 2)
    with np.load(saved("m", matrix, tmp_path)["data"]) as found:
        assert found.files == ["X"]
        assert np.array_equal(found["X"], matrix)


@pytest.mark.parametrize("target", [None, "label"])
def test_true_answers_beside_features_are_a_column(target, tmp_path):
    given = saved("m", (FRAME, pd.Series([0, 1], index=[7, 3])), tmp_path, target)
    assert given["target"] == (target or "y")
    assert table(given)[target or "y"].to_pylist() == [0, 1]
    given = saved("m", (Exports(), pa.chunked_array([[0, 1]])), tmp_path, target)
    assert table(given).column_names == ["a", "c", target or "y"]
    given = saved("m", (np.ones((2, 3)), [0, 1]), tmp_path, target)
    with np.load(given["data"]) as found:
        assert found[given["target"]].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("model", "data", "says"),
    [
        (None, None, "None is no model"),
        (dict, None, "<class 'dict'> is no model"),
        (threading.Lock(), None, "this lock cannot be pickled"),
        ("m", [1, 2], "a sample may not be a list"),
        ("m", ExportsColumn(), "a sample may not be a ExportsColumn"),
        ("m", Lazy(), "a sample may not be a Lazy"),
        ("m", (Exports(), [1]), "y has shape (1,) for 2 rows of X"),
        ("m", np.ones(3), "an array of shape (3,)"),
        ("m", np.array([["a"]]), "type <U1 is no sample"),
        ("m", (FRAME,), "a tuple of 1"),
        ("m", (FRAME, [1]), "y has shape (1,) for 2 rows of X"),
        ("m", (FRAME.rename(columns={"a": "y"}), [1, 2]), "X has a column 'y' already"),
        ("m", {"a": [1], "b": [1, 2]}, "cannot be written as Parquet"),
        ("m", pd.DataFrame({"a": [1, object()]}), "cannot be written as Parquet"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(model, data, says, tmp_path):
    with pytest.raises(UsageError) as error:
        saved(model, data, tmp_path)
    assert says in error.value.message
    assert error.value.hint
