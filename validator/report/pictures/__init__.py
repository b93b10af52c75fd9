"""The report's pictures: each a title, a sentence that says what it shows, and an SVG. Pure functions of a result."""

from __future__ import annotations

from validator.report.pictures import answers, features
from validator.report.pictures.latency import latency
from validator.report.pictures.picture import Picture
from validator.results import GateResult

__all__ = ["Picture", "pictures"]


def pictures(result: GateResult, *, volatile: bool) -> list[Picture]:
    """All pictures for which the result has data; those of measured times only with `volatile`."""
    found: list[Picture | None] = []
    shapes = result.shapes
    if shapes is not None:
        found += [
            answers.calibration(shapes),
            answers.scores(shapes),
            answers.roc(result, shapes),
            answers.precision_recall(shapes),
            answers.residuals(shapes),
            answers.bands(shapes),
            answers.confusion(shapes),
        ]
    if volatile:
        found.append(latency(result))
    if shapes is not None:
        found += [features.ranges(shapes, result.contract), features.importance(shapes)]
    return [picture for picture in found if picture is not None]
