"""The one table of settings: the fields of `Settings`.

`--help`, the documentation's table, the JSON Schema for editors and the inputs of `action.yml` are made from it.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr
from pydantic.fields import FieldInfo

from validator.results import RuntimeName, Scalar, Task
from validator.settings.values import Items, Limits, Names, OutputNames, Requirements, Sizes

CONFIG_NAME = "preflight.toml"
#: Settings that a checked-out file must not decide: whoever opens the pull request can edit that file.
NOT_FROM_FILE = frozenset({
    "config", "github_token", "environment_cache", "status_context", "instance_key", "policy", "waiver_days",
    "push",
})  # fmt: skip
#: Earlier names of settings, which still work in every place, and what each is called now.
RENAMED = {"deployment": "wrapper", "deployment_methods": "wrapper_methods"}
#: Earlier names of runtimes, which waivers may still hold.
_RENAMED_RUNTIMES = {"custom": "wrapper"}


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


FeatureType = Literal[
    "float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
    "bool", "string", "category",
]  # fmt: skip


class FeatureSettings(_Table):
    """One feature of a fixed contract."""

    name: str = Field(description="column name")
    dtype: FeatureType = Field("float64", description="float64, float32, int64, bool, string or category")
    minimum: float | None = Field(None, description="smallest value that is served; smaller ones are refused")
    maximum: float | None = Field(None, description="largest value that is served; larger ones are refused")
    missing: bool = Field(False, description="whether missing values are a declared input")
    categories: tuple[Scalar, ...] | None = Field(None, description="the values a category may take")


class ContractSettings(_Table):
    """`[contract]`: what the model takes and gives, fixed rather than inferred."""

    task: Task | None = Field(None, description="what the model does")
    features: tuple[FeatureSettings, ...] = Field((), description="the input columns, in the model's order")
    classes: tuple[Scalar, ...] = Field((), description="class labels, in the order of the probabilities")
    output_minimum: float | None = Field(None, description="smallest output that is plausible")
    output_maximum: float | None = Field(None, description="largest output that is plausible")
    allow_infinite: bool = Field(False, description="whether infinite features are a declared input")


def _present_runtime(name: object) -> object:
    return _RENAMED_RUNTIMES.get(name, name) if isinstance(name, str) else name


class Waiver(_Table):
    """`[[waivers]]`: one failing check that is accepted, for a reason, until a date."""

    check: str = Field(description="the check's id, as the report shows it")
    reason: str = Field(min_length=10, description="why shipping is right all the same")
    expires: dt.date = Field(description="first day on which the waiver no longer works")
    runtime: Annotated[RuntimeName, BeforeValidator(_present_runtime)] = Field(
        "", description="only on this runtime; every runtime where empty"
    )


class ModelEntry(_Table):
    """`[[models]]`: one of several models in a repository, with settings of its own."""

    model: str
    data: str | None = None
    reference: str | None = None
    name: str | None = None
    target: str | None = None
    contract: ContractSettings | None = None
    max_latency_ms: float | None = Field(None, gt=0, allow_inf_nan=False)
    baseline: str | None = None
    python: str | None = None
    requirements: Requirements | None = None
    wrapper: str | None = None
    wrapper_methods: Names | None = None


def _field(default: Any, group: str, description: str, **extra: Any) -> Any:
    """One row of the table. `extra` may hold `file_only` (no flag), `metavar`, and pydantic's own limits."""
    shown: dict[str, Any] = {"group": group}
    shown |= {key: extra.pop(key) for key in ("file_only", "metavar") if key in extra}
    return Field(default, description=description, json_schema_extra=shown, **extra)


