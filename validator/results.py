"""What a run found, as frozen values: the schema of `result.json`.

Everything that reports, publishes or compares runs reads these values and nothing else. They import nothing
of the project, know no clock and no disk, and are strict: a `result.json` with an unknown field, a wrong type
or an absurd size is refused, because the publishing half of the two-workflow pattern reads files from forks.

`SCHEMA_VERSION` rises with whatever changes in what may be written, a new field too, and no more than once a release;
every earlier number is still read (`_upgraded`). docs/result.md says what that means for readers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from validator.shapes import Histogram, Shapes

#: Of `result.json` as it is written. Earlier ones are read too, from 1.
SCHEMA_VERSION: Literal[2] = 2
#: Of `index.json`.
INDEX_SCHEMA: Literal[1] = 1

Status = Literal["pass", "fail", "warn", "skip", "error"]
VerdictName = Literal["pass", "fail"]
RuntimeName = Literal["", "native", "onnx", "deployment", "wrapper"]
Category = Literal[
    "load", "convert", "parity", "smoke", "errors", "latency", "quality", "profile", "wrapper", "version"
]
Task = Literal["binary", "multiclass", "multilabel", "regression", "ranking", "outlier", "unknown"]
ParityLevel = Literal["proved", "proved for rows without missing values", "measured", "none"]
Method = Literal["exact", "skl2onnx", "none"]

Name = Annotated[str, Field(max_length=1_000)]
Text = Annotated[str, Field(max_length=100_000)]
Scalar = bool | int | float | Annotated[str, Field(max_length=10_000)] | None
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Value(BaseModel):
    """Base of every result: frozen, strict about names, NaN and infinity written as strings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )


class Evidence(Value):
    """One thing a check saw. `volatile` marks what differs between two runs of the same commit (times)."""

    name: Name
    seen: Scalar
    allowed: Name = ""
    volatile: bool = False


class CheckResult(Value):
    """The outcome of one check on one runtime (`runtime` is empty where it concerns none in particular).

    `message` says what was seen and what was allowed; `hint` what to do about it, empty when there is nothing
    to do. `waived` holds the reason and expiry date when the user has accepted this failure for a time.
    """

    id: Annotated[str, Field(pattern=r"^[a-z]+\.[a-z0-9_]+$", max_length=100)]
    runtime: RuntimeName = ""
    category: Category
    status: Status
    title: Name
    message: Text
    evidence: Annotated[tuple[Evidence, ...], Field(fail_fast=True, max_length=200)] = ()
    hint: Text = ""
    seconds: float = 0.0
    required: bool = True
    waived: Name = ""


class ModelInfo(Value):
    """The model file and what is in it. `path` is as the user gave it, relative to the workspace."""

    path: Name
    name: Name
    format: Name
    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]
    framework: Name = ""
    framework_version: Name = ""
    model_class: Name = ""
    task: Task = "unknown"
    n_features: int | None = None


class FeatureSpec(Value):
    """One input column: name, dtype (`float64`, `int64`, `bool`, `string`, `category` ...), what was seen in it.

    `fixed_range` says that minimum and maximum are a promise to which the deployment holds its callers, and not only
    what the sample showed.
    """

    name: Name
    dtype: Name
    minimum: float | None = None
    maximum: float | None = None
    missing: bool = False
    categories: Annotated[tuple[Scalar, ...], Field(fail_fast=True, max_length=1_000_000)] | None = None
    fixed_range: bool = False


class Contract(Value):
    """What the model takes and gives: the promise that the deployment enforces on every call."""

    features: Annotated[tuple[FeatureSpec, ...], Field(fail_fast=True, max_length=100_000)]
    task: Task
    classes: Annotated[tuple[Scalar, ...], Field(fail_fast=True, max_length=10_000)] = ()
    n_outputs: int = 1
    probabilities_sum_to_one: bool = True
    output_minimum: float | None = None
    output_maximum: float | None = None
    allow_missing: bool = False
    allow_infinite: bool = False
    source: Literal["inferred", "fixed"] = "inferred"
    reading: Text = ""
    """which reading is served of a file that has two"""
    onnx_outputs: Annotated[dict[Name, Text], Field(max_length=4)] = {}
    """what an ONNX file that was given calls its outputs, by our names for them; empty where those are usual"""


class Hazard(Value):
    """A known way for this model kind to convert into another model, and what was done about it."""

    id: Name
    message: Text
    action: Literal["repaired", "refused", "noted"]


class Conversion(Value):
    """How the ONNX file was made, of what size and hash; `reason` says why there is none.

    `reading` says which reading was converted of a file that has two.
    """

    method: Method
    seconds: float = 0.0
    onnx_sha256: Sha256 | None = None
    onnx_bytes: int | None = None
    input_dtype: Name = ""
    hazards: Annotated[tuple[Hazard, ...], Field(fail_fast=True, max_length=100)] = ()
    reason: Text = ""
    reading: Text = ""


