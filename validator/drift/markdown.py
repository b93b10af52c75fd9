"""The report as Markdown, for a job's summary, an issue or a pull request."""

from __future__ import annotations

from validator.drift import wording
from validator.drift.document import ColumnReport, DriftReport
from validator.report.drawing import sparkline
from validator.report.escape import markdown_code, markdown_text

_MOST = 60
_MARKS = {"fail": "🔴 drift", "insufficient": "⚪ not known", "warn": "🟡 look", "ok": "🟢 ok"}


def render_markdown(report: DriftReport) -> str:
    """One section: verdict, table of columns worst first, quality, windows, notes."""
    lines = [
        f"## {_MARKS[report.status]}: {markdown_text(report.model)} — {markdown_text(wording.headline(report))}",
        "",
        f"{markdown_text(wording.rows_line(report))}, compared with {markdown_text(report.against)} "
        f"({report.reference_rows:,} rows), version {markdown_code(report.version)}.",
        "",
    ]
    lines += _columns(report)
    if report.quality:
        lines += ["", "**Quality, where the truth is known**", ""]
        lines += [f"- {markdown_text(wording.measured(one))}" for one in report.quality]
    if report.windows:
        lines += ["", "| Window | Rows | Verdict | Drifted |", "|---|--:|---|---|"]
        for window in report.windows:
            names = ", ".join(markdown_code(name) for name in window.failing[:8])
            lines.append(
                f"| {markdown_text(window.label)} | {window.rows:,} | {_MARKS[window.status]} | {names} |"
            )
    if report.notes:
        lines += ["", *(f"- {markdown_text(note)}" for note in report.notes)]
    return "\n".join(lines) + "\n"


def _columns(report: DriftReport) -> list[str]:
    shown = report.worst_first[:_MOST]
    lines = [
        "| | Column | What | Then | Now | Part |",
        "|---|---|---|---|---|--:|",
        *(_row(column) for column in shown),
    ]
    hidden = len(report.columns) - len(shown)
    if hidden:
        lines.append("")
        lines.append(f"{hidden} more columns are in `drift.json`.")
    return lines


def _row(column: ColumnReport) -> str:
    before = sparkline([one.before for one in column.bins])
    now = sparkline([one.now for one in column.bins])
    part = "" if column.contribution is None else f"{100 * column.contribution:.0f} %"
    name = markdown_code(column.name) + (" (output)" if column.role == "output" else "")
    status = "warn" if column.status == "insufficient" and wording.specials(column) else column.status
    told = markdown_text(wording.told(column))
    return f"| {_MARKS[status]} | {name} | {told} | `{before}` | `{now}` | {part} |"
