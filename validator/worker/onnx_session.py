"""An ONNX Runtime session behind tables and outputs, in the signature of our files and of most others'."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Union

from validator import onnx_runtime
from validator.errors import ModelError
from validator.outputs import NAMES, Outputs
from validator.table import Column, Table


class InputError(ValueError):
    """The table does not fit the model's inputs."""

    hint = "give the columns that the contract names"


def open_session(source: Union[bytes, str], threads: int) -> Any:
    """A quiet session from the file's bytes or its path. Raises ModelError when ONNX Runtime refuses it."""
    try:
        return onnx_runtime.open_session(source, threads=threads)
    except onnx_runtime.SessionError as error:
        raise ModelError(
            f"ONNX Runtime cannot load the model: {error}",
            hint="was it written for a newer opset, or with custom operators?",
        ) from error


class OnnxModel:
    """A session and its signature."""

    def __init__(self, data: bytes, threads: int = 1, outputs: Optional[Mapping[str, str]] = None) -> None:
        """`outputs` says which of the file's outputs ours are, where their names do not."""
        self.session = open_session(data, threads)
        self.signature = [(item.name, item.type, item.shape) for item in self.session.get_inputs()]
        self._output_names = [item.name for item in self.session.get_outputs()]
        self.outputs = _named(self._output_names, outputs or {})
        self._numeric_name = self._find_numeric()

    @property
    def is_matrix(self) -> bool:
        """Whether all features go in as one [N, F] tensor."""
        return len(self.signature) == 1 and len(self.signature[0][2]) == 2 and self.signature[0][2][1] != 1

    @property
    def input_dtype(self) -> str:
        """The number type that inputs round to: the narrowest float among them, else the first input's own."""
        kinds = [onnx_runtime.DTYPES.get(str(kind), str(kind)) for _, kind, _ in self.signature]
        return next((kind for kind in ("float32", "float64") if kind in kinds), kinds[0])

    @property
    def n_features(self) -> Optional[int]:
        if not self.is_matrix:
            return len(self.signature)
        width = self.signature[0][2][1]
        return width if isinstance(width, int) else None

    def inputs(self, table: Table) -> Dict[str, Any]:
        """The table as the session's inputs. Raises InputError when columns are missing or no numbers."""
        if self.is_matrix or (len(self.signature) == 1 and table.is_numeric):
            try:
                return {self.signature[0][0]: table.matrix(self.input_dtype)}
            except ValueError as error:
                raise InputError(str(error)) from error
        missing = [name for name, _, _ in self.signature if name not in table.names]
        if missing:
            raise InputError(f"missing columns: {', '.join(missing[:10])}")
        return {name: _tensor(table.column(name), kind) for name, kind, _ in self.signature}

    def cut(self, table: Table, rows: int, starts: Sequence[int]) -> List[Dict[str, Any]]:
        """The inputs of so many rows from each of `starts` on."""
        whole = self.inputs(table)
        return [{name: values[at : at + rows] for name, values in whole.items()} for at in starts]

    def from_array(self, array: Any) -> Dict[str, Any]:
        return {self.signature[0][0]: array}

    def call(self, given: Dict[str, Any]) -> Any:
        """The one call that is timed: the output that carries numbers."""
        return self.session.run([self._numeric_name], given)[0]

    def predict(self, given: Dict[str, Any]) -> Outputs:
        answers = dict(zip(self.outputs, self.session.run(self._output_names, given)))
        return Outputs(**{name: _tidy(name, array) for name, array in answers.items() if name in NAMES})

    def _find_numeric(self) -> str:
        names: Dict[str, str] = dict(zip(self.outputs, self._output_names))
        for name in ("probabilities", "prediction", "score", "label"):
            if name in names:
                return names[name]
        raise ModelError(
            f"the ONNX model's outputs are {', '.join(self._output_names[:5])}",
            hint="say which of them is label, probabilities, prediction or score: onnx-outputs "
            f"prediction={self._output_names[0]}",
        )


def _named(found: Sequence[str], told: Mapping[str, str]) -> List[str]:
    try:
        return onnx_runtime.output_names(found, told)
    except onnx_runtime.SessionError as error:
        raise ModelError(
            f"the ONNX model does not fit onnx-outputs: {error}", hint="name one of those"
        ) from error


def _tensor(column: Column, kind: str) -> Any:
    """One column as an [N, 1] tensor of the input's type. Raises InputError for text where a number belongs."""
    import numpy as np

    dtype = onnx_runtime.DTYPES.get(kind, "object")
    values = column.decoded()
    if dtype == "object":
        text: List[Any] = ["" if value is None else str(value) for value in values.tolist()]
        return np.array(text, dtype=object).reshape(-1, 1)
    try:
        return np.ascontiguousarray(values, dtype=dtype).reshape(-1, 1)
    except (TypeError, ValueError) as error:
        raise InputError(f"column {column.name!r} is no {dtype}: {error}") from error


def _tidy(name: str, array: Any) -> Any:
    import numpy as np

    if isinstance(array, list):
        return _zipmap(array)
    array = np.asarray(array)
    if array.dtype.kind in "US":
        array = array.astype(object)
    if array.ndim == 2 and array.shape[1] == 1 and name != "probabilities":
        return array[:, 0]
    return array


def _zipmap(rows: List[Any]) -> Any:
    """A ZipMap's list of dictionaries (files made by others) as one array [N, C], float32 as its operator's is."""
    import numpy as np

    return np.array([list(row.values()) for row in rows], dtype=np.float32)
