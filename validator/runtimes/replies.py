"""What a worker tells of its model, held to a form: a worker that ran somebody's code may answer anything."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from validator.errors import WorkerError
from validator.results import Hazard, Scalar

_HINT = "the model interferes with its worker; do not ship it"
_Name = Annotated[str, Field(max_length=1_000)]
_Count = Annotated[int, Field(ge=0, le=10_000_000)]

_Values = Annotated[tuple[Scalar, ...], Field(max_length=1_000_000)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class Knee(_Told):
    """Where a step's answer changes abruptly: the values at which it does, in the step's own column."""

    step: _Name
    what: _Name
    column: _Count
    values: Annotated[tuple[Scalar | tuple[Scalar, ...], ...], Field(max_length=2_000)]


class NativeFacts(_Told):
    """What the native model's worker and the exporting worker say. Everything else that they say is dropped."""

    library: _Name
    model_class: _Name
    task: _Name | None = None
    classes: Annotated[tuple[Scalar, ...], Field(max_length=10_000)] | None = None
    feature_names: Annotated[tuple[_Name, ...], Field(max_length=1_000_000)] | None = None
    n_features: _Count | None = None
    n_outputs: _Count = 1
    sums_to_one: bool = True
    category_columns: Annotated[tuple[_Count, ...], Field(max_length=1_000_000)] | None = ()
    categories: Annotated[tuple[_Values, ...], Field(max_length=1_000_000)] = ()
    knees: Annotated[tuple[Knee, ...], Field(max_length=100_000)] = ()


class ExportedTrees(_Told):
    """A model's serialised trees: a header, and the names of the arrays that come with it."""

    header: dict[str, Any]
    names: tuple[_Name, ...]


class Conversion(_Told):
    """What the converting worker did."""

    converted: bool
    method: Literal["exact", "skl2onnx"] = "exact"
    input_dtype: _Name = ""
    hazards: Annotated[tuple[Hazard, ...], Field(max_length=1_000)] = ()


_T = TypeVar("_T", bound=_Told)


def read(kind: type[_T], told: Any, worker: str) -> _T:
    """Raises WorkerError where it has another form, naming the place."""
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        raise WorkerError(
            f"the {worker} worker sent a malformed answer: {place}: {first['msg']}"[:1_000], hint=_HINT
        ) from error
