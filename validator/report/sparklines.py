"""The pictures of a report where only text can stand: block characters in tables, each with a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from validator.report import figures
from validator.report.drawing import bar_of_blocks, sparkline
from validator.report.pictures import answers, features
from validator.report.pictures.latency import latency_said
from validator.report.pictures.latency import limit_ms as latency_limit
from validator.report.pictures.picture import named
from validator.report.tables import Code, ReportTable
from validator.results import GateResult
from validator.shapes import FeatureRange

_CELLS = 12
_MOST = 10


def picture_table(result: GateResult, *, volatile: bool) -> ReportTable:
    """A row a picture: what it is, the picture, what it shows."""
    rows = [*_answer_rows(result), *(_latency_rows(result) if volatile else [])]
    return ReportTable(head=("Picture", "from low to high", "what it shows"), rows=tuple(rows))


def _answer_rows(result: GateResult) -> list[tuple[str, str, str]]:
    shapes = result.shapes
    rows: list[tuple[str, str, str]] = []
    if shapes is None:
        return rows
    if shapes.scores is not None:
        said = answers.scores_said(shapes.scores, shapes.score)
        for one in shapes.scores.series:
            rows.append((f"Scores, {named(one.name)}", sparkline(one.counts), said))
            said = "as above"
    if shapes.calibration:
        seen = [one.observed for one in shapes.calibration]
        rows.append(("Calibration", sparkline(seen), answers.calibration_said(shapes.calibration)))
    if shapes.roc is not None:
        heights = [answers.at(shapes.roc, i / _CELLS) for i in range(1, _CELLS + 1)]
        rows.append(("ROC", sparkline(heights), answers.roc_said(result)))
    if shapes.precision_recall is not None:
        curve = shapes.precision_recall
        points = [answers.at(curve, i / _CELLS) for i in range(1, _CELLS + 1)]
        rows.append(("Precision by recall", sparkline(points), answers.precision_said(curve)))
    if shapes.residuals is not None:
        counts = shapes.residuals.series[0].counts
        rows.append(("Residuals", sparkline(counts), answers.residuals_said(shapes.residuals)))
    if shapes.confusion is not None:
        right = [row[i] / (sum(row) or 1) for i, row in enumerate(shapes.confusion.counts)]
        rows.append(("Right, by class", sparkline(right), answers.confusion_said(shapes.confusion)))
    return rows


def _latency_rows(result: GateResult) -> list[tuple[str, str, str]]:
    found = result.latency.distribution
    if found is None:
        return []
    low, high = figures.milliseconds(found.edges[0]), figures.milliseconds(found.edges[-1])
    said = f"{low} to {high} ms. {latency_said(result.latency, latency_limit(result))}"
    rows = []
    for one in found.series:
        rows.append((f"Latency, {named(one.name)}", sparkline(_merged(one.counts, 2)), said))
        said = "as above"
    return rows


def _merged(counts: Sequence[int], by: int) -> list[int]:
    return [sum(counts[i : i + by]) for i in range(0, len(counts), by)]


def importance_table(result: GateResult) -> ReportTable:
    """The features that the model uses most, as bars."""
    found = result.shapes.importance if result.shapes is not None else None
    if found is None:
        return ReportTable(head=(), rows=())
    listed = list(zip(found.names, found.shares, strict=True))
    largest = max(found.shares, default=0.0) or 1.0
    return ReportTable(
        head=(f"Feature, by {found.kind}", "", "share"),
        rows=tuple(
            (Code(name), bar_of_blocks(share / largest), f"{share:.1%}") for name, share in listed[:_MOST]
        ),
        words=2,
        left_out=max(0, found.total - _MOST),
    )


def importance_said(result: GateResult) -> str:
    return features.importance_said(result.shapes) if result.shapes is not None else ""


def feature_shapes(result: GateResult) -> dict[str, str]:
    """A sparkline for each feature whose points are known, by name."""
    return {} if result.shapes is None else {one.name: shape_of(one) for one in result.shapes.features}


def shape_of(one: FeatureRange) -> str:
    """How its values lie between its least and its largest, as far as eleven points tell."""
    points = one.points
    span = points[-1] - points[0]
    if not span > 0:
        return sparkline([1])
    heights = [0.0] * _CELLS
    for low, high in pairwise((point - points[0]) / span * _CELLS for point in points):
        if high - low <= 0:
            heights[min(_CELLS - 1, int(low))] += 1
            continue
        for cell in range(_CELLS):
            heights[cell] += max(0.0, min(high, cell + 1) - max(low, cell)) / (high - low)
    return sparkline(heights)