class Settings(_Table):
    """All settings of one run. Times in milliseconds or seconds as their names say; sizes in MiB.

    A limit that is no finite number is refused: nothing ever exceeds NaN.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    # No setting: an organisation's policy alone sets it, and copies keep it.
    _most_tolerance: float | None = PrivateAttr(None)

    model: Items = _field((), "Model", "the model file, or several paths or globs", metavar="MODEL")
    data: str | None = _field(
        None,
        "Model",
        "the data sample: Parquet, CSV, Arrow/Feather or NPZ, or a folder of Parquet files",
        metavar="SAMPLE",
    )
    reference: str | None = _field(
        None,
        "Model",
        "the training data, for the profile that later data is compared with (default: the sample)",
        metavar="DATA",
    )
    target: str | None = _field(
        None, "Model", "the sample's column that holds the true answer", metavar="COLUMN"
    )
    name: str | None = _field(
        None, "Model", "the model's name in reports and artifact paths (default: its file's stem)"
    )
    out: Path = _field(
        Path("preflight"), "Output", "folder for the result, reports and artifact", metavar="DIR"
    )
    push: str | None = _field(
        None,
        "Output",
        "repository to store the artifact in once it has passed: oci://HOST/NAME, or the folder of an OCI layout; "
        "never on a pull request. With several models one below it for each",
        metavar="REF",
    )
    config: str | None = _field(None, "Model", "configuration file (default: preflight.toml)", metavar="FILE")
    task: Task | Literal["auto"] = _field(
        "auto", "Model", "what the model does, where it does not say so itself"
    )
    reading: Literal["auto", "wrapper", "booster"] = _field(
        "auto",
        "Model",
        "how to read a file of early-stopped training: as the library's estimator does, up to the best iteration, or "
        "as its bare booster does, to the end; auto is as whichever of the two saved it",
    )
    column_order: Literal["auto", "sample"] = _field(
        "auto",
        "Model",
        "sample says that the sample's columns stand in the order of training, where the model holds no names that "
        "could tell; auto refuses such a model unless its columns are counted or named under [contract]",
    )
    contract: ContractSettings = _field(
        ContractSettings(), "Model", "the input contract, fixed instead of inferred", file_only=True
    )
    models: tuple[ModelEntry, ...] = _field(
        (), "Model", "several models, each with its sample", file_only=True
    )

    input_dtype: Literal["auto", "float32", "float64"] = _field(
        "auto", "Conversion", "number type of the ONNX input; auto is what the native library compares in"
    )
    onnx: str | None = _field(
        None,
        "Conversion",
        "an ONNX file made elsewhere, to be judged against the model instead of converting it",
    )
    onnx_outputs: OutputNames = _field(
        {},
        "Conversion",
        "which output of an ONNX file made elsewhere is label, probabilities, prediction or score, such as "
        "label=predicted,probabilities=scores; the usual names are known",
        metavar="OURS=THEIRS",
    )
    tolerance: float | None = _field(
        None,
        "Conversion",
        "largest difference of an output between native and ONNX, relative to its size (default: by kind of model)",
        gt=0,
    )
    boundary_rows: int = _field(
        20_000, "Conversion", "most rows made from the model's own thresholds", ge=100
    )
    sample_rows: int = _field(
        0, "Conversion", "most rows read from the sample for parity and quality; 0 reads all of them", ge=0
    )

    max_latency_ms: float = _field(50.0, "Latency", "limit of the single-row p99 on every runtime", gt=0)
    max_load_ms: float = _field(30_000.0, "Latency", "limit of the time to load the model", gt=0)
    max_memory_mb: float = _field(4_096.0, "Latency", "limit of a worker's peak memory", gt=0)
    max_slowdown: float = _field(
        0.10, "Latency", "how much slower than the base version a row may be, as a fraction", gt=0
    )
    batch_sizes: Sizes = _field((1, 100, 10_000), "Latency", "rows in the measured batches")
    latency_budget_s: float = _field(6.0, "Latency", "longest time spent measuring latency", gt=0, le=86_400)
    latency_confidence: float = _field(
        0.95, "Latency", "how sure a latency verdict must be, as a fraction", ge=0.5, lt=1
    )
    inconclusive: Literal["estimate", "fail", "warn"] = _field(
        "estimate",
        "Latency",
        "a latency limit that noise leaves undecided: an absolute one judged by its estimate and a relative one "
        "warned of (estimate), or both failed or warned of",
    )

    baseline: str | None = _field(
        None,
        "Comparison",
        "version to compare with: artifact folder, result.json, model file, git ref, or what is in production in a "
        "registry (oci://HOST/NAME:champion); none to switch off "
        "(default, on a pull request: the base branch)",
    )
    quality: Limits = _field(
        {},
        "Comparison",
        "metric limits such as auc=0.6 (at least) or rmse=2.5 (at most); of a slice as auc[region=north]=0.6",
        metavar="METRIC=LIMIT",
    )
    quality_chance: Literal["warn", "fail"] = _field(
        "warn",
        "Comparison",
        "whether a model that is not surely better than a constant prediction is warned of or fails",
    )
    profile_drift: Literal["warn", "fail"] = _field(
        "warn",
        "Comparison",
        "whether data that differs from the profile of the base version is warned of or fails",
    )
    max_quality_loss: Limits = _field(
        dict[str, float](),
        "Comparison",
        "how much a metric may be worse than the base version's",
        metavar="METRIC=LOSS",
    )
    ignore: Items = _field((), "Model", "columns of the sample that are no features", metavar="COLUMN")
    slices: Items = _field(
        (), "Comparison", "columns by whose values quality is shown apart", metavar="COLUMN"
    )
    group: str | None = _field(
        None,
        "Comparison",
        "the column that tells a ranker's queries apart, to measure NDCG",
        metavar="COLUMN",
    )

    trust_pickle: str | None = _field(
        None, "Safety", "load a refused pickle all the same, for this reason", metavar="REASON"
    )
    allow: Items = _field(
        (),
        "Safety",
        "names of your own that a pickle may use, such as mypackage.transformers.*",
        metavar="NAME",
    )
    isolation: Literal["auto", "require", "reduced"] = _field(
        "auto",
        "Safety",
        "where the kernel lacks a layer of isolation: refuse pickles in CI (auto), always refuse, or go on",
    )
    worker_memory_mb: int = _field(
        8_192, "Safety", "address space that one worker may use", ge=512, le=1 << 24
    )
    max_minutes: float = _field(
        0.0,
        "Safety",
        "longest time of a run, in minutes: the most important checks come first, and those that are not done by "
        "then fail; 0 for no limit",
        ge=0,
        le=100_000,
    )
    worker_timeout_s: float = _field(
        300.0, "Safety", "longest time that one step in a worker may take", gt=0, le=86_400
    )

    python: str | None = _field(
        None,
        "Environment",
        "interpreter with the libraries the model was trained with, or the version (3.9) to install them for",
    )
    requirements: Requirements = _field(
        (),
        "Environment",
        "what the model was trained with, to be installed for it: a file, a list, or mlflow for the folder's own",
    )
    environment_cache: Path | None = _field(
        None, "Environment", "folder to keep such environments in (default: the user's cache)", metavar="DIR"
    )
    wrapper: str | None = _field(
        None,
        "Environment",
        "your own wrapper to test as a further runtime: file.py:Class, module:attribute, or mlflow:folder",
    )
    wrapper_methods: Names = _field(
        ("load", "predict", "predict_single", "predict_batch", "latency_stats", "metadata"),
        "Environment",
        "names of your wrapper's methods, a dash for none: load, predict, single, batch, latency, metadata",
    )
    wrapper_differs: Literal["fail", "warn"] = _field(
        "fail",
        "Environment",
        "what it means when your wrapper answers what is no function of the model's answer",
    )

    serves: Literal["deployment", "onnx", "native", "wrapper"] = _field(
        "deployment",
        "Policy",
        "what answers in production: wrong input that only the shipped Deployment catches is a warning for whoever "
        "serves the bare onnx or native runtime, and a note for everybody else",
    )
    waivers: tuple[Waiver, ...] = _field((), "Policy", "failures accepted for a time", file_only=True)
    min_rows: int = _field(0, "Policy", "fewest rows that the sample may have", ge=0, le=10_000)
    waiver_days: int = _field(90, "Policy", "longest time from today that a waiver may last", ge=0, le=3_650)
    policy: str | None = _field(
        None,
        "Policy",
        "bounds that no configuration file can pass: a TOML file, or its lines; on a pull request a file of the "
        "checkout is read as the base branch has it",
        metavar="FILE",
    )

    github_token: str | None = _field(
        None, "GitHub", "token for the comment and status", repr=False, metavar="TOKEN"
    )
    comment: bool = _field(True, "GitHub", "keep one comment on the pull request up to date")
    status: bool = _field(True, "GitHub", "set a commit status on the pull request's head")
    status_context: str = _field("model-preflight", "GitHub", "the status's name, for branch protection")
    check_run: bool = _field(False, "GitHub", "make a check run with annotations too")
    instance_key: str = _field("default", "GitHub", "tells several comments on one pull request apart")
    require_publish: bool = _field(False, "GitHub", "exit with 3 when the result could not be published")
    only_changed: bool = _field(False, "GitHub", "judge only models that the pull request touches")

    quiet: bool = _field(False, "Output", "print the verdict only")
    json_output: bool = _field(False, "Output", "print result.json to standard output instead of the view")

    @property
    def most_tolerance(self) -> float | None:
        """What no tolerance may pass, the default by kind of model neither; None without a policy that says so."""
        return self._most_tolerance

    def bounded(self, most_tolerance: float | None, *, waiver_days: int) -> Settings:
        """These settings under a policy's bounds."""
        held = self.model_copy(update={"waiver_days": waiver_days})
        held._most_tolerance = most_tolerance
        return held


