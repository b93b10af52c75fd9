"""What a worker tells of its model, held to a form: a worker that ran somebody's code may answer anything."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from validator.errors import WorkerError
from validator.model.safety import SafetyReport
from validator.results import Hazard, Scalar

_HINT = "the model interferes with its worker; do not ship it"
_TOO_LONG = (
    "save the model with shorter names; if it has none so long, it interferes with its worker: do not ship it"
)
_NO_TEXT = (
    "give the columns and classes names that UTF-8 can write (no lone surrogates), and save the model again"
)
_Name = Annotated[str, Field(max_length=1_000)]
_Figures = Annotated[dict[_Name, float], Field(max_length=200)]
_Count = Annotated[int, Field(ge=0, le=10_000_000)]

_Values = Annotated[tuple[Scalar, ...], Field(max_length=1_000_000)]


class WorkerReply(BaseModel):
    """Whatever is told beyond the form is dropped."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())


class Breakpoint(WorkerReply):
    """Where a step's answer changes abruptly: the values at which it does, in the step's own column."""

    step: _Name
    what: _Name
    column: _Count
    values: Annotated[tuple[Scalar | tuple[Scalar, ...], ...], Field(max_length=2_000)]


class RuntimeFacts(WorkerReply):
    """What a worker says of the model that it loaded: of an ONNX file its columns, of a wrapper its methods.

    `methods` are by what they are for, `absent` those that it has not; `loaders` are methods that would take the
    model's path, where nothing of the wrapper was handed it (`has_path`).
    """

    n_features: _Count | None = None
    columns: Annotated[tuple[tuple[_Name, _Name], ...], Field(max_length=1_000_000)] = ()
    is_matrix: bool = True
    input_dtype: _Name = ""
    methods: Annotated[dict[_Name, _Name], Field(max_length=10)] = {}
    absent: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()
    wrapper: _Name = ""
    mlflow: bool = False
    has_path: bool = True
    loaders: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()


class TrainedColumn(WorkerReply):
    """What a model knows of a column that it was trained on: its categories, whether values were missing, and what
    numbers there were.

    None where it does not tell. `column` is its number; `answers_others`: it answers categories that it never saw.
    """

    column: _Count
    values: _Values | None = None
    missing: bool | None = None
    numbers: Literal["float", "integer", "bool"] | None = None
    answers_others: bool = True


class Importances(WorkerReply):
    """What the library counts of each feature's use, and that number for each of them."""

    kind: _Name
    values: Annotated[tuple[float, ...], Field(max_length=1_000_000)] = ()


class NativeFacts(WorkerReply):
    """What the exporting worker says of the native model. Everything else that it says is dropped."""

    library: _Name
    model_class: _Name
    task: _Name | None = None
    classes: Annotated[tuple[Scalar, ...], Field(max_length=10_000)] | None = None
    feature_names: Annotated[tuple[_Name, ...], Field(max_length=1_000_000)] | None = None
    unused: Annotated[tuple[_Name, ...], Field(max_length=1_000_000)] = ()
    free_texts: Annotated[tuple[_Name, ...], Field(max_length=1_000_000)] = ()
    n_features: _Count | None = None
    n_outputs: _Count = 1
    sums_to_one: bool = True
    single: bool = False
    reading: Annotated[str, Field(max_length=1_000)] = ""
    reading_marked: bool = True
    category_columns: Annotated[tuple[_Count, ...], Field(max_length=1_000_000)] | None = ()
    categories: Annotated[tuple[_Values, ...], Field(max_length=1_000_000)] = ()
    trained_on: Annotated[tuple[TrainedColumn, ...], Field(max_length=1_000_000)] = ()
    breakpoints: Annotated[tuple[Breakpoint, ...], Field(max_length=100_000)] = ()
    importance: Importances | None = None


class ExportedTrees(WorkerReply):
    """A model's serialised trees: a header, and the names of the arrays that come with it."""

    header: dict[str, Any]
    names: tuple[_Name, ...]


