"""What a change does to the model, as tables for every kind of report alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from validator.report import figures
from validator.report.tables import NONE, Code, ReportTable, interval
from validator.report.view import quality_changes
from validator.results import Change, GateResult, MetricResult


def change_tables(result: GateResult, *, volatile: bool) -> list[ReportTable]:
    """Scores, quality and, where figures that differ from run to run are shown, cost beside the base version's."""
    if result.change is None:
        return []
    found = [_quantile_table(result.change), _quality_change_table(quality_changes(result))]
    if volatile:
        found.append(_cost_table(result.change))
    return [table for table in found if table]


def _quantile_table(change: Change) -> ReportTable:
    """The distribution of the change in score over the compared rows."""
    values = change.score_quantiles
    rows = (
        ((f"Change of the {change.score or 'score'}", *map(figures.signed, values.values())),)
        if values
        else ()
    )
    return ReportTable(head=("", *values), rows=rows, words=1)


def _quality_change_table(metrics: Sequence[MetricResult]) -> ReportTable:
    """The metrics of both versions over all rows."""
    return ReportTable(
        head=("Quality", "base", "this version", "difference", "95 % interval"),
        rows=tuple(
            (
                metric.name,
                figures.number(metric.base),
                figures.number(metric.value),
                NONE
                if metric.value is None or metric.base is None
                else figures.signed(metric.value - metric.base),
                interval(metric),
            )
            for metric in metrics
        ),
        words=1,
    )


def _cost_table(change: Change) -> ReportTable:
    return ReportTable(
        head=("Cost", "base", "this version", "ratio"),
        rows=tuple(_cost_row(name, base, ours) for name, (base, ours) in change.costs.items()),
        words=1,
    )


def _cost_row(name: str, base: float | None, ours: float | None) -> tuple[str, ...]:
    """The unit is what stands behind the name's last comma: bytes, ms."""
    what, _, unit = name.rpartition(", ")
    shown: Callable[[float | None], str] = figures.number
    if unit == "bytes":
        shown = lambda value: figures.size(None if value is None else round(value))  # noqa: E731
    elif unit == "ms":
        shown = figures.milliseconds
    ratio = figures.factor(ours / base) if base and ours is not None else NONE
    return what if unit == "bytes" else name, shown(base), shown(ours), ratio


def changed_rows_table(change: Change, *, most: int) -> ReportTable:
    return ReportTable(
        head=("Row", "base", "this version", "difference"),
        rows=tuple(
            (
                figures.number(row.row),
                Code(figures.scalar(row.base)),
                Code(figures.scalar(row.candidate)),
                figures.signed(row.difference),
            )
            for row in change.worst_rows[:most]
        ),
        words=1,
        left_out=max(0, len(change.worst_rows) - most),
    )
