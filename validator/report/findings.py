"""What a reader must know of: problems by their cause, what was waived, warnings, notes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from validator.causes import blocks, causes_of, is_note
from validator.report import figures
from validator.report.checklist_view import RUNTIME_TITLES, is_volatile
from validator.results import CheckResult

#: Messages that one finding quotes; the tables have them all.
_QUOTED = 4
_SILENT = "accepted silently"


@dataclass(frozen=True, kw_only=True)
class ReportedCheck:
    """One thing to know, which one check or several have found.

    `follows` counts the further checks that fail or could not run because of it; `evidence` are name, what was seen,
    what was allowed.
    """

    id: str
    runtimes: str
    title: str
    message: str
    hint: str
    waived: str
    evidence: tuple[tuple[str, str, str], ...]
    follows: int = 0
    fails: bool = False


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All that one result has to tell of, the most important first in each kind."""

    problems: tuple[ReportedCheck, ...]
    waived: tuple[ReportedCheck, ...]
    warnings: tuple[ReportedCheck, ...]
    notes: tuple[ReportedCheck, ...]


def findings(checks: Sequence[CheckResult], *, volatile: bool = True) -> Findings:
    """One finding a cause. Without `volatile` nothing depends on measured times, and warnings are left out."""
    warned = [check for check in checks if check.status == "warn" and not check.waived]
    waived = [check for check in checks if check.waived and check.status != "pass"]
    lenient = [check for check in checks if check.status in ("fail", "error") and not _is_told(check)]
    return Findings(
        problems=tuple(
            _finding(cause.checks, volatile=volatile, follows=cause.follows) for cause in causes_of(checks)
        ),
        waived=_alike(waived, volatile=volatile),
        warnings=_alike([*lenient, *(check for check in warned if not is_note(check))], volatile=True)
        if volatile
        else (),
        notes=_alike(
            (check for check in warned if is_note(check) and (volatile or not is_volatile(check))),
            volatile=volatile,
        ),
    )


def _is_told(check: CheckResult) -> bool:
    return blocks(check) or bool(check.waived)


def _alike(checks: Iterable[CheckResult], *, volatile: bool) -> tuple[ReportedCheck, ...]:
    """One finding for one check on several runtimes, and for several checks on the same runtimes with one remedy."""
    by_check: dict[tuple[str, str, str, str], list[CheckResult]] = {}
    for check in checks:
        message = check.message if volatile or not is_volatile(check) else ""
        by_check.setdefault((check.id, message, check.hint, check.waived), []).append(check)
    groups: dict[tuple[str, ...], list[CheckResult]] = {}
    for (id, _, hint, reason), group in by_check.items():
        on = ",".join(check.runtime for check in group)
        own = id if reason or group[0].category != "errors" else "errors"
        groups.setdefault((own, hint, reason, on), []).extend(group)
    return tuple(_finding(group, volatile=volatile) for group in groups.values())


def _finding(
    group: Sequence[CheckResult], *, volatile: bool, follows: Sequence[CheckResult] = ()
) -> ReportedCheck:
    first = group[0]
    names = list(dict.fromkeys(RUNTIME_TITLES[check.runtime] for check in group if check.runtime))
    return ReportedCheck(
        id=first.id,
        runtimes=" and ".join(([", ".join(names[:-1])] if names[1:] else []) + names[-1:]),
        title=_title(group),
        message=_message(group, volatile=volatile),
        hint=first.hint,
        waived=first.waived,
        evidence=tuple(
            dict.fromkeys(line for check in group for line in _evidence(check, volatile=volatile))
        ),
        follows=len(follows),
        fails=any(check.status != "skip" for check in follows),
    )


def _title(group: Sequence[CheckResult]) -> str:
    """All their titles. What was accepted without an error is named as such: its titles tell the input alone."""
    titles = "; ".join(dict.fromkeys(check.title for check in group))
    several = len({check.id for check in group}) > 1
    return f"Accepted without an error: {titles}" if several and _is_silent(group) else titles


def _is_silent(group: Sequence[CheckResult]) -> bool:
    return all(check.message.startswith(_SILENT) for check in group)


def _message(group: Sequence[CheckResult], *, volatile: bool) -> str:
    """What they say; each by its runtime or its title where they do not say the same."""
    said: dict[str, list[CheckResult]] = {}
    for check in group:
        if check.message and (volatile or not is_volatile(check)):
            said.setdefault(check.message, []).append(check)
    ids = {check.id for check in group}
    if len(said) < 2:
        return "".join(said)
    if len(ids) > 1 and _is_silent(group):
        return ""
    told = [f"{_named(checks, ids)}: {message}" for message, checks in said.items()]
    more = [f"{len(told) - _QUOTED} more in the report's tables"] if told[_QUOTED:] else []
    return "; ".join(told[:_QUOTED] + more)


def _named(checks: Sequence[CheckResult], ids: set[str]) -> str:
    if len(ids) > 1:
        return checks[0].title
    return ", ".join(dict.fromkeys(RUNTIME_TITLES[check.runtime] for check in checks))


def _evidence(check: CheckResult, *, volatile: bool) -> list[tuple[str, str, str]]:
    return [
        (item.name, figures.scalar(item.seen), item.allowed)
        for item in check.evidence
        if volatile or not item.volatile
    ]