def defaults_for(name: str) -> FieldInfo:
    """The row of the table for one setting. Raises KeyError for an unknown name."""
    return Settings.model_fields[name]


def flag_of(name: str) -> str:
    """`max_latency_ms` -> `max-latency-ms`: the name on the command line and in action.yml."""
    return "json" if name == "json_output" else name.replace("_", "-")


def is_file_only(name: str) -> bool:
    extra = Settings.model_fields[name].json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("file_only"))


def group_of(name: str) -> str:
    """The heading under which `--help` shows a setting."""
    extra = Settings.model_fields[name].json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) else "Other"


def is_switch(name: str) -> bool:
    return Settings.model_fields[name].annotation is bool


def is_list(name: str) -> bool:
    return get_origin(Settings.model_fields[name].annotation) in (tuple, dict)


def choices(name: str) -> tuple[str, ...]:
    """The allowed words of a setting that takes one of a few, else nothing."""
    annotation = Settings.model_fields[name].annotation
    parts = [annotation, *get_args(annotation)]
    return tuple(str(word) for part in parts if get_origin(part) is Literal for word in get_args(part))


def json_schema() -> dict[str, Any]:
    """JSON Schema of `preflight.toml`, for editors."""
    schema = Settings.model_json_schema()
    for name in NOT_FROM_FILE | {"quiet", "json_output"}:
        schema["properties"].pop(name, None)
    for properties in (schema["properties"], schema["$defs"]["ModelEntry"]["properties"]):
        properties |= {old: {**properties[new], "deprecated": True} for old, new in RENAMED.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Model Preflight configuration",
    }