class Parity(Value):
    """How alike native and ONNX are.

    `bound` is the proved bound on the raw score's difference over all inputs. `leaf_mismatches` counts rows that
    were seen to meet another leaf, of `leaf_rows` that were run; None where leaves cannot be told.
    `passing_tolerance` is the tolerance that would have passed, `worst` the row that needs it. `cast_changes` counts
    rows of the sample whose native answer the cast to a float32 input changes, of the first `cast_rows`; None where
    nothing is cast.
    """

    level: ParityLevel
    rows: int = 0
    boundary_rows: int = 0
    max_abs_diff: float | None = None
    max_ulp_diff: float | None = None
    max_raw_diff: float | None = None
    max_raw_ulps: float | None = None
    label_flips: int = 0
    leaf_mismatches: int | None = None
    leaf_rows: int = 0
    bound: float | None = None
    splits: int | None = None
    tolerance: float | None = None
    tolerance_reason: Text = ""
    passing_tolerance: float | None = None
    worst: Text = ""
    cast_changes: int | None = None
    cast_rows: int = 0
    cast_examples: Annotated[tuple[Text, ...], Field(fail_fast=True)] = ()
    reason: Text = ""


class RuntimeLatency(Value):
    """Single-row latency of one runtime, in milliseconds, and the figures beside it.

    The time that other processes took from `interrupted` of the calls is left out. `p99_low_ms` and `p99_high_ms`
    are the bounds of the p99 at the set confidence; the upper one is missing where the calls are too few.
    """

    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    samples: int
    p99_low_ms: float | None = None
    p99_high_ms: float | None = None
    interrupted: int = 0
    load_ms: float | None = None
    first_call_ms: float | None = None
    peak_memory_bytes: int | None = None


class BatchLatency(Value):
    """Latency of whole batches of `rows` rows on one runtime, in milliseconds."""

    runtime: RuntimeName
    rows: int
    p50_ms: float
    p95_ms: float
    samples: int
    rows_per_second: float
    mean_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


class Ratio(Value):
    """A paired ratio with its bootstrap interval at `confidence`; above 1 the second is the faster."""

    value: float
    low: float
    high: float
    confidence: float = 0.95


class Latency(Value):
    """Every runtime's figures, and how they compare.

    `speedup` is native over ONNX, `against_base` the base version over this one. `threads` is what a session may use,
    `clock` says how time was taken, `stopped` why sampling ended, `distribution` counts single calls in milliseconds.
    """

    native: RuntimeLatency | None = None
    onnx: RuntimeLatency | None = None
    deployment: RuntimeLatency | None = None
    wrapper: RuntimeLatency | None = None
    base: RuntimeLatency | None = None
    speedup: Ratio | None = None
    against_base: Ratio | None = None
    batches: Annotated[tuple[BatchLatency, ...], Field(fail_fast=True, max_length=100)] = ()
    threads: int = 1
    clock: Name = ""
    stopped: Name = ""
    distribution: Histogram | None = None


class MetricResult(Value):
    """One metric over all rows, or over those of a `slice`, where the truth is known.

    `value` is None where it is not defined; `low` and `high` bound it at 95 %, `constant` is what the best constant
    prediction reaches, `limit` what is allowed (`>= 0.6`), empty where nobody set one. `base` is the base version's;
    `difference_low` and `difference_high` bound this version's value minus the base's.
    """

    name: Name
    slice: Name = ""
    rows: int
    value: float | None
    low: float | None = None
    high: float | None = None
    constant: float | None = None
    limit: Name = ""
    base: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None


class RowChange(Value):
    """One row of the sample that the two versions answer otherwise; `difference` where answers are numbers."""

    row: int
    base: Scalar
    candidate: Scalar
    difference: float | None = None


class Change(Value):
    """What this change does to the model, against the version that it would replace."""

    base: Name
    base_version: Name = ""
    origin: Name = ""
    status: Literal["compared", "identical", "none", "unavailable"]
    reason: Text = ""
    rows: int = 0
    label_changes: int | None = None
    score: Name = ""
    score_changes: int | None = None
    score_quantiles: dict[str, float] = {}
    worst_rows: Annotated[tuple[RowChange, ...], Field(fail_fast=True, max_length=100)] = ()
    contract_changes: Annotated[tuple[Text, ...], Field(fail_fast=True, max_length=1_000)] = ()
    costs: dict[str, tuple[float | None, float | None]] = {}


class FileDigest(Value):
    """One file of the artifact."""

    name: Name
    sha256: Sha256
    size_bytes: int


class Artifact(Value):
    """The folder that was written, and what is in it."""

    path: Name
    files: Annotated[tuple[FileDigest, ...], Field(fail_fast=True, max_length=100)]


