"""The report's sentences, the same on every surface."""

from __future__ import annotations

from validator.drift.document import ColumnReport, DriftReport, QualityReport, SpecialShare

VERDICTS = {"fail": "DRIFT", "insufficient": "INSUFFICIENT", "warn": "WARNING", "ok": "OK"}
_SPECIAL = {
    "missing": "missing",
    "zero": "exactly zero",
    "below": "below the reference's range",
    "above": "above the reference's range",
    "unseen": "categories that the reference does not name",
}


def headline(report: DriftReport) -> str:
    """The verdict in one sentence."""
    failing = [column for column in report.columns if column.status == "fail"]
    if failing:
        return f"{_count(len(failing), 'column')} of {len(report.columns)} drifted"
    windows = [window for window in report.windows if window.status == "fail"]
    if windows:
        return f"drift in {len(windows)} of {_count(len(report.windows), 'window')}"
    if report.status == "insufficient":
        unknown = sum(column.status == "insufficient" for column in report.columns)
        if not unknown:
            return f"no drift in {_count(len(report.columns), 'column')}, but not all that was asked can be judged"
        return f"{unknown} of {_count(len(report.columns), 'column')} cannot be judged with these rows"
    if report.status == "warn":
        noted = sum(column.status == "warn" for column in report.columns)
        return f"no drift; {_count(noted, 'column')} worth a look"
    return f"no drift in {_count(len(report.columns), 'column')}"


def rows_line(report: DriftReport) -> str:
    """How many rows were judged, and how many would suffice."""
    windows = f" in {len(report.windows)} windows" if report.windows else ""
    return f"{report.rows:,} rows{windows} ({needed(report)})"


def needed(report: DriftReport) -> str:
    """How many rows every column could be judged with."""
    known = [column.rows_needed for column in report.columns]
    if any(one is None for one in known):
        never = sum(one is None for one in known)
        if never == len(known):
            return "no number of rows suffices with this reference"
        most = max(one for one in known if one is not None)
        return f"{most:,} suffice for {_count(len(known) - never, 'column')}, no number for the other {never}"
    return f"{max((one for one in known if one is not None), default=1):,} suffice"


def shape(column: ColumnReport) -> str:
    """The shape in figures."""
    if column.psi is None:
        return column.reason or "shape not judged"
    if column.floor is None:
        return f"PSI {column.psi:.2f}, floor not known"
    sign = ">" if column.psi > column.floor else "≤"
    blind = ", structurally blind" if column.blind else ""
    return f"PSI {column.psi:.2f} {sign} floor {column.floor:.2f}{blind}"


def special(one: SpecialShare, role: str) -> str:
    """A special value's share, before and now. An output is missing where a row breaks the model's contract."""
    name = "no answer" if (role, one.name) == ("output", "missing") else _SPECIAL[one.name]
    return f"{name} {percent(one.before)} → {percent(one.now)}"


def specials(column: ColumnReport) -> list[str]:
    """Those special values that fail or warn, worst first."""
    worst_first = sorted(column.special, key=lambda s: -s.low)
    return [special(one, column.role) for one in worst_first if one.status != "ok"]


def told(column: ColumnReport) -> str:
    """Everything about a column in one line."""
    parts = [*specials(column), shape(column)]
    if column.reason and column.psi is not None and column.reason not in parts[-1]:
        parts.append(column.reason)
    return "; ".join(parts)


def contribution(column: ColumnReport) -> str:
    """The feature's part in what moves the predictions; empty where it has none worth a word."""
    if column.contribution is None or column.contribution < 0.005:
        return ""
    return f"{100 * column.contribution:.0f} % of the predictions' shift"


def measured(one: QualityReport) -> str:
    """A metric with its interval, the reference's, and a constant's."""
    parts = [f"{one.metric} {one.value:.4g} ({one.low:.4g} to {one.high:.4g}, {one.rows:,} rows)"]
    if one.before is not None:
        parts.append(f"reference {one.before:.4g}")
    parts.append(f"constant {one.chance:.4g}")
    return ", ".join(parts) + (f": {one.reason}" if one.reason else "")


def percent(share: float) -> str:
    """A share as a percentage with as many digits as it needs."""
    if share in (0.0, 1.0):
        return f"{100 * share:.0f} %"
    if share < 0.0005:
        return "< 0.1 %"
    return f"{100 * share:.1f} %"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