class Conversion(WorkerReply):
    """What the converting worker did."""

    converted: bool
    method: Literal["exact", "skl2onnx"] = "exact"
    input_dtype: _Name = ""
    hazards: Annotated[tuple[Hazard, ...], Field(max_length=1_000)] = ()
    reason: Annotated[str, Field(max_length=1_000)] = ""


def safety_report(told: Any, worker: str) -> SafetyReport:
    """A scan's report. Raises WorkerError where it is none."""
    try:
        return SafetyReport.from_dict(told)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise WorkerError(
            f"the {worker} worker sent a malformed report: {error!r:.200}", hint=_HINT
        ) from error


class SpoiltEnding(WorkerReply):
    """How one spoilt row ended: whether its answer is finite, or the error where `finite` is None."""

    finite: bool | None = None
    error: dict[str, Any] | None = None


class Endings(WorkerReply):
    endings: Annotated[tuple[SpoiltEnding, ...], Field(max_length=10_000)]


class WrapperMetadata(WorkerReply):
    """What the wrapper tells of its model, as texts by name; None where it tells nothing."""

    metadata: Annotated[dict[_Name, _Name], Field(max_length=1_000)] | None = None


class LatencyGrowth(WorkerReply):
    """The wrapper's latency figures before and after one call to each method, by what that is for."""

    tracked: bool
    growth: Annotated[dict[_Name, tuple[_Figures | None, _Figures | None]], Field(max_length=10)] = {}


class SabotageTrial(WorkerReply):
    """What the method for `method` did while its model answered `what`: the error, or how its answer was."""

    method: _Name
    what: _Name
    error: _Name | None = None
    message: _Name = ""
    unmoved: bool = False
    sound: bool = False
    stated: bool = False


class ReuseTrial(WorkerReply):
    """What became of the object that the method for `method` was given twice.

    `kept`: it is as it was; `again`: it was answered alike; `apart`: the first answer outlives further calls;
    `fresh`: with other values in it, it is answered as a new object with these values is;
    `ordered`: its rows come as they were given, rather than by its index.
    """

    method: _Name
    given: _Name
    kept: bool
    again: bool
    apart: bool
    fresh: bool = True
    ordered: bool = True


class LabelTrial(WorkerReply):
    """Rows of a frame with such labels: answered alike, otherwise, or refused with the error's `message`."""

    labels: _Name
    ending: Literal["alike", "other", "refused"]
    message: _Name = ""


class Reuse(WorkerReply):
    """One trial a method, and one for each kind of labels that a frame's rows can have."""

    trials: Annotated[tuple[ReuseTrial, ...], Field(max_length=10)] = ()
    labels: Annotated[tuple[LabelTrial, ...], Field(max_length=10)] = ()


class WrongForm(WorkerReply):
    """A form in which rows are refused, with the error's `message`, or answered otherwise, and in which columns."""

    form: _Name
    columns: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()
    message: _Name = ""


class Forms(WorkerReply):
    """The forms in which the sample's own rows were given."""

    tried: Annotated[tuple[_Name, ...], Field(max_length=20)] = ()
    wrong: WrongForm | None = None


class Sabotage(WorkerReply):
    """Which models were made to answer nonsense, and what came of it."""

    models: Annotated[tuple[_Name, ...], Field(max_length=100)] = ()
    trials: Annotated[tuple[SabotageTrial, ...], Field(max_length=100)] = ()


_T = TypeVar("_T", bound=WorkerReply)


def read(kind: type[_T], told: Any, worker: str) -> _T:
    """Raises WorkerError where it has another form, naming the place."""
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "answer"
        if first["type"] == "string_too_long":
            raise WorkerError(
                f"{place} is a text of more than {first['ctx']['max_length']:,} characters"[:1_000],
                hint=_TOO_LONG,
            ) from error
        if first["type"] == "string_unicode":
            raise WorkerError(
                f"{place} is no text: it holds half of a character"[:1_000], hint=_NO_TEXT
            ) from error
        raise WorkerError(
            f"the {worker} worker sent a malformed answer: {place}: {first['msg']}"[:1_000], hint=_HINT
        ) from error
