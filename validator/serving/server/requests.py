"""From the body of a request to columns by feature name: the protocol's form, and rows as people write them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from validator.serving.server.problem import RequestError, shown
from validator.serving.server.tensors import Tensor, read_tensor

_ROWS_HINT = 'send {"rows": [{"feature": value, …}, …]}'
_MATRIX = "features"
_ONE = ([1], [1, 1])


@dataclass(slots=True)
class Asked:
    """What a request asks. Either `row` (one row, by feature name) or `columns` (lists or arrays [N]) is there.

    `id` is the caller's own. `outputs` are those wanted, None for all; `binary` those wanted in binary form, True for
    all.
    """

    row: dict[str, Any] | None = None
    rows: list[dict[str, Any]] | None = None
    columns: dict[str, Any] | None = None
    n_rows: int = 1
    id: str | None = None
    outputs: tuple[str, ...] | None = None
    binary: bool | frozenset[str] = False


class RequestReader:
    """Reads bodies within limits.

    Parameters
    ----------
    datatypes
        The protocol's datatype by feature, in the contract's order: FP64, INT64, BYTES or BOOL.
    max_rows
        More rows than this are refused.
    allow_positional
        Whether a matrix without names of its columns is taken, in the contract's order.
    """

    def __init__(self, datatypes: Mapping[str, str], *, max_rows: int, allow_positional: bool) -> None:
        self._names = tuple(datatypes)
        plain = {"FP64": float, "INT64": int, "BYTES": str, "BOOL": bool}
        self._plain = {name: (datatype, plain[datatype]) for name, datatype in datatypes.items()}
        self._max_rows = max_rows
        self._allow_positional = allow_positional

    def rows(self, body: bytes, _json_length: int | None = None) -> Asked:
        """`{"rows": [{…}]}`. Raises RequestError."""
        document = _object(body)
        rows = document.get("rows")
        if type(rows) is not list:
            raise RequestError("the body has no list `rows`", hint=_ROWS_HINT)
        unknown = [key for key in document if key not in ("rows", "id")]
        if unknown:
            raise RequestError(f"the body holds {shown(unknown[0])}, which is unknown", hint=_ROWS_HINT)
        self._check_count(len(rows))
        for i, row in enumerate(rows):
            if type(row) is not dict:
                raise RequestError(f"row {i} is {shown(row)}, not an object", hint=_ROWS_HINT)
        if len(rows) == 1:
            return Asked(row=rows[0], id=_id(document))
        return Asked(rows=rows, n_rows=len(rows), id=_id(document))

    def tensors(self, body: bytes, json_length: int | None = None) -> Asked:
        """The protocol's request; `json_length` is where JSON ends and binary data begins. Raises RequestError."""
        binary: memoryview | None = None
        if json_length is not None:
            if json_length > len(body):
                raise RequestError(
                    "Inference-Header-Content-Length is beyond the body", hint="give the length of the JSON"
                )
            binary, body = memoryview(body)[json_length:], body[:json_length]
        document = _object(body)
        inputs = document.get("inputs")
        if type(inputs) is not list or not inputs:
            raise RequestError("the body has no list `inputs`", hint="give one tensor a feature; see /docs")
        if len(inputs) > 2 * len(self._names) + 16:
            raise RequestError(f"the body has {len(inputs)} inputs", hint="give one tensor a feature")
        if binary is None and len(document) == 1:
            row = self._plain_row(inputs)
            if row is not None:
                return Asked(row=row)
        tensors = []
        offset = 0
        for item in inputs:
            tensor, offset = read_tensor(item, binary, offset)
            tensors.append(tensor)
        if binary is not None and offset != len(binary):
            raise RequestError(
                "there is more binary data than the inputs announce", hint="check each binary_data_size"
            )
        asked = self._columns(tensors, document.get("parameters"))
        asked.id = _id(document)
        if "outputs" in document or "parameters" in document:
            asked.outputs, asked.binary = _wanted(document)
        return asked

    def _plain_row(self, inputs: list[Any]) -> dict[str, Any] | None:
        """The commonest request by the shortest way: one row, each feature in its own datatype. None for all others,
        which take the way that says what is wrong; it never takes what that would refuse.
        """
        if len(inputs) != len(self._names):
            return None
        row = {}
        try:
            for item in inputs:
                name, shape, data = item["name"], item["shape"], item["data"]
                datatype, kind = self._plain[name]
                if item["datatype"] != datatype or len(item) != 4 or len(data) != 1 or type(data) is not list:
                    return None
                value = data[0]
                if type(value) is not kind or shape not in _ONE or type(shape[0]) is not int:
                    return None
                if type(value) is int and not -(2**63) <= value < 2**63:
                    return None
                row[name] = value
        except (KeyError, TypeError, IndexError):
            return None
        return row if len(row) == len(inputs) else None

    def _columns(self, tensors: list[Tensor], parameters: Any) -> Asked:
        first = tensors[0]
        if len(tensors) == 1 and self._is_matrix(first):
            columns = self._of_matrix(first, parameters)
        else:
            columns = {tensor.name: tensor.values for tensor in tensors}
            if len(columns) != len(tensors):
                raise RequestError("an input's name stands twice", hint="give one tensor a feature")
            for tensor in tensors:
                shape = tensor.shape
                if len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
                    raise RequestError(
                        f"input {shown(tensor.name)} has shape {list(shape)}",
                        hint="give each feature as [N] or [N, 1]; one matrix of all features is named `features` and "
                        "says in parameters.columns which they are",
                        kind="ShapeError",
                    )
        lengths = {len(values) for values in columns.values()}
        if len(lengths) != 1:
            raise RequestError(
                f"the inputs hold {', '.join(map(str, sorted(lengths)[:5]))} rows",
                hint="give one value a row in every input",
                kind="ShapeError",
            )
        n_rows = lengths.pop()
        self._check_count(n_rows)
        if n_rows == 1:
            return Asked(row={name: _plain(values[0]) for name, values in columns.items()})
        return Asked(columns=columns, n_rows=n_rows)

    def _is_matrix(self, tensor: Tensor) -> bool:
        """One tensor of all features, unless it is the only feature's own."""
        if tensor.columns is not None or (tensor.name == _MATRIX and _MATRIX not in self._names):
            return True
        return len(tensor.shape) == 2 and tensor.shape[1] != 1 and tensor.name not in self._names

    def _of_matrix(self, tensor: Tensor, parameters: Any) -> dict[str, Any]:
        names = tensor.columns
        if names is None and type(parameters) is dict and "columns" in parameters:
            given = parameters["columns"]
            names = (
                tuple(given.split(",")) if type(given) is str else tuple(given) if type(given) is list else ()
            )
        if names is None and self._allow_positional:
            names = self._names
        if names is None:
            raise RequestError(
                f"input {shown(tensor.name)} does not say which features its columns are",
                hint='name them in its parameters: {"columns": ["…"]}, or send one tensor a feature',
                kind="MissingFeatureError",
                status=422,
            )
        if len(set(names)) != len(names) or not all(type(name) is str for name in names):
            raise RequestError("a name stands twice in parameters.columns", hint="name each column once")
        if len(tensor.shape) != 2 or tensor.shape[1] != len(names):
            raise RequestError(
                f"input {shown(tensor.name)} has shape {list(tensor.shape)} for {len(names)} columns",
                hint=f"give [N, {len(names)}]",
                kind="ShapeError",
            )
        width = len(names)
        return {name: tensor.values[i::width] for i, name in enumerate(names)}

    def _check_count(self, n_rows: int) -> None:
        if n_rows > self._max_rows:
            raise RequestError(
                f"{n_rows:,} rows are more than the {self._max_rows:,} that one request may hold",
                hint="send several requests",
                status=413,
                kind="TooManyRowsError",
            )


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            f"the body is not JSON: {error.msg} at character {error.pos}", hint="send JSON"
        ) from error
    if type(document) is not dict:
        raise RequestError("the body is not a JSON object", hint="see /docs for the form of a request")
    return document


