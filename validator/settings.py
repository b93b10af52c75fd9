"""The one table of settings, and how flags, action inputs, variables and files become values of it.

The fields of `Settings` are the table. `--help`, the README's table, the JSON Schema for editors and the inputs
of `action.yml` are made from it or held to it by tests. Precedence, first wins: command-line flag, action input
(`INPUT_*`), `PREFLIGHT_*` variable, `preflight.toml` or `[tool.model-preflight]` of `pyproject.toml`, default.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from validator.errors import SettingsError
from validator.results import Scalar, Task

CONFIG_NAME = "preflight.toml"
ENV_PREFIX = "PREFLIGHT_"
_IS_VERSION = re.compile(r"3(\.\d+){0,2}\Z")
#: Settings that a checked-out file must not decide: whoever opens the pull request can edit that file.
NOT_FROM_FILE = frozenset({"config", "github_token", "environment_cache"})
#: Settings by which a file lets further code run, or loosens what holds it.
_LETS_CODE_RUN = frozenset({"allow", "deployment", "isolation", "python", "requirements", "trust_pickle"})
#: Events that start the base branch's workflow, with its token and secrets, on whatever somebody else wrote.
_PRIVILEGED_EVENTS = frozenset({"pull_request_target", "workflow_run", "issue_comment", "issues"})
#: Commas that end a requirement rather than stand in its version range or extras.
_BETWEEN_REQUIREMENTS = re.compile(r",(?![^\[]*\])(?!\s*(?:[<>=!~]|$))")


def _split(value: object) -> object:
    """A list given as one string (a variable, an action input): one item a line, or separated by commas."""
    if isinstance(value, str):
        separator = "\n" if "\n" in value else ","
        return [item.strip() for item in value.split(separator) if item.strip()]
    return value


def _split_each(value: object) -> object:
    """A list of numbers, whose items may be lists themselves: a flag that is repeated, and given with commas."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in (_split(item) if isinstance(item, str) else [item])]  # type: ignore[attr-defined]
    return _split(value)


def _pairs(value: object) -> object:
    """`name=number` items as a mapping."""
    items = _split_each(value)
    if isinstance(items, (list, tuple)):
        found: dict[str, str] = {}
        for item in items:
            name, equals, number = str(item).rpartition("=")  # a slice's name holds one: auc[region=north]
            if not equals:
                raise ValueError(f"expected name=number, got {item!r}")
            found[name.strip()] = number.strip()
        return found
    return items


def _requirements(value: object) -> object:
    """As `_split`, but a comma within one requirement (`numpy>=1.20,<2`, `pandas[excel,aws]`) does not separate."""
    if isinstance(value, str) and "\n" not in value:
        return [item.strip() for item in _BETWEEN_REQUIREMENTS.split(value) if item.strip()]
    return _split(value)


