"""The native model in its worker, the sample in its own, and the contract between them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import get_args

from validator.checks.check import (
    CheckFailedError,
    CheckOutcome,
    failed,
    needed,
    noted,
    passed,
    result,
    seen,
    warned,
)
from validator.checks.context import Context
from validator.checks.load.versions import Versions
from validator.checks.preload import JUDGING, MEASURING, TOOLS
from validator.checks.sample_pass import Batch
from validator.errors import ModelError, PreflightError, SampleError, SettingsError, UsageError
from validator.libraries.known import format_named
from validator.model import contract as contracts
from validator.model.categories import Categories, as_categories, category_names, recorded_categories
from validator.model.knowledge import Knowledge, Known, only_known, only_promised, only_seen
from validator.permissions import remedy
from validator.results import CheckResult, Contract, ModelInfo, Task
from validator.runtimes import replies
from validator.runtimes.replies import NativeFacts
from validator.runtimes.runtime import WorkerRuntime
from validator.runtimes.sample import Sample, refuse_elsewhere, split
from validator.sandbox.worker_pool import Worker
from validator.settings.table import Settings
from validator.table import Table

_CLASSIFIERS = ("binary", "multiclass")
_TASK_HINT = (
    "leave out --task, and the task under [contract] in preflight.toml, as the model itself says it; "
    "or save a model of that task"
)
#: Rows that the smoke, error and latency suites work on: the first of the sample.
_SUBJECT_ROWS = 10_000
_FEW_ROWS = 100
#: Differences between model and sample that are told one by one.
_TOLD = 10
_PROMISED = (
    "leave that out of [contract], or train with it: what the model answers there is its library's accident"
)


#: Told of the rows that were read, with a function that says of how many.
Watch = Callable[[int, Callable[[int], "int | None"]], None]
#: Names and dtypes of the input columns, in the model's order.
Columns = Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Native:
    """The native model: the exporting worker that describes it, what it said, and the check `load.model`.

    `model` is the file with what is in it; `converts_there` says that skl2onnx is installed in the model's own
    environment. The runtime is a process of its own, started by `load` when it is first needed.
    """

    exporter: Worker
    facts: NativeFacts
    model: ModelInfo
    check: CheckResult
    load: Callable[[], WorkerRuntime]
    converts_there: bool = False

    @cached_property
    def runtime(self) -> WorkerRuntime:
        return self.load()


@dataclass(frozen=True, kw_only=True)
class Data:
    """The sample, its columns that are features, the first rows of those, and the check `load.sample`.

    `categories` are the values that the model recorded for its category columns; `observer` collects what has been
    seen of the features so far, `infinities` where they are infinite; `small` says why the sample can judge little.
    Rows that hold an infinite number are left out, of `rows` too, unless the contract allows such.
    """

    sample: Sample
    features: tuple[str, ...]
    categories: Categories
    rows: Table
    observer: contracts.Observer
    check: CheckResult
    infinities: contracts.Infinities
    allow_infinite: bool = False
    small: tuple[str, ...] = ()
    watch: Watch | None = None

    @property
    def columns(self) -> Columns:
        return [(column.name, column.dtype) for column in self.rows.columns]

    def batches(self, settings: Settings) -> Iterator[Batch]:
        """The rows that are to be judged; the observer sees each batch as it is read."""
        seen_here = contracts.Infinities()
        for read in self.sample.batches(limit=settings.sample_rows):
            table = read
            rows, truth = split(table, self.features, settings.target)
            rows = as_categories(rows, self.categories)
            self.observer.observe(rows)
            fine = seen_here.take(rows)
            if fine is not None and not self.allow_infinite:
                rows, table = rows.take(fine), table.take(fine)
                truth = None if truth is None else truth[fine]
            if len(rows):
                yield Batch(rows=rows, table=table, truth=truth)
            if self.watch is not None:
                self.watch(seen_here.rows, self._whole(settings))
        self.infinities.become(seen_here)

    def _whole(self, settings: Settings) -> Callable[[int], int | None]:
        """Of how many rows so many were read: no more than the settings allow."""

        def whole(done: int) -> int | None:
            total = self.sample.total(done)
            return min(total, settings.sample_rows) if total is not None and settings.sample_rows else total

        return whole

    @property
    def is_refused(self) -> bool:
        """Whether the sample itself holds rows that the deployment refuses: infinite ones, undeclared."""
        return bool(self.infinities.first) and not self.allow_infinite

    def judged(self) -> CheckResult:
        """Check `load.sample` by all that was read so far."""
        return _infinite(self.infinities) if self.is_refused else self.check


def need_sample(settings: Settings) -> str:
    """The sample's path, before anything is done. Raises UsageError without one, or where there is no such file."""
    path = settings.data
    if path is None:
        raise UsageError(
            "no data sample was given",
            hint="give --data, or data = ... in preflight.toml: some hundred real rows",
        )
    refuse_elsewhere(path)
    try:
        Path(path).stat()
    except OSError as error:
        hint = remedy(error, Path(path), "check the path that --data, or data in preflight.toml, names")
        raise UsageError(f"cannot open the sample {path}: {error.strerror}", hint=hint) from error
    return path


