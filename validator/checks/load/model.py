"""Second stage: the native model in its worker, the sample in its own, and the contract between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

from validator.checks.check import Subject, passed, result, seen, warned
from validator.checks.context import Context
from validator.checks.load.environment import installed
from validator.checks.load.versions import judge_versions
from validator.checks.preload import JUDGING, MEASURING, TOOLS
from validator.checks.sample_pass import Batch
from validator.errors import ModelError, PreflightError, SettingsError, UsageError
from validator.model import contract as contracts
from validator.model.categories import Categories, as_categories, category_names, recorded_categories
from validator.model.safety import SafetyReport
from validator.results import Contract, Task
from validator.runtimes import replies
from validator.runtimes.runtime import WorkerRuntime
from validator.runtimes.sample import Sample, split
from validator.sandbox.worker_pool import Worker

_CLASSIFIERS = ("binary", "multiclass")
_TASK_HINT = (
    "leave out --task, and the task under [contract] in preflight.toml, as the model itself says it; "
    "or save a model of that task"
)
#: Rows that the smoke, error and latency suites work on: the first of the sample.
_SUBJECT_ROWS = 10_000


#: Names and dtypes of the input columns, in the model's order.
Columns = Sequence[tuple[str, str]]


@dataclass(kw_only=True)
class Native:
    """The native model: the exporting worker that describes it, and what it said.

    Its runtime is a process of its own, started by `load` when it is first needed.
    """

    exporter: Worker
    facts: dict[str, Any]
    load: Callable[[], WorkerRuntime]

    @cached_property
    def runtime(self) -> WorkerRuntime:
        return self.load()


@dataclass(kw_only=True)
class Data:
    """The sample, which of its columns are features, and what was seen of them so far.

    `categories` are the values that the model recorded for its category columns.
    """

    sample: Sample
    features: tuple[str, ...]
    categories: Categories
    observer: contracts.Observer
    subject: Subject

    @property
    def columns(self) -> Columns:
        return [(column.name, column.dtype) for column in self.subject.rows.columns]

    def batches(self, limit: int, target: str | None) -> Iterator[Batch]:
        """All rows, or the first `limit` if that is not 0; the observer sees each as it is read."""
        for table in self.sample.batches(limit=limit):
            rows, truth = split(table, self.features, target)
            batch = Batch(rows=as_categories(rows, self.categories), table=table, truth=truth)
            self.observer.observe(batch.rows)
            yield batch


def open_sample(context: Context) -> Sample:
    """Raises UsageError without a sample, SampleError for one that cannot be read."""
    path = context.settings.data
    if path is None:
        raise UsageError(
            "no data sample was given",
            hint="give --data, or data = ... in preflight.toml: some hundred real rows",
        )
    with context.builder.stage("sample"):
        sample = Sample.open(context.pool, path, context.settings.ignore)
        context.note_isolation(sample.worker)
        context.pool.zygote(TOOLS).preload(JUDGING)
        if context.settings.target:
            context.zygote_of("measure").preload(MEASURING)
        return sample


def load_native(context: Context, report: SafetyReport, *, asked: bool = True) -> Native:
    """Check `load.model` on native, and `load.versions`. Blocks when the library refuses the file.

    Without rows that it will be `asked`, it is loaded once alone, by the worker that exports it.
    """
    builder = context.builder
    with builder.stage("load native"):
        with builder.guarding("load.versions"):
            there = installed(context, report)
            context.converts_there = context.python.foreign and bool(there.version("skl2onnx"))
            apart = judge_versions(context, report, there)
        with builder.guarding("load.model", "native"), _explained_by(apart):
            runtime = native_runtime(context) if asked else None
            exporter = context.start("export", options=context.load_options())
            exporter.call("load", [context.data])
            described = exporter.call("describe").result
            told = {
                **(described if isinstance(described, dict) else {}),
                **(runtime.facts if runtime else {}),
            }
            facts = replies.read(replies.NativeFacts, told, "native").model_dump()
    loaded = passed(
        f"{facts['model_class']} loads in its own library",
        seen("class", facts["model_class"]),
    )
    builder.add(result("load.model", "native", loaded))
    builder.model = builder.model.model_copy(
        update={
            "framework": str(facts["library"])[:1000],
            "framework_version": builder.packages.get(str(facts["library"]), ""),
            "model_class": str(facts["model_class"])[:1000],
            "task": _task(context, facts),
            "n_features": facts["n_features"],
        }
    )
    return Native(exporter=exporter, facts=facts, load=lambda: runtime or native_runtime(context))


@contextmanager
def _explained_by(mismatch: str) -> Iterator[None]:
    """A model that its library refuses although the versions differ is refused because of them."""
    try:
        yield
    except PreflightError as error:
        if not mismatch:
            raise
        raise ModelError(
            f"{mismatch}, and does not load with that: {error.message}",
            hint="load it with the versions it was saved with, as `load.versions` says",
        ) from error


def native_runtime(context: Context) -> WorkerRuntime:
    """A fresh worker with the native model in it."""
    worker = context.start("native", options=context.load_options())
    return WorkerRuntime.load("native", worker, [context.data])


def onnx_runtime(context: Context, onnx: bytes) -> WorkerRuntime:
    """A fresh worker with the ONNX file in it."""
    return WorkerRuntime.load("onnx", context.start("onnx"), [onnx])


def _task(context: Context, facts: dict[str, Any]) -> Task:
    own: Task = next((task for task in get_args(Task) if task == facts.get("task")), "unknown")
    return agreed_task(context, own, str(facts["model_class"]))


def agreed_task(context: Context, own: Task, model: str) -> Task:
    """What the model itself says, unless it is told. Raises SettingsError where the two do not go together."""
    told = context.settings.contract.task if context.settings.task == "auto" else context.settings.task
    if told is None:
        return own
    if own in _CLASSIFIERS and told not in _CLASSIFIERS:
        raise SettingsError(
            f"the task is set to {told}, but the {model} is a classifier ({own}): its labels and probabilities "
            "would go unchecked",
            hint=_TASK_HINT,
        )
    if told in _CLASSIFIERS and own in ("regression", "ranking", "outlier"):
        raise SettingsError(
            f"the task is set to {told}, but the {model} gives no class labels or probabilities ({own})",
            hint=_TASK_HINT,
        )
    return told


def fit_sample(context: Context, sample: Sample, facts: dict[str, Any]) -> Data:
    """Check `load.sample`: the sample's columns against the model's. Raises SampleError when they do not fit."""
    settings, builder = context.settings, context.builder
    fixed = [feature.name for feature in settings.contract.features]
    known = contracts.respelt(facts.get("feature_names") or fixed or None, sample.names)
    apart = [*settings.slices, *([settings.group] if settings.group else [])]
    features = contracts.choose_features(
        sample.names,
        known=known,
        n_features=facts.get("n_features"),
        target=settings.target,
        ignored=(*settings.ignore, *(name for name in apart if name not in (known or ()))),
        where=sample.path,
    )
    head = sample.head(_SUBJECT_ROWS)
    rows, _ = split(head, features, None)
    categories = recorded_categories(facts, rows)
    rows = as_categories(rows, categories)
    contracts.check_types(
        rows,
        library=str(facts.get("library")),
        categorical=categories.keys() | category_names(facts, features),
        where=sample.path,
    )
    observer = contracts.Observer()
    observer.observe(rows)
    given = [name for name in sample.names if name in features]
    if known and list(features) != given:
        finding = warned(
            "the sample's columns come in another order than the model's; they were taken by name",
            hint="nothing to do if the sample is right: the deployment takes columns by name too",
        )
    elif not known:
        finding = warned(
            f"the model holds no feature names; its {len(features)} features were taken in the sample's order",
            seen("features", ", ".join(features)[:2000]),
            hint="train on a DataFrame, or fix the names under [contract] in preflight.toml",
        )
    else:
        finding = passed(f"{len(features)} features, {len(head)} rows at hand")
    builder.add(result("load.sample", "", finding))
    builder.contract = infer_contract(context, observer, facts)
    return Data(
        sample=sample,
        features=features,
        categories=categories,
        observer=observer,
        subject=Subject(contract=builder.contract, rows=rows),
    )


def infer_contract(context: Context, observer: contracts.Observer, facts: dict[str, Any]) -> Contract:
    """The contract as far as the sample has been seen."""
    fixed = context.settings.contract.model_dump(exclude_defaults=True)
    return contracts.make_contract(
        observer.features,
        task=context.builder.model.task,
        classes=tuple(facts.get("classes") or ()),
        n_outputs=int(facts.get("n_outputs") or 1),
        sums_to_one=facts.get("sums_to_one") is not False,
        fixed=fixed,
    )
