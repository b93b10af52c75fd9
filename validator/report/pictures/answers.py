"""Pictures of the model's answers, and of how right they are."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from validator.report import figures
from validator.report.drawing import Frame, dot, line, path, rect, svg, text
from validator.report.pictures.picture import Picture, histogram_frame, named, rounded, shares
from validator.results import GateResult
from validator.shapes import CalibrationBin, Confusion, Curve, Histogram, Shapes


def calibration(shapes: Shapes) -> Picture | None:
    bins = shapes.calibration
    if not bins:
        return None
    frame = Frame.of((0, 1), (0, 1))
    parts = frame.axes("predicted probability", "share that came true")
    parts.append(line("limit", frame.x(0), frame.y(0), frame.x(1), frame.y(1)))
    for one in bins:
        x = frame.x(one.predicted)
        parts.append(line("reach", x, frame.y(one.low), x, frame.y(one.high)))
        seen = f"{one.observed:.3f} ({one.low:.3f} to {one.high:.3f})"
        told = f"predicted {one.predicted:.3f}, seen {seen}, {one.rows:,} rows"
        parts.append(dot("mark", x, frame.y(one.observed), told))
    said = calibration_said(bins)
    return Picture(
        title="Calibration",
        said=said,
        svg=frame.drawn(parts, f"Calibration. {said}"),
        key=(("mark", "share, with its 95 % interval"), ("limit", "perfect")),
    )


def calibration_said(bins: Sequence[CalibrationBin]) -> str:
    """How many groups of rows hold what the model promised, and where it is farthest off."""
    kept = sum(one.low <= one.predicted <= one.high for one in bins)
    worst = max(bins, key=lambda one: abs(one.observed - one.predicted))
    way = "less" if worst.observed < worst.predicted else "more"
    return (
        f"In {kept} of {figures.count(len(bins), 'group')} of rows the probability lies within what was seen. "
        f"Farthest off: {worst.predicted:.2f} promised, {worst.observed:.2f} seen ({way} often)."
    )


def scores(shapes: Shapes) -> Picture | None:
    found = shapes.scores
    if found is None:
        return None
    frame = histogram_frame(found)
    parts = frame.axes(shapes.score, "share of rows")
    key = []
    for i, one in enumerate(found.series):
        heights = shares(one.counts)
        if i == 0 and len(found.series) > 1:
            parts += frame.columns("fill", found.edges, heights)
            key.append(("fill", named(one.name)))
        else:
            kind = "third" if one.name == "base" else "second"
            parts.append(frame.steps(kind, found.edges, heights))
            key.append((kind, named(one.name)))
    said = scores_said(found, shapes.score)
    return Picture(title="Scores", said=said, svg=frame.drawn(parts, f"Scores. {said}"), key=tuple(key))


def scores_said(found: Histogram, score: str) -> str:
    """Where most rows lie, and how far the versions' distributions are apart."""
    by_name = {one.name: shares(one.counts) for one in found.series}
    main = by_name.get("onnx") or next(iter(by_name.values()))
    top = max(range(len(main)), key=main.__getitem__)
    low, high = figures.number(rounded(found.edges[top])), figures.number(rounded(found.edges[top + 1]))
    said = [f"The most frequent {score} is {low} to {high}, of {main[top]:.0%} of the rows."]
    for other, title in (("native", "Native and ONNX"), ("base", "The base version and this one")):
        if other in by_name and "onnx" in by_name:
            moved = sum(abs(a - b) for a, b in zip(by_name[other], main, strict=True)) / 2
            alike = (
                "fall into the same bins" if moved == 0 else f"differ in the bins of {moved:.1%} of the rows"
            )
            said.append(f"{title} {alike}.")
    return " ".join(said)


def roc(result: GateResult, shapes: Shapes) -> Picture | None:
    if shapes.roc is None:
        return None
    frame = Frame.of((0, 1), (0, 1))
    parts = frame.axes("false alarms, share of negatives", "found, share of positives")
    parts.append(line("limit", frame.x(0), frame.y(0), frame.x(1), frame.y(1)))
    parts.append(_drawn(frame, shapes.roc))
    said = roc_said(result)
    return Picture(
        title="ROC",
        said=said,
        svg=frame.drawn(parts, f"ROC curve. {said}"),
        key=(("second", "this version"), ("limit", "guessing")),
    )


def roc_said(result: GateResult) -> str:
    """The area, and what one false alarm in ten negatives finds."""
    area = next((one.value for one in result.quality if one.name == "auc" and not one.slice), None)
    told = "" if area is None else f"The area is {area:.3f}; guessing has 0.5. "
    if result.shapes is None or result.shapes.roc is None:
        return told.strip()
    found = at(result.shapes.roc, 0.1)
    return f"{told}With one false alarm in ten negatives {found:.0%} of the positives are found."


def precision_said(curve: Curve) -> str:
    """How right the model is when half of the positives are to be found."""
    return (
        f"To find half of the positives, {at(curve, 0.5):.0%} of what is picked is right; "
        f"picking everything, {curve.y[-1]:.0%} is."
    )


def precision_recall(shapes: Shapes) -> Picture | None:
    curve = shapes.precision_recall
    if curve is None:
        return None
    frame = Frame.of((0, 1), (0, 1))
    base = curve.y[-1]
    parts = frame.axes("found, share of positives (recall)", "right among the found (precision)")
    parts.append(line("limit", frame.x(0), frame.y(base), frame.x(1), frame.y(base)))
    parts.append(_drawn(frame, curve))
    said = precision_said(curve)
    return Picture(
        title="Precision and recall", said=said, svg=frame.drawn(parts, f"Precision-recall curve. {said}"),
        key=(("second", "this version"), ("limit", "picking everything")),
    )  # fmt: skip