def open_sample(context: Context) -> Sample:
    """Raises UsageError without a sample, SampleError for one that cannot be read."""
    path = need_sample(context.settings)
    sample = Sample.open(context.pool, path, context.settings.ignore)
    context.pool.zygote(TOOLS).preload(JUDGING)
    if context.settings.target:
        context.zygote_of("measure").preload(MEASURING)
    return sample


def load_native(context: Context, versions: Versions, *, asked: bool = True) -> Native:
    """Load the model in its own library. Raises CheckFailedError (`load.model`) when that refuses the file.

    Without rows that it will be `asked`, it is loaded once alone, by the worker that exports it.
    """
    versions.importable()
    with needed("load.model", "native"), _explained_by(versions.mismatch):
        runtime = native_runtime(context) if asked else None
        exporter = context.start("export", options=context.load_options())
        exporter.call("load", [context.data])
        facts = replies.read(NativeFacts, exporter.call("describe").result, "native")
    model = context.model.model_copy(
        update={
            "framework": facts.library,
            "framework_version": versions.packages.get(facts.library, ""),
            "model_class": facts.model_class,
            "task": _task(context.settings, facts),
            "n_features": facts.n_features,
        }
    )
    loaded = _judge_loaded(context, facts)
    return Native(
        exporter=exporter,
        facts=facts,
        model=model,
        check=result("load.model", "native", loaded),
        load=lambda: runtime or native_runtime(context),
        converts_there=context.python.foreign and bool(versions.installed.version("skl2onnx")),
    )


def _judge_loaded(context: Context, facts: NativeFacts) -> CheckOutcome:
    """A file with two readings needs a word, and where nothing says which of them its users will use, a look."""
    said = f"{facts.model_class} loads in its own library"
    if not facts.reading:
        return passed(said, seen("class", facts.model_class))
    evidence = (seen("class", facts.model_class), seen("reading", facts.reading))
    of_a_file = format_named(context.format) is not None  # an unpickled Booster is one, whatever it came of
    if context.settings.reading == "auto" and of_a_file and not facts.reading_marked:
        return warned(
            f"{said}, {facts.reading}; nothing in the file says which of the two its users will use",
            *evidence,
            hint="set `reading` to booster or wrapper, as the code that serves the model loads it",
        )
    return passed(f"{said}, {facts.reading}", *evidence)


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


def load_onnx(context: Context, onnx: bytes) -> tuple[WorkerRuntime, CheckResult]:
    """ONNX Runtime with the file, and its check. Raises CheckFailedError (`load.model`) when it refuses that."""
    with needed("load.model", "onnx"):
        runtime = onnx_runtime(context, onnx)
    loaded = passed(f"loads in ONNX Runtime, {runtime.facts.input_dtype} input")
    return runtime, result("load.model", "onnx", loaded)


def onnx_facts(runtime: WorkerRuntime) -> NativeFacts:
    """What an ONNX file says of itself, as a native model would: it names its columns where it has several inputs."""
    told = runtime.facts
    names = None if told.is_matrix else tuple(name for name, _ in told.columns)
    return NativeFacts(
        library="onnx", model_class="onnx.ModelProto", feature_names=names, n_features=told.n_features
    )


def onnx_runtime(context: Context, onnx: bytes) -> WorkerRuntime:
    """A fresh worker with the ONNX file in it."""
    told = context.settings.onnx_outputs
    return WorkerRuntime.load(
        "onnx", context.start("onnx", options={"outputs": told} if told else None), [onnx]
    )


