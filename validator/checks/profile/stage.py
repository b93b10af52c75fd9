"""The profile of a model's data: made, compared with the champion's, and the model's quality held against chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from validator.checks.change.base_version import BaseVersion, NoVersion
from validator.checks.check import result
from validator.checks.context import Context
from validator.checks.load.sample import Data
from validator.checks.profile.gathering import Gathering, file_digest
from validator.checks.profile.judging import constants, judge_chance, judge_drift
from validator.checks.quality.judging import MeasuredQuality
from validator.checks.sample_pass import Batch
from validator.checks.shapes import of_answers, ranges_of
from validator.drift import quality
from validator.drift.tally import Tally
from validator.errors import SampleError, UsageError
from validator.model.categories import as_categories
from validator.profile import Profile, parse_profile
from validator.results import CheckResult, Contract
from validator.runtimes.runtime import WorkerRuntime
from validator.runtimes.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """The profile for the artifact, the sample's quality, data for pictures, and the checks `profile.drift` and
    `quality.chance`.
    """

    profile: Profile
    quality: tuple[MeasuredQuality, ...]
    shapes: Mapping[str, Any]
    checks: tuple[CheckResult, ...]


def profile_data(
    context: Context, runtime: WorkerRuntime, data: Data, contract: Contract, base: BaseVersion | NoVersion
) -> Profiled:
    """Profile `--reference` where it is given, else the sample, and judge it.

    Raises UsageError or SampleError for a reference that cannot be read or does not fit the model.
    """
    settings = context.settings
    champion = _champion(base)
    referenced = settings.reference is not None
    sampled = Gathering(runtime=runtime, champion=None if referenced else _tally(champion, data))
    sampled.read(data.batches(settings))
    answers, truth = sampled.answered()
    measured = quality.measure(contract.task, contract.classes, answers, truth)
    gathered = sampled
    if settings.reference is not None:
        gathered = Gathering(runtime=runtime, champion=_tally(champion, data))
        gathered.read(_reference(context, settings.reference, data))
    profile = gathered.maker.finish(
        source="reference" if referenced else "sample",
        source_sha256=file_digest(settings.reference or data.sample.path),
        slo_ms=settings.max_latency_ms,
        target=settings.target,
        quality=measured,
    )
    drift = judge_drift(
        gathered.champion,
        champion,
        reason="" if champion is not None else _no_champion(base),
        fail=settings.profile_drift == "fail",
    )
    chance = judge_chance(
        measured,
        truth,
        contract.task,
        contract.classes,
        target=settings.target,
        fail=settings.quality_chance == "fail",
    )
    by_constant = constants(measured, truth, contract.task, contract.classes)
    return Profiled(
        profile=profile,
        quality=tuple(MeasuredQuality(quality=one, constant=by_constant[one.metric]) for one in measured),
        shapes={
            **of_answers(contract.task, contract.classes, answers, truth),
            "features": ranges_of(profile),
            "features_of": "the training data" if referenced else "the sample",
        },
        checks=(result("profile.drift", "", drift), result("quality.chance", "", chance)),
    )


def _champion(base: BaseVersion | NoVersion) -> Profile | None:
    """The profile of the version that this one would replace, where its artifact has one."""
    if isinstance(base, NoVersion) or base.base.profile is None:
        return None
    return parse_profile(base.base.profile)


def _no_champion(base: BaseVersion | NoVersion) -> str:
    if isinstance(base, NoVersion):
        return base.reason
    return f"{base.base.name} has no profile: only artifacts have, of this release or later"


def _tally(champion: Profile | None, data: Data) -> Tally | None:
    """Counts in the champion's bins, of the features that both versions take in the same form."""
    if champion is None:
        return None
    columns = {column.name: column for column in data.rows.columns}
    common = tuple(
        column
        for column in champion.features
        if column.name in columns and columns[column.name].is_numeric == hasattr(column, "edges")
    )
    return Tally(replace(champion, features=common)) if common else None


def _reference(context: Context, path: str, data: Data) -> Iterator[Batch]:
    """Batches of the training data, in the model's columns."""
    try:
        reference = Sample.open(context.pool, path, context.settings.ignore)
    except UsageError as error:
        raise UsageError(error.message.replace("sample", "reference"), hint="check --reference") from error
    missing = [name for name in data.features if name not in reference.names]
    if missing:
        raise SampleError(
            f"the reference {path} lacks {len(missing)} of the model's features: "
            + ", ".join(map(repr, missing[:10])),
            hint="give the training data with the columns the model was trained on",
        )
    for table in reference.batches():
        yield Batch(rows=as_categories(table.select(data.features), data.categories), table=table)