class Layer(Value):
    """One layer of isolation around the workers: applied, unavailable on this machine, or switched off."""

    name: Name
    state: Literal["applied", "unavailable", "off"]
    reason: Name = ""


class Environment(Value):
    """Where the model was judged. `packages` are versions by distribution name.

    `trust_reason` is the user's, where a refused pickle was loaded all the same.
    """

    python: Name
    platform: Name
    cpus: int
    packages: dict[str, Name] = {}
    isolation: Annotated[tuple[Layer, ...], Field(fail_fast=True, max_length=50)] = ()
    git_commit: Name = ""
    trust_reason: Name = ""


class GateResult(Value):
    """One model's run: the root of `result.json`. A document of an earlier schema is read as one of this."""

    schema_version: Literal[2] = SCHEMA_VERSION
    tool_version: Name
    verdict: VerdictName
    reason: Text
    version: Name
    created_at: Name
    model: ModelInfo
    contract: Contract | None = None
    conversion: Conversion
    parity: Parity
    latency: Latency
    quality: Annotated[tuple[MetricResult, ...], Field(fail_fast=True, max_length=10_000)] = ()
    change: Change | None = None
    checks: Annotated[tuple[CheckResult, ...], Field(fail_fast=True, max_length=5_000)]
    artifact: Artifact | None = None
    #: What judged this model less strictly than the base branch's configuration or the defaults, a phrase each.
    loosened: Annotated[tuple[Text, ...], Field(max_length=100, fail_fast=True)] = ()
    environment: Environment
    timings: dict[str, float] = {}
    shapes: Shapes | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_any_schema(cls, document: Any) -> Any:
        return _upgraded(document) if isinstance(document, dict) else document


def _upgraded(document: dict[str, Any]) -> dict[str, Any]:
    """A document of an earlier schema as one of this; others as they are. What is malformed is left to the fields."""
    schema = document.get("schema_version", SCHEMA_VERSION)
    if schema == SCHEMA_VERSION and type(schema) is int:
        return document
    if schema == 1 and type(schema) is int:
        return _from_schema_1(document)
    raise PydanticCustomError(
        "schema_version",
        "schema_version is {given}; this release reads 1 to {newest}",
        {"given": repr(schema)[:50], "newest": SCHEMA_VERSION},
    )


def _from_schema_1(document: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 called the user's own wrapper `custom`."""
    latency = document.get("latency")
    changed: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    if isinstance(document.get("checks"), list):
        changed["checks"] = [_of_wrapper(check) for check in document["checks"]]
    if isinstance(latency, dict):
        changed["latency"] = {("wrapper" if key == "custom" else key): held for key, held in latency.items()}
        if isinstance(latency.get("batches"), list):
            changed["latency"]["batches"] = [_of_wrapper(batch) for batch in latency["batches"]]
    return document | changed


def _of_wrapper(item: Any) -> Any:
    """A check or a batch of schema 1, its runtime by the present name."""
    return (
        item | {"runtime": "wrapper"} if isinstance(item, dict) and item.get("runtime") == "custom" else item
    )


class IndexedModel(Value):
    """What a run did about one model. `folder` is where its `result.json` lies, whose hash is `sha256`, if it
    was judged.

    `files` are the names in the repository of what decides its verdict, `modules` the folders of which every
    Python file does.
    """

    name: Name
    path: Name
    folder: Annotated[str, Field(max_length=255)]
    status: Literal["judged", "unchanged", "unjudged"]
    sha256: Sha256 | None = None
    reason: Text = ""
    hint: Text = ""
    files: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=2_000)] = ()
    modules: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=100)] = ()


class RunIndex(Value):
    """`index.json`: what a run was to judge and what it did, written last. What it does not name is not the run's.

    `run_id` and what follows say which run on GitHub it was, 0 or empty elsewhere, and `context` by which status on
    earlier commits it told what had not to be judged again. `rules` are the names in the
    repository of the configuration in force, and `doubt` why they are not known. `error` and `hint` say why the
    run as a whole could not judge.
    """

    schema_version: Literal[1] = INDEX_SCHEMA
    tool_version: Name
    repository: Name = ""
    run_id: Annotated[int, Field(ge=0, lt=10**18)] = 0
    run_attempt: Annotated[int, Field(ge=0, lt=10**9)] = 0
    head_sha: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")] = ""
    pull: Annotated[int, Field(ge=0, lt=10**18)] = 0
    context: Annotated[str, Field(max_length=255)] = ""
    rules: Annotated[tuple[Name, ...], Field(fail_fast=True, max_length=2_000)] = ()
    doubt: Text = ""
    models: Annotated[tuple[IndexedModel, ...], Field(fail_fast=True, max_length=1_000)] = ()
    error: Text = ""
    hint: Text = ""