def _task(settings: Settings, facts: NativeFacts) -> Task:
    own: Task = next((task for task in get_args(Task) if task == facts.task), "unknown")
    return agreed_task(settings, own, facts.model_class)


def agreed_task(settings: Settings, own: Task, model: str) -> Task:
    """What the model itself says, unless it is told. Raises SettingsError where the two do not go together."""
    told = settings.contract.task if settings.task == "auto" else settings.task
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


def fit_sample(settings: Settings, sample: Sample, facts: NativeFacts, watch: Watch | None = None) -> Data:
    """The sample's columns against the model's; `watch` is told of each batch that is read.

    Raises SampleError when they do not fit.
    """
    fixed = [feature.name for feature in settings.contract.features]
    known = contracts.respelt(facts.feature_names or fixed or None, sample.names)
    given = [settings.target] if settings.target else []
    apart = [*settings.slices, *([settings.group] if settings.group else [])]
    features = contracts.choose_features(
        sample.names,
        known=known,
        n_features=facts.n_features,
        target=settings.target,
        ignored=(
            *settings.ignore,
            *(name for name in apart if name not in (known or ())),
            *(
                name
                for name in facts.unused
                if name in sample.names and name not in {*settings.ignore, *given}
            ),
        ),
        where=sample.path,
    )
    head = sample.head(_SUBJECT_ROWS)
    small = _judge_size(settings, sample, head)
    rows, _ = split(head, features, None)
    categories = recorded_categories(facts.categories, facts.category_columns or (), rows)
    rows = as_categories(rows, categories)
    contracts.check_types(
        rows,
        library=facts.library,
        categorical=categories.keys() | category_names(facts.category_columns or (), features),
        where=sample.path,
    )
    listed = [features[one.column] for one in facts.trained_on if one.values and one.column < len(features)]
    observer = contracts.Observer(free=facts.free_texts, listed=listed)
    infinities = contracts.Infinities()
    observer.observe(rows)
    fine = infinities.take(rows)
    if fine is not None and not settings.contract.allow_infinite:
        rows = rows.take(fine)
        if not len(rows):
            raise CheckFailedError(_infinite(infinities))
    return Data(
        sample=sample,
        features=features,
        categories=categories,
        rows=rows,
        observer=observer,
        check=result("load.sample", "", _judge_order(settings, sample, features, known, len(rows))),
        infinities=infinities,
        allow_infinite=settings.contract.allow_infinite,
        watch=watch,
        small=small,
    )


def _judge_size(settings: Settings, sample: Sample, head: Table) -> tuple[str, ...]:
    """Why the sample can judge little, for the top of the report. Raises SampleError below `min_rows`."""
    rows = len(head)
    if rows < settings.min_rows:
        raise SampleError(
            f"the sample has {rows} rows, fewer than the {settings.min_rows} that `min_rows` demands",
            hint="give a larger sample",
        )
    found = [f"the sample has {rows} rows only"] if rows < _FEW_ROWS else []
    target = settings.target
    if target is not None and target in head.names and _has_one_value(sample, head, target):
        found.append(f"the sample's {target!r} has one value only")
    return tuple(found)


def _has_one_value(sample: Sample, head: Table, name: str) -> bool:
    """Whether a column holds the same in every row. Reads on behind the first rows only where these are alike."""

    def values(table: Table) -> set[str]:
        return {str(value) for value in table.column(name).decoded()}

    first = values(head)
    if len(first) != 1 or len(head) < _SUBJECT_ROWS:
        return len(first) == 1
    return all(values(table) == first for table in sample.batches())


def _infinite(found: contracts.Infinities) -> CheckResult:
    """What the deployment would refuse is no sample of what it will serve; the rest is judged without those rows."""
    return result(
        "load.sample",
        "",
        failed(
            f"the sample holds infinite numbers, which are no declared input: {found.in_words}",
            *(seen(f"infinite values of {name}"[:1_000], times, "0") for name, times in found.times.items()),
            hint="correct these values, or leave them empty where the number is not known; if the model is meant to "
            "take infinite numbers, set `allow_infinite = true` under [contract] in preflight.toml",
        ),
    )


