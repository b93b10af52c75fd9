"""The sample in its worker: found, opened, and its columns fitted to the model's."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from validator.checks.check import CheckFailedError, CheckOutcome, failed, noted, passed, result, seen
from validator.checks.context import Context
from validator.checks.preload import ANSWERING, JUDGING, MEASURING, TOOLS
from validator.checks.sample_pass import Batch
from validator.errors import SampleError, UsageError
from validator.model import contract as contracts
from validator.model.categories import Categories, as_categories, category_names, recorded_categories
from validator.permissions import remedy
from validator.results import CheckResult
from validator.runtimes.replies import NativeFacts
from validator.runtimes.sample import Sample, refuse_elsewhere, split
from validator.settings.table import Settings
from validator.table import Table

#: Rows that the smoke, error and latency suites work on: the first of the sample.
_SUBJECT_ROWS = 10_000
_FEW_ROWS = 100

#: Told of the rows that were read, with a function that says of how many.
Watch = Callable[[int, Callable[[int], "int | None"]], None]
#: Names and dtypes of the input columns, in the model's order.
Columns = Sequence[tuple[str, str]]


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
    if not context.python.foreign:  # there the serving zygote, which is to stay as lean as production
        context.zygote_of("forms").preload(ANSWERING)
    return sample


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
