"""From results to a verdict. Pure, and fails closed: what has no result, was skipped or erred blocks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from validator.catalog import BY_ID, expected
from validator.causes import blocks, causes_of, in_words, is_note
from validator.results import CheckResult, RuntimeName, VerdictName

#: What no waiver covers: without these there is nothing of which a verdict could speak.
UNWAIVABLE = frozenset({"load.safety", "version.artifact", "version.recorded", "version.waivers"})
#: The longest that a waiver may last, from the day of the run.
WAIVER_DAYS = 90
_NAMED = 5


class WaiverLike(Protocol):
    """What the checklist needs to know of a waiver: it works until the day before `expires`."""

    @property
    def check(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def expires(self) -> dt.date: ...

    @property
    def runtime(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`reason` is one sentence for the report's first line; `checks` are complete and have waivers applied."""

    verdict: VerdictName
    reason: str
    checks: tuple[CheckResult, ...]


def decide(
    results: Sequence[CheckResult],
    *,
    runtimes: tuple[RuntimeName, ...],
    waivers: Iterable[WaiverLike],
    today: dt.date,
    waiver_days: int = WAIVER_DAYS,
) -> Verdict:
    """Pass only if every required check passed or warned, or failed under a waiver that holds.

    A waiver that lasts longer than `waiver_days` from today, or covers what no waiver may, covers nothing and blocks.
    """
    given = tuple(waivers)
    wrong = {
        number: why for number, waiver in enumerate(given) if (why := _why_wrong(waiver, today, waiver_days))
    }
    held = [waiver for number, waiver in enumerate(given) if number not in wrong]
    notes = (*_expired(given, today), *(_note("version.waivers", "fail", *why) for why in wrong.values()))
    checks = tuple(_waived(check, held, today) for check in (*results, *_absent(results, runtimes), *notes))
    if any(map(blocks, checks)):
        return Verdict(verdict="fail", reason=_reason(checks), checks=checks)
    return Verdict(verdict="pass", reason=_passed(checks), checks=checks)


def _absent(results: Sequence[CheckResult], runtimes: tuple[RuntimeName, ...]) -> list[CheckResult]:
    seen = {(check.id, check.runtime) for check in results}
    return [
        CheckResult(
            id=id,
            runtime=runtime,
            category=BY_ID[id].category,
            status="skip",
            title=BY_ID[id].title,
            message="not run, because an earlier step failed",
            hint="mend the first failure, then run again",
        )
        for id, runtime in expected(runtimes)
        if (id, runtime) not in seen
    ]


def _waived(check: CheckResult, waivers: Iterable[WaiverLike], today: dt.date) -> CheckResult:
    if not blocks(check):
        return check
    for waiver in waivers:
        named = waiver.check == check.id and waiver.runtime in ("", check.runtime)
        if named and today < waiver.expires:
            return check.model_copy(update={"waived": f"{waiver.reason} (until {waiver.expires})"[:1000]})
    return check


def _expired(waivers: Iterable[WaiverLike], today: dt.date) -> list[CheckResult]:
    """An expired waiver is told of, and blocks nothing by itself: the check it covered does."""
    return [
        _note(
            "version.waivers",
            "warn",
            f"the waiver of {waiver.check} expired on {waiver.expires}: {waiver.reason}",
            "remove it from the configuration",
        )
        for waiver in waivers
        if today >= waiver.expires
    ]


def _why_wrong(waiver: WaiverLike, today: dt.date, days: int) -> tuple[str, str] | None:
    """What is wrong with a waiver and what to do, or nothing. Such a mistake would hide: it blocks."""
    if waiver.check not in BY_ID:
        return f"the waiver names {waiver.check!r}, which is no check", "use an id as the report shows it"
    if waiver.check in UNWAIVABLE:
        return f"the waiver covers {waiver.check}, which no waiver may cover", "mend what that check found"
    latest = today + dt.timedelta(days=days)
    if waiver.expires > latest:
        return (
            f"the waiver of {waiver.check} lasts until {waiver.expires}, longer than the {days} days allowed",
            f"set `expires` to {latest} or earlier; only the workflow can allow more, by `waiver-days`",
        )
    return None


def _note(id: str, status: str, message: str, hint: str) -> CheckResult:
    return CheckResult.model_validate(
        {
            "id": id,
            "category": "version",
            "status": status,
            "title": "Waivers",
            "message": message,
            "hint": hint,
        }
    )


def lasting_reason(checks: Sequence[CheckResult]) -> str:
    """The verdict's reason without what is measured or merely warned of: the same for every run of one commit."""
    causes = causes_of(checks)
    if not causes:
        return f"nothing in {len(checks)} checks forbids shipping"
    named = list(dict.fromkeys(in_words(cause) for cause in causes))
    more = f", and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    number = "1 problem forbids" if len(causes) == 1 else f"{len(causes)} problems forbid"
    return f"{number} shipping: {', '.join(named[:_NAMED])}{more}"


def _reason(checks: Sequence[CheckResult]) -> str:
    causes = causes_of(checks)
    first, more = causes[0], len(causes) - 1
    rest = f", and {more} more {'problem' if more == 1 else 'problems'}" if more else ""
    return f"{in_words(first)}: {first.lead.message[:1_900]}{rest}"


def _passed(checks: Sequence[CheckResult]) -> str:
    judged = sum(check.status in ("pass", "warn") for check in checks)
    warned = sum(check.status == "warn" and not is_note(check) for check in checks)
    waived = sum(bool(check.waived) for check in checks)
    notes = [f"{judged} checks passed"]
    notes += [f"{warned} of them with a warning"] if warned else []
    notes += [f"{waived} failing under a waiver"] if waived else []
    return ", ".join(notes)