def _id(document: Mapping[str, Any]) -> str | None:
    given = document.get("id")
    if given is not None and (type(given) is not str or len(given) > 200):
        raise RequestError(
            "the id is not a text of at most 200 characters", hint="leave it out, or give a text"
        )
    return given


def _wanted(document: Mapping[str, Any]) -> tuple[tuple[str, ...] | None, bool | frozenset[str]]:
    parameters = document.get("parameters")
    every = type(parameters) is dict and parameters.get("binary_data_output") is True
    outputs = document.get("outputs")
    if not (parameters is None or type(parameters) is dict):
        raise RequestError(f"`parameters` is {shown(parameters)}, not an object", hint="leave it out")
    if outputs is None or outputs == []:
        return None, every
    names: list[str] = []
    binary = set()
    if type(outputs) is not list or len(outputs) > 100:
        raise RequestError("`outputs` is no list", hint='give [{"name": "…"}]')
    for item in outputs:
        name = item.get("name") if type(item) is dict else None
        if type(name) is not str or name in names:
            raise RequestError(f"an output is {shown(item)}", hint='give each output once: [{"name": "…"}]')
        own = item.get("parameters")
        flag = own.get("binary_data") if type(own) is dict else None
        if flag is True or (every and flag is not False):
            binary.add(name)
        names.append(name)
    return tuple(names), frozenset(binary)


def _plain(value: Any) -> Any:
    """One value of a list or an array as Python has it."""
    return value.item() if hasattr(value, "item") else value
