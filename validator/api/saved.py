"""Models and samples in memory, written to files: the gate judges what is on disk, as a deployment loads it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validator.arrow_types import plain_types
from validator.errors import UsageError

_FORMS = (
    "a path, a DataFrame (pandas, Polars), an Arrow table, a mapping of columns, an array [N, F], or (X, y)"
)
_TARGET = "y"


def saved(model: Any, data: Any, folder: Path, target: str | None = None) -> dict[str, Any]:
    """The settings `model` and `data` as paths, what is no path written to `folder`; `target` too for a pair (X, y).

    Raises UsageError for what cannot be written.
    """
    found: dict[str, Any] = {"model": [_model(model, folder)]}
    if isinstance(data, tuple):
        found["target"] = target or _TARGET
        found["data"] = _pair(data, found["target"], folder)
    elif data is not None:
        found["data"] = _data(data, folder)
    return found


def _model(model: Any, folder: Path) -> str:
    if isinstance(model, (str, os.PathLike)):
        return str(os.fspath(model))
    if model is None or isinstance(model, type):
        raise UsageError(f"{model!r:.100} is no model", hint="give a trained model, or the path of its file")
    path = folder / f"{type(model).__name__}.pkl"
    if _is_a("onnx", "ModelProto", model):
        path = path.with_suffix(".onnx")
        path.write_bytes(model.SerializeToString())
        return str(path)
    try:
        path.write_bytes(pickle.dumps(model, protocol=5))
    except Exception as error:  # a class may raise anything while it is pickled
        raise UsageError(
            f"this {type(model).__name__} cannot be pickled: {error}"[:500],
            hint="save it in a form of its library's own, and give the path",
        ) from error
    return str(path)


def _data(data: Any, folder: Path) -> str:
    if isinstance(data, (str, os.PathLike)):
        return str(os.fspath(data))
    if _is_a("numpy", "ndarray", data):
        return _array(data, folder)
    path = folder / "sample.parquet"
    try:
        table = _table(data)
        import pyarrow.parquet as pq

        pq.write_table(table, path)
    except (TypeError, ValueError, NotImplementedError) as error:  # pyarrow's own are these by inheritance
        raise UsageError(
            f"the sample cannot be written as Parquet: {error}"[:500],
            hint="give each column values of one type, and a name of its own",
        ) from error
    return str(path)


def _pair(data: tuple[Any, ...], target: str, folder: Path) -> str:
    """Features and true answers, as scikit-learn takes them, as one sample with a column `target`."""
    import numpy as np

    if len(data) != 2:
        raise UsageError(f"a sample may not be a tuple of {len(data)}", hint=f"give {_FORMS}")
    features, answers = data
    truth = np.asarray(answers)
    is_array = _is_a("numpy", "ndarray", features)
    table = features if is_array else _table(features)
    if truth.ndim != 1 or len(truth) != len(table):
        raise UsageError(
            f"y has shape {truth.shape} for {len(table)} rows of X", hint="give one true answer a row"
        )
    if is_array:
        return _array(features, folder, {target: truth})
    if target in table.column_names:
        raise UsageError(f"X has a column {target!r} already", hint="name the target otherwise: target=...")
    return _data(table.append_column(target, [truth]), folder)


def _table(data: Any) -> Any:
    import pyarrow as pa

    if _is_a("pandas", "DataFrame", data):
        return pa.Table.from_pandas(data, preserve_index=False).replace_schema_metadata()
    if isinstance(data, Mapping):
        return plain_types(pa.table({name: _column(values) for name, values in data.items()}))
    exports = hasattr(type(data), "__arrow_c_stream__") and (
        hasattr(data, "columns") or hasattr(data, "schema")
    )
    if exports or isinstance(data, pa.RecordBatch):
        return plain_types(pa.table(data))  # Polars' frames and DuckDB's relations among them
    wanted = "call its collect(), and give the frame" if hasattr(data, "collect") else f"give {_FORMS}"
    raise UsageError(f"a sample may not be a {type(data).__name__}", hint=wanted)


def _column(values: Any) -> Any:
    import pyarrow as pa

    return pa.chunked_array(values) if hasattr(type(values), "__arrow_c_stream__") else pa.array(values)


def _array(data: Any, folder: Path, further: Mapping[str, Any] | None = None) -> str:
    import numpy as np

    if data.ndim != 2 or data.dtype.kind not in "fiub":
        raise UsageError(
            f"an array of shape {data.shape} and type {data.dtype} is no sample",
            hint=f"give {_FORMS}",
        )
    path = folder / "sample.npz"
    np.savez(path, **{"X": data, **(further or {})})
    return str(path)


def _is_a(module: str, name: str, value: Any) -> bool:
    """Whether it is of that class, without importing a library that the caller does not use."""
    known = sys.modules.get(module)
    return known is not None and isinstance(value, getattr(known, name))