Items = Annotated[tuple[str, ...], BeforeValidator(_split)]
Requirements = Annotated[tuple[str, ...], BeforeValidator(_requirements)]
Sizes = Annotated[tuple[Annotated[int, Field(ge=1, le=10_000_000)], ...], BeforeValidator(_split_each)]
Limits = Annotated[dict[str, float], BeforeValidator(_pairs)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class FeatureSettings(_Table):
    """One feature of a fixed contract."""

    name: str = Field(description="column name")
    dtype: str = Field("float64", description="float64, float32, int64, bool, string or category")
    minimum: float | None = Field(None, description="smallest value seen in training")
    maximum: float | None = Field(None, description="largest value seen in training")
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


class Waiver(_Table):
    """`[[waivers]]`: one failing check that is accepted, for a reason, until a date."""

    check: str = Field(description="the check's id, as the report shows it")
    reason: str = Field(min_length=10, description="why shipping is right all the same")
    expires: dt.date = Field(description="first day on which the waiver no longer works")
    runtime: str = Field("", description="only on this runtime; every runtime where empty")


class ModelEntry(_Table):
    """`[[models]]`: one of several models in a repository, with settings of its own."""

    model: str
    data: str | None = None
    name: str | None = None
    target: str | None = None
    contract: ContractSettings | None = None
    max_latency_ms: float | None = None
    python: str | None = None
    requirements: Requirements | None = None


def _field(default: Any, group: str, description: str, **extra: Any) -> Any:
    """One row of the table. `extra` may hold `file_only` (no flag), `metavar`, and pydantic's own limits."""
    shown: dict[str, Any] = {"group": group}
    shown |= {key: extra.pop(key) for key in ("file_only", "metavar") if key in extra}
    return Field(default, description=description, json_schema_extra=shown, **extra)


class Settings(_Table):
    """All settings of one run. Times in milliseconds or seconds as their names say; sizes in MiB."""

    model: Items = _field((), "Model", "the model file, or several paths or globs", metavar="MODEL")
    data: str | None = _field(
        None, "Model", "the data sample: Parquet, CSV, Arrow/Feather or NPZ", metavar="SAMPLE"
    )
    target: str | None = _field(
        None, "Model", "the sample's column that holds the true answer", metavar="COLUMN"
    )
    name: str | None = _field(
        None, "Model", "the model's name in reports and artifact paths; its file's stem by default"
    )
    out: Path = _field(
        Path("preflight"), "Output", "folder for the result, reports and artifact", metavar="DIR"
    )
    config: str | None = _field(
        None, "Model", "configuration file; preflight.toml by default", metavar="FILE"
    )
    task: Task | Literal["auto"] = _field(
        "auto", "Model", "what the model does, where it does not say so itself"
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
    tolerance: float | None = _field(
        None,
        "Conversion",
        "largest difference of an output between native and ONNX, relative to its size; by model kind by default",
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
    latency_budget_s: float = _field(6.0, "Latency", "longest time spent measuring latency", gt=0)
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
        "version to compare with: artifact folder, result.json, model file or git ref; none to switch off. "
        "On a pull request the base branch by default",
    )
    quality: Limits = _field(
        {},
        "Comparison",
        "metric limits such as auc=0.6 (at least) or rmse=2.5 (at most); of a slice as auc[region=north]=0.6",
        metavar="METRIC=LIMIT",
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
        None, "Comparison", "the column that tells a ranker's queries apart, to measure NDCG", metavar="COLUMN"
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
    worker_memory_mb: int = _field(8_192, "Safety", "address space that one worker may use", ge=512)
    worker_timeout_s: float = _field(300.0, "Safety", "longest time that one step in a worker may take", gt=0)

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
        None, "Environment", "folder to keep such environments in; the user's cache by default", metavar="DIR"
    )
    deployment: str | None = _field(
        None,
        "Environment",
        "your own wrapper to test as a further runtime: file.py:Class, module:attribute, or mlflow:folder",
    )
    deployment_methods: Items = _field(
        ("load_model", "predict", "predict_single", "batch_predict", "latency_stats", "metadata"),
        "Environment",
        "names of your wrapper's methods, a dash for none: load, predict, single, batch, latency, metadata",
    )

    waivers: tuple[Waiver, ...] = _field((), "Policy", "failures accepted for a time", file_only=True)

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


def from_environ(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values set by variables and action inputs, and where each came from. An empty input counts as unset.

    Raises SettingsError for a `PREFLIGHT_*` variable that is no setting.
    """
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    names = {ENV_PREFIX + name.upper(): name for name in Settings.model_fields if not is_file_only(name)}
    for key in sorted(key for key in environ if key.startswith(ENV_PREFIX)):
        if key not in names:
            raise SettingsError(f"the variable {key} is no setting", hint=_nearest(key, names))
        values[names[key]], sources[names[key]] = environ[key], key
    if environ.get("GITHUB_ACTIONS") == "true":
        for name in names.values():
            key = "INPUT_" + flag_of(name).upper()
            if environ.get(key, "").strip():
                values[name], sources[name] = environ[key].strip(), f"action input {flag_of(name)}"
    return values, sources


def from_file(path: Path) -> dict[str, Any]:
    """The table in `preflight.toml`, or the `[tool.model-preflight]` of a `pyproject.toml`.

    Raises SettingsError when it cannot be read, is no TOML, or holds an unknown key.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}", hint="check the path and its permissions"
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{path} is no valid TOML: {error}", hint="mend the line that is named"
        ) from error
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("model-preflight", {})
    known = {name.replace("_", "-") for name in Settings.model_fields} | set(Settings.model_fields)
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if key not in known:
            raise SettingsError(
                f"{path} has an unknown key {key!r}", hint=_nearest(key, Settings.model_fields)
            )
        if name in NOT_FROM_FILE:
            raise SettingsError(f"{path} may not set {key!r}", hint="give it as a flag or a variable")
        found[name] = value
    return found


def find_file(start: Path) -> Path | None:
    """`preflight.toml` in that folder, else its `pyproject.toml` if that has our table."""
    own = start / CONFIG_NAME
    if own.is_file():
        return own
    shared = start / "pyproject.toml"
    return shared if shared.is_file() and from_file(shared) else None


def resolve(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings from all sources, in their order. `flags` holds only what was given on the command line.

    Without a file in `folder`, one beside the model is taken: then its relative paths count from there.
    Raises SettingsError naming the source of the first wrong value.
    """
    env_values, sources = from_environ(environ)
    given = {**env_values, **flags}
    sources |= {name: f"--{flag_of(name)}" for name in flags}
    path = _config_path(given, folder)
    file_values: dict[str, Any] = {}
    if path is not None:
        file_values = from_file(path)
        _refuse_code(file_values, path, environ)
        file_values = _anchored(file_values, path.parent, folder)
        sources = {name: f"{path.name}: {name}" for name in file_values} | sources
    try:
        return Settings.model_validate({**file_values, **given})
    except ValidationError as error:
        raise _explained(error, sources) from error


def for_publishing(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """What publishing needs of the settings, where the rest cannot be read: the token and the group "GitHub"."""
    try:
        values = {**from_environ(environ)[0], **flags}
        return Settings.model_validate({k: v for k, v in values.items() if group_of(k) == "GitHub"})
    except (SettingsError, ValidationError):
        return Settings()


def _refuse_code(values: Mapping[str, Any], path: Path, environ: Mapping[str, str]) -> None:
    """Raise SettingsError for what a file of a pull request may not decide.

    In a job that a pull request starts, `python` from a file is a version only: a path could lead to a program in the
    same pull request, and an interpreter is no worker that could be locked down. Where the job holds the base
    branch's token, nothing that lets further code run may come from a file.
    """
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    event = environ.get("GITHUB_EVENT_NAME", "")
    entries = values.get("models")
    tables = [values, *(entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict))]
    for table in tables:
        named = sorted(name for name in table if name.replace("-", "_") in _LETS_CODE_RUN)
        if named and event in _PRIVILEGED_EVENTS:
            raise SettingsError(
                f"{path} may not set {named[0]!r} in a {event} run, which holds the base branch's token while "
                "somebody else may have written that file",
                hint=f"give it as the action input {flag_of(named[0])!r} in the workflow",
            )
        python = table.get("python")
        if isinstance(python, str) and not _IS_VERSION.match(python):
            raise SettingsError(
                f"{path} may set 'python' to a version only, such as 3.9, in a GitHub job: got {python!r:.200}",
                hint="give a path as the action input 'python' in the workflow",
            )


def _config_path(given: Mapping[str, Any], folder: Path) -> Path | None:
    if given.get("config"):
        path = folder / str(given["config"])
        if not path.is_file():
            raise SettingsError(
                f"the configuration file {given['config']} does not exist", hint="check --config"
            )
        return path
    found = find_file(folder)
    models = _split(given.get("model") or ())
    if found is None and isinstance(models, (list, tuple)) and len(models) == 1:
        beside = (folder / models[0]).parent
        found = find_file(beside) if beside.is_dir() else None
    return found


def _anchored(values: dict[str, Any], base: Path, folder: Path) -> dict[str, Any]:
    """Paths of a file count from the file's own folder; shown relative to where the command runs."""
    if base.resolve() == folder.resolve():
        return values

    def moved(path: str) -> str:
        found = base / path
        return str(found.relative_to(folder)) if found.is_relative_to(folder) else str(found)

    anchored = dict(values)
    if isinstance(values.get("data"), str):
        anchored["data"] = moved(values["data"])
    if isinstance(values.get("baseline"), str) and (base / values["baseline"]).exists():
        anchored["baseline"] = moved(values["baseline"])
    anchored |= _anchored_environment(values, base, moved)
    if isinstance(values.get("deployment"), str):
        anchored["deployment"] = _anchored_wrapper(values["deployment"], moved)
    if "model" in values:
        anchored["model"] = [moved(item) for item in _strings(_split(values["model"]))]
    if isinstance(values.get("models"), list):
        anchored["models"] = [
            {k: moved(v) if k in ("model", "data") and isinstance(v, str) else v for k, v in entry.items()}
            | _anchored_environment(entry, base, moved)
            if isinstance(entry, dict)
            else entry
            for entry in values["models"]
        ]
    return anchored


def _anchored_environment(
    values: Mapping[str, Any], base: Path, moved: Callable[[str], str]
) -> dict[str, Any]:
    """The paths among `python` and `requirements` moved, versions and requirements themselves as they are."""
    found: dict[str, Any] = {}
    if isinstance(values.get("python"), str) and "/" in values["python"]:
        found["python"] = moved(values["python"])
    if "requirements" in values:
        items = _strings(_requirements(values["requirements"]))
        found["requirements"] = [moved(item) if (base / item).is_file() else item for item in items]
    return found


def _anchored_wrapper(target: str, moved: Callable[[str], str]) -> str:
    """The path in `file.py:Class` or `mlflow:folder` moved; a module's name as it is."""
    place, _, rest = target.rpartition(":")
    if place == "mlflow":
        return f"mlflow:{moved(rest)}"
    return f"{moved(place)}:{rest}" if place.endswith(".py") else target


def _strings(items: object) -> list[str]:
    return [str(item) for item in items] if isinstance(items, (list, tuple)) else [str(items)]


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known names: {', '.join(names)}"


def _explained(error: ValidationError, sources: Mapping[str, str]) -> SettingsError:
    """The first complaint of pydantic, in our words, with the place that the value came from."""
    first = error.errors()[0]
    location = first["loc"]
    source = sources.get(str(location[0]), str(location[0])) if location else "settings"
    inner = ".".join(str(part) for part in location[1:] if not str(part).startswith("function-"))
    where = f"{source}: {inner}" if inner else source
    shown = "" if location and location[0] == "github_token" else f", got {first['input']!r:.200}"
    if first["type"] == "extra_forbidden":
        return SettingsError(
            f"{where} is no known key", hint=_nearest(str(location[-1]), _siblings(location))
        )
    hint = "see `model-preflight validate --help`"
    if location and choices(str(location[0])):
        hint = "one of: " + ", ".join(dict.fromkeys(choices(str(location[0]))))
    return SettingsError(f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}{shown}", hint=hint)


def _siblings(location: tuple[int | str, ...]) -> Iterable[str]:
    tables: dict[str, type[BaseModel]] = {
        "contract": ContractSettings,
        "features": FeatureSettings,
        "waivers": Waiver,
        "models": ModelEntry,
    }
    for part in reversed(location[:-1]):
        if part in tables:
            return tables[str(part)].model_fields
    return Settings.model_fields


def json_schema() -> dict[str, Any]:
    """JSON Schema of `preflight.toml`, for editors."""
    schema = Settings.model_json_schema()
    for name in NOT_FROM_FILE | {"quiet", "json_output"}:
        schema["properties"].pop(name, None)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "Model Preflight configuration",
    }
