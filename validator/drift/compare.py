"""From counts and rows to the report: each column, each window, the predictions and their quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.drift import contributions as parts
from validator.drift import quality
from validator.drift.answering import Answerer, matrix
from validator.drift.document import (
    BinShare,
    ColumnReport,
    DriftReport,
    QualityReport,
    SpecialShare,
    WindowReport,
)
from validator.drift.rule import ColumnVerdict, Observed, judge_column, overall
from validator.drift.scan import Scan, Window
from validator.drift.tally import Tally
from validator.profile import Column, NumericColumn, Profile

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is compared: names for the report, and what the caller vouches for."""

    tool_version: str
    model: str
    version: str
    against: str
    data: str
    independent: bool = False
    group: str | None = None
    window: Window | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was counted and asked: the whole's counts, each window's by label, and what the model answered.

    `truth` says in words how many rows have a true answer, where such answers were given.
    """

    whole: Tally
    windows: Mapping[str, Tally]
    answered: int = 0
    refused: int = 0
    contributions: tuple[parts.Contribution, ...] = ()
    quality: tuple[QualityReport, ...] = ()
    truth: str = ""
    notes: tuple[str, ...] = ()


def ask_model(
    scan: Scan,
    answerer: Answerer,
    window: Window | None,
    *,
    truth: NDArray[Any] | None = None,
    contributions: bool = True,
) -> Found:
    """Ask the model for the rows that were kept, and count its answers into the tallies.

    A row that breaks the model's contract has no answer: it is counted as missing in each output. `truth` [N] are
    the kept rows' true answers, None where nobody knows them.
    """
    profile = scan.whole.profile
    rows = dict(zip((column.name for column in profile.features), scan.kept.arrays, strict=False))
    outputs, valid = answerer.answers(rows)
    wanted = [column.name for column in profile.outputs]
    if wanted:
        scan.whole.add_outputs({name: outputs[name] for name in wanted}, in_order=scan.all_kept)
        place = scan.kept.arrays[-1]
        for key, tally in scan.windows.items():
            which = place == key
            tally.add_outputs({name: outputs[name][which] for name in wanted}, in_order=False)
    measured: tuple[QualityReport, ...] = ()
    told = ""
    if truth is not None:
        understood = quality.understood(answerer.task, answerer.classes, truth)
        known = valid & understood
        told = _truth_told(truth, understood, known, answerer.classes)
        if wanted and known.any():
            measured = _measured(profile, answerer, matrix(outputs, wanted)[known], truth[known])
    return Found(
        whole=scan.whole,
        windows={_label(key, scan, window): tally for key, tally in scan.windows.items()},
        answered=int(valid.sum()),
        refused=int((~valid).sum()),
        contributions=parts.contributions(profile, rows, answerer) if contributions and valid.any() else (),
        quality=measured,
        truth=told,
    )


def _truth_told(
    truth: NDArray[Any], understood: NDArray[np.bool_], known: NDArray[np.bool_], classes: Sequence[Any]
) -> str:
    """How many of the rows that the model was asked for have a true answer, and what is wrong with the others."""
    told = f"{known.sum():,} of {len(truth):,} rows have an answer and a true answer, and 40 are needed"
    odd = quality.has_truth(truth) & ~understood
    if odd.any():
        kind = f"is none of {', '.join(map(repr, classes[:5]))}" if classes else "is no number"
        first = str(truth[odd.argmax()])[:80]
        told += f"; of {odd.sum():,} the true answer {kind} (for instance {first!r})"
    return told


def report(question: Question, found: Found) -> DriftReport:
    """The report on everything that was found."""
    profile, whole = found.whole.profile, found.whole
    windows = found.windows if len(found.windows) > 1 else {}
    n_columns = (len(profile.features) + _n_outputs(whole)) * (1 + len(windows))
    share = {one.feature: one for one in found.contributions}
    columns = [
        _column_report(column, seen, verdict, role, share.get(column.name) if role == "feature" else None)
        for column, seen, verdict, role in _judged(whole, n_columns, question.independent)
    ]
    reports = [
        _window_report(label, tally, n_columns, question.independent) for label, tally in windows.items()
    ]
    status = overall(columns)
    if status in ("ok", "warn") and _unknown(found):
        status = "insufficient"
    if any(one.status == "fail" for one in reports):
        status = "fail"
    return DriftReport(
        tool_version=question.tool_version,
        model=question.model,
        version=question.version,
        against=question.against,
        data=question.data,
        status=status,
        rows=whole.rows,
        answered=found.answered,
        refused=found.refused,
        reference_rows=profile.rows,
        reference_ordered=profile.ordered,
        independent=question.independent,
        group=question.group,
        columns=tuple(columns),
        windows=tuple(reports),
        quality=found.quality,
        notes=tuple(_notes(question, found, columns)),
    )


def _unknown(found: Found) -> bool:
    """Whether something was asked for that nobody could look at: the outputs, or the quality."""
    unasked = bool(found.whole.profile.outputs) and not found.whole.outputs.rows
    return unasked or bool(found.truth and not found.quality)


def _n_outputs(tally: Tally) -> int:
    return len(tally.profile.outputs) if tally.outputs.rows else 0


def _judged(
    tally: Tally, n_columns: int, independent: bool
) -> list[tuple[Column, Observed, ColumnVerdict, Any]]:
    found: list[tuple[Column, Observed, ColumnVerdict, Any]] = []
    for i, column in enumerate(tally.profile.features):
        seen = tally.feature(i)
        verdict = judge_column(column, seen, n_columns=n_columns, independent=independent)
        found.append((column, seen, verdict, "feature"))
    for i, column in enumerate(tally.profile.outputs if tally.outputs.rows else ()):
        seen = tally.output(i)
        verdict = judge_column(column, seen, n_columns=n_columns, independent=independent)
        found.append((column, seen, verdict, "output"))
    return found


def _column_report(
    column: Column,
    seen: Observed,
    verdict: ColumnVerdict,
    role: Any,
    contribution: parts.Contribution | None,
) -> ColumnReport:
    before, now = np.array(column.counts), np.array([seen.slots[name] for name in column.bins])
    return ColumnReport(
        name=column.name,
        role=role,
        status=verdict.status,
        shape=verdict.shape,
        psi=verdict.psi,
        floor=verdict.floor,
        blind=verdict.blind,
        rows=verdict.rows,
        rows_needed=verdict.rows_needed,
        reason=verdict.reason,
        special=tuple(
            SpecialShare(name=one.name, before=one.before, now=one.now, low=one.low, status=one.status)
            for one in verdict.special
        ),
        bins=tuple(
            BinShare(label=label, before=float(a), now=float(b))
            for label, a, b in zip(
                _labels(column), before / max(1, before.sum()), now / max(1, now.sum()), strict=True
            )
        ),
        contribution=None if contribution is None else contribution.share,
        change=None if contribution is None else contribution.change,
    )


def _labels(column: Column) -> list[str]:
    if not isinstance(column, NumericColumn):
        return [*(name[:200] for name in column.top), "other"]
    ends = [f"{edge:.4g}" for edge in column.edges]
    if not ends:
        return ["all"]
    between = [f"{a} to {b}" for a, b in pairwise(ends)]
    return [f"up to {ends[0]}", *between, f"above {ends[-1]}"]


def _window_report(label: str, tally: Tally, n_columns: int, independent: bool) -> WindowReport:
    verdicts = [verdict for _, _, verdict, _ in _judged(tally, n_columns, independent)]
    return WindowReport(
        label=label,
        rows=tally.rows,
        status=overall(verdicts),
        failing=tuple(one.name for one in verdicts if one.status == "fail"),
        warning=tuple(
            one.name
            for one in verdicts
            if one.status == "warn"
            or (one.status != "fail" and any(special.status == "warn" for special in one.special))
        ),
        insufficient=sum(one.status == "insufficient" for one in verdicts),
        largest_psi=max((one.psi for one in verdicts if one.psi is not None), default=None),
    )


def _label(key: int, scan: Scan, window: Window | None) -> str:
    if window is None or not window.seconds:
        length = 0 if window is None else window.length
        return f"rows {key * length + 1:,}-{(key + 1) * length:,}"
    moment = datetime.fromtimestamp(scan.start + key * window.length, UTC)
    whole_days = scan.start % 86_400 == 0 and window.length % 86_400 == 0
    return moment.strftime("%Y-%m-%d" if whole_days else "%Y-%m-%d %H:%M")


def _measured(
    profile: Profile, answerer: Answerer, outputs: NDArray[np.float64], truth: NDArray[Any]
) -> tuple[QualityReport, ...]:
    before = {one.metric: one for one in profile.quality}
    found = []
    for now in quality.measure(answerer.task, answerer.classes, outputs, truth):
        by_chance = quality.chance(now.metric, answerer.task, answerer.classes, truth)
        verdict = quality.compare(now, before.get(now.metric), by_chance)
        worse = verdict.worse or (None, None, None)
        found.append(
            QualityReport(
                metric=now.metric,
                rows=now.rows,
                value=now.value,
                low=now.low,
                high=now.high,
                chance=by_chance,
                before=verdict.before.value if verdict.before else None,
                loss=worse[0],
                loss_low=worse[1],
                loss_high=worse[2],
                status=verdict.status,
                reason=verdict.reason,
            )
        )
    return tuple(found)


def _notes(question: Question, found: Found, columns: Sequence[ColumnReport]) -> list[str]:
    """What the reader has to know to read the verdict rightly."""
    profile = found.whole.profile
    notes = list(found.notes)
    if question.independent:
        notes.append(
            "--independent: rows are taken as independent; the reference's own windows were not looked at"
        )
    blind = sum(column.blind for column in columns)
    if blind:
        notes.append(
            f"structurally blind: with {found.whole.rows:,} rows no shape of {blind} of {len(columns)} columns could "
            "be told from the reference's own ups and downs; their special values are judged, their shape is not"
        )
    unordered = sum("not in time order" in column.reason for column in columns)
    if unordered:
        notes.append(
            f"the reference is not in time order, but the data is ({unordered} of {len(columns)} columns): make the "
            "profile from training data in its order in time, or give --independent if rows are"
        )
    if any(column.reason.startswith("the reference has fewer") for column in columns):
        notes.append(
            f"the reference has {profile.rows:,} rows; with fewer than 400 its own ups and downs are not known: "
            "validate with --reference and the training data"
        )
    if not found.answered and not found.refused:
        notes.append("the model was not asked: outputs, contributions and quality are not in this report")
    if found.refused:
        share = found.refused / (found.refused + found.answered)
        notes.append(f"{share:.1%} of the rows break the model's contract and have no answer")
    if found.truth and not found.quality:
        notes.append(f"the quality cannot be measured: {found.truth}")
    elif "none of" in found.truth or "no number" in found.truth:
        notes.append(found.truth)
    elif not found.truth:
        notes.append("without true answers (--target) nobody measures how good the predictions are")
    return notes