def _judge_order(
    settings: Settings,
    sample: Sample,
    features: Sequence[str],
    known: Sequence[str] | None,
    rows: int,
) -> CheckOutcome:
    given = [name for name in sample.names if name in features]
    if known and list(features) != given:
        return noted(
            "the sample's columns come in another order than the model's; they were taken by name",
            hint="nothing to do if the sample is right: the deployment takes columns by name too",
        )
    if not known and len(features) > 1 and not _are_counted(features) and settings.column_order == "auto":
        return failed(
            f"the model holds no feature names, and nothing says that the sample's {len(features)} columns stand in "
            "the order of its training: in another order all answers would be wrong",
            seen("features", ", ".join(features)[:2000]),
            hint='where they do, say so with `column_order = "sample"`; or train on a DataFrame, or fix the names '
            "in their order under [contract] in preflight.toml, as `model-preflight init` writes them",
        )
    if not known:
        return passed(
            f"{len(features)} features, taken in the sample's order, {rows} rows at hand",
            seen("features", ", ".join(features)[:2000]),
        )
    return passed(f"{len(features)} features, {rows} rows at hand")


def _are_counted(names: Sequence[str]) -> bool:
    """Whether the columns' names count them: 0, 1, 2, ... or f1, f2, f3, ..., as columns without names are called."""
    parts = [re.fullmatch(r"(\D*)(\d+)", name) for name in names]
    numbers = [int(part[2]) for part in parts if part is not None]
    stems = {part[1] for part in parts if part is not None}
    return len(numbers) == len(names) and len(stems) == 1 and numbers == sorted(set(numbers))


def infer_contract(
    settings: Settings, facts: NativeFacts, data: Data, *, task: Task, n_outputs: int | None = None
) -> Contract:
    """The contract as far as the sample has been seen; `n_outputs` where the answers have told it better."""
    contract = contracts.make_contract(
        data.observer.features,
        task=task,
        classes=facts.classes or (),
        n_outputs=n_outputs or facts.n_outputs or 1,
        sums_to_one=facts.sums_to_one,
        fixed=settings.contract.model_dump(exclude_unset=True),
        known=known_of(facts, data),
    )
    return contract.model_copy(update={"reading": facts.reading, "onnx_outputs": settings.onnx_outputs})


def known_of(facts: NativeFacts, data: Data) -> Knowledge:
    """What the model tells of its columns, by the sample's names of them."""
    features = data.features
    known = {
        features[one.column]: Known(
            values=one.values,
            missing=one.missing,
            answers_others=one.answers_others,
            numbers=one.numbers,
        )
        for one in facts.trained_on
        if one.column < len(features)
    }
    for name, values in data.categories.items():
        known[name] = replace(known.get(name, Known()), values=values)
    for name in data.observer.fractional:
        known[name] = replace(known.get(name, Known()), whole=False)
    for name, used in data.observer.used.items():
        known[name] = replace(known.get(name, Known()), used=frozenset(used))
    return known


def judge_knowledge(facts: NativeFacts, data: Data, contract: Contract | None = None) -> CheckResult:
    """Check `load.knowledge`: what the sample does not show of the model, and what in it the model never saw.

    `contract` may promise what neither of them does.
    """
    shown, known = data.observer.features, known_of(facts, data)
    more, odd = only_known(shown, known), only_seen(shown, known)
    promised = [] if contract is None else only_promised(contract.features, shown, known)
    evidence = (
        *(seen("only the model knows", one) for one in more[:_TOLD]),
        *(seen("only the sample shows", one) for one in odd[:_TOLD]),
        *(seen("only the contract promises", one) for one in promised[:_TOLD]),
    )
    if promised and not odd:
        message = f"[contract] allows what the model was not trained on: {'; '.join(promised[:_TOLD])}"
        return result("load.knowledge", "", warned(message, *evidence, hint=_PROMISED))
    if odd:
        return result(
            "load.knowledge",
            "",
            warned(
                f"the sample holds what the model was not trained on: {'; '.join(odd[:_TOLD])}", *evidence
            ),
        )
    if more:
        told = (
            f"the contract has what the model knows and the sample does not show: {'; '.join(more[:_TOLD])}"
        )
        return result("load.knowledge", "", passed(told, *evidence))
    return result("load.knowledge", "", passed("the sample shows what the model tells of its training"))
