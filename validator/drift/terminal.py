"""The report for a terminal: one line a column, worst first, in the width that there is."""

from __future__ import annotations

import textwrap

from validator.drift import wording
from validator.drift.document import ColumnReport, DriftReport
from validator.report.drawing import ascii_line, sparkline
from validator.report.escape import clean

_MOST = 25
_NAME = 24


def render_terminal(report: DriftReport, *, width: int = 80, unicode: bool = True) -> str:
    """Lines of at most `width` characters, without colour."""
    verdict = wording.VERDICTS[report.status]
    lines = textwrap.wrap(
        f"{verdict}  {clean(report.model)}  {clean(report.version)}  {wording.rows_line(report)}",
        width,
        subsequent_indent="  ",
    )
    lines += textwrap.wrap(wording.headline(report), width, initial_indent="  ", subsequent_indent="  ")
    shown = [column for column in report.worst_first if _notable(column)]
    for column in shown[:_MOST]:
        lines += ["", *_column(column, width, unicode)]
    lines += ["", *_rest(report, shown, width)]
    for one in report.quality:
        mark = "WARN" if one.status == "warn" else "    "
        lines += _wrapped(f"{mark}  {wording.measured(one)}", width)
    for window in report.windows:
        failing = f": {', '.join(map(clean, window.failing[:5]))}" if window.failing else ""
        lines += _wrapped(f"{_mark(window.status)}  {window.label}  {window.rows:,} rows{failing}", width)
    for note in report.notes:
        lines += _wrapped(f"note: {clean(note, limit=1_000)}", width, indent=2)
    return "\n".join(lines if unicode else [_plain(line) for line in lines]) + "\n"


def _column(column: ColumnReport, width: int, unicode: bool) -> list[str]:
    name = clean(column.name, limit=_NAME)
    role = " (output)" if column.role == "output" else ""
    status = "warn" if column.status == "insufficient" and wording.specials(column) else column.status
    lines = _wrapped(f"{_mark(status)}  {name}{role}  {wording.told(column)}", width)
    draw = sparkline if unicode else ascii_line
    if len(column.bins) > 1:
        before, now = (draw([getattr(one, key) for one in column.bins]) for key in ("before", "now"))
        part = wording.contribution(column)
        lines.append(f"        {before} then  {now} now" + (f"  {part}" if part else ""))
    elif part := wording.contribution(column):
        lines.append(f"        {part}")
    return lines


def _rest(report: DriftReport, shown: list[ColumnReport], width: int) -> list[str]:
    hidden = [column for column in report.columns if column not in shown[:_MOST]]
    if not hidden:
        return []
    lines = []
    for status in ("fail", "insufficient", "warn", "ok"):
        some = [column for column in hidden if column.status == status]
        if some:
            names = ", ".join(clean(column.name, limit=_NAME) for column in some[:4])
            more = f" and {len(some) - 4} more" if len(some) > 4 else ""
            figures = ""
            if any(column.floor is not None for column in some):
                largest = max(column.psi or 0.0 for column in some)
                floor = max(column.floor or 0.0 for column in some)
                figures = f": PSI up to {largest:.2f}, floor up to {floor:.2f}"
            lines += _wrapped(f"{_mark(status)}  {names}{more}{figures}", width)
    return lines


def _notable(column: ColumnReport) -> bool:
    return column.status in ("fail", "warn") or any(one.status != "ok" for one in column.special)


def _mark(status: str) -> str:
    return {"fail": "FAIL", "insufficient": "?   ", "warn": "WARN", "ok": "ok  "}[status]


def _wrapped(text: str, width: int, indent: int = 8) -> list[str]:
    return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent=" " * indent)


def _plain(line: str) -> str:
    return line.replace("→", "->").replace("≤", "<=").encode("ascii", "replace").decode()