def residuals(shapes: Shapes) -> Picture | None:
    found = shapes.residuals
    if found is None:
        return None
    frame = histogram_frame(found)
    heights = shares(found.series[0].counts)
    parts = [
        *frame.axes("truth minus prediction", "share of rows"),
        *frame.columns("mark", found.edges, heights),
    ]
    if found.edges[0] < 0 < found.edges[-1]:
        parts.append(line("limit", frame.x(0), frame.y.start, frame.x(0), frame.y.end))
    said = residuals_said(found)
    return Picture(title="Residuals", said=said, svg=frame.drawn(parts, f"Residuals. {said}"))


def residuals_said(found: Histogram) -> str:
    """How many rows the model puts too low, and where most errors lie."""
    counts = found.series[0].counts
    total = sum(counts) or 1
    middles = [(a + b) / 2 for a, b in zip(found.edges, found.edges[1:], strict=False)]
    above = sum(count for count, middle in zip(counts, middles, strict=True) if middle > 0) / total
    top = max(range(len(counts)), key=counts.__getitem__)
    low, high = (figures.number(rounded(edge)) for edge in found.edges[top : top + 2])
    return f"About {above:.0%} of the rows are predicted too low; the most frequent error is {low} to {high}."


def bands(shapes: Shapes) -> Picture | None:
    bands = shapes.bands
    if len(bands) < 2:
        return None
    lows, highs = min(one.low for one in bands), max(one.high for one in bands)
    frame = Frame.of((bands[0].predicted, bands[-1].predicted), (min(lows, 0.0), max(highs, 0.0)))
    parts = frame.axes("prediction", "truth minus prediction")
    parts.append(line("limit", frame.x.start, frame.y(0), frame.x.end, frame.y(0)))
    for one in bands:
        x = frame.x(one.predicted)
        parts.append(line("reach", x, frame.y(one.low), x, frame.y(one.high)))
        parts.append(dot("mark", x, frame.y(one.middle), f"median {one.middle:.4g}, {one.rows:,} rows"))
    worst = max(bands, key=lambda one: abs(one.middle))
    said = (
        f"The median error is largest where about {figures.number(rounded(worst.predicted))} is predicted: "
        f"{figures.signed(rounded(worst.middle))}."
    )
    return Picture(
        title="Residuals by prediction", said=said, svg=frame.drawn(parts, f"Residuals by prediction. {said}"),
        key=(("mark", "median, 10 % to 90 %"),),
    )  # fmt: skip


def confusion(shapes: Shapes) -> Picture | None:
    found = shapes.confusion
    if found is None or not found.labels:
        return None
    size, left, top = min(64.0, 330 / len(found.labels)), 96, 34
    width = left + size * len(found.labels) + 12
    parts = [text(left, 12, "answered as", kind="name"), text(0, 12, "truly", kind="name")]
    for i, (label, row) in enumerate(zip(found.labels, found.counts, strict=True)):
        parts.append(
            text(left + size * (i + 0.5), top - 6, label, anchor="middle", limit=max(3, int(size / 7)))
        )
        parts.append(text(left - 8, top + size * (i + 0.5) + 4, label, anchor="end", limit=12))
        for j, count in enumerate(row):
            x, y, share = left + j * size, top + i * size, count / (sum(row) or 1)
            shade = f"{'hit' if i == j else 'miss'} o{min(10, round(10 * share))}"
            told = f"{label} answered as {found.labels[j]}: {count:,} ({share:.0%})"
            parts.append(rect(shade, x + 1, y + 1, size - 2, size - 2, told))
            if size >= 30:
                parts.append(
                    text(x + size / 2, y + size / 2 + 4, _brief(count), anchor="middle", kind="count")
                )
    said = confusion_said(found)
    height = top + size * len(found.labels) + 8
    return Picture(
        title="Confusion matrix",
        said=said,
        svg=svg(parts, max(width, 300), height, f"Confusion matrix. {said}"),
    )


def confusion_said(found: Confusion) -> str:
    """The share that is right, and the most frequent mistake; classes by the most probable one."""
    total = sum(map(sum, found.counts)) or 1
    right = sum(row[i] for i, row in enumerate(found.counts))
    mistakes = [
        (count, found.labels[i], found.labels[j])
        for i, row in enumerate(found.counts)
        for j, count in enumerate(row)
        if i != j and count
    ]
    said = f"{right / total:.1%} of {figures.count(total, 'row')} are right by the most probable class."
    if not mistakes:
        return said
    count, truth, answered = max(mistakes)
    return (
        f"{said} The most frequent mistake: {truth} answered as {answered}, {figures.count(count, 'time')}."
    )


def _drawn(frame: Frame, curve: Curve) -> Markup:
    return path("second", [(frame.x(x), frame.y(y)) for x, y in zip(curve.x, curve.y, strict=False)])


def at(curve: Curve, x: float) -> float:
    """The height at the last point that is not beyond `x`."""
    return next((y for at, y in reversed(list(zip(curve.x, curve.y, strict=False))) if at <= x), curve.y[0])


def _brief(count: int) -> str:
    return f"{count:,}" if count < 100_000 else f"{count / 1000:,.0f} k"
