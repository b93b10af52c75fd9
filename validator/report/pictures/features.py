"""Pictures of the features: their ranges, and how much the model uses them."""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from validator.report import figures
from validator.report.drawing import bars, line, rect, svg, text
from validator.report.pictures.picture import Picture, rounded
from validator.results import Contract, FeatureSpec
from validator.shapes import FeatureRange, Shapes

_MOST_RANGES, _MOST_BARS = 25, 15


def ranges(shapes: Shapes, contract: Contract | None) -> Picture | None:
    if not shapes.features:
        return None
    specs = {} if contract is None else {feature.name: feature for feature in contract.features}
    shown = sorted(shapes.features, key=lambda one: not _is_fixed(specs.get(one.name)))[:_MOST_RANGES]
    width, row = 740, 20
    parts: list[Markup] = []
    for i, one in enumerate(shown):
        parts += _range_row(one, specs.get(one.name), y=i * row + 12, width=width)
    said = ranges_said(shapes, contract)
    return Picture(
        title="Ranges of the features",
        said=said,
        svg=svg(parts, width, row * len(shown) + 6, f"Ranges. {said}"),
        wide=True,
        key=(("reach", "all values"), ("mark", "10 % to 90 %, median"), ("stop", "limit of the contract")),
    )


def _is_fixed(spec: FeatureSpec | None) -> bool:
    return spec is not None and spec.fixed_range


def _range_row(one: FeatureRange, spec: FeatureSpec | None, *, y: float, width: float) -> Iterator[Markup]:
    limits = [spec.minimum, spec.maximum] if spec is not None and spec.fixed_range else []
    known = [value for value in limits if value is not None]
    low, high = min([one.points[0], *known]), max([one.points[-1], *known])
    start, end = 250.0, width - 120.0

    def at(value: float) -> float:
        return start + (end - start) * ((value - low) / (high - low) if high > low else 0.5)

    yield text(0, y + 4, one.name, limit=24)
    yield text(start - 10, y + 4, figures.number(rounded(one.points[0])), anchor="end")
    yield line("reach", at(one.points[0]), y, at(one.points[-1]), y)
    yield rect("mark", at(one.points[1]), y - 4, max(1.5, at(one.points[9]) - at(one.points[1])), 8)
    yield line("middle", at(one.points[5]), y - 6, at(one.points[5]), y + 6)
    for value in known:
        yield line("stop", at(value), y - 8, at(value), y + 8)
    missing = f", {one.missing:.0%} missing" if one.missing else ""
    yield text(end + 10, y + 4, figures.number(rounded(one.points[-1])) + missing)


def ranges_said(shapes: Shapes, contract: Contract | None) -> str:
    """Of what the ranges are, and how many of them the contract limits."""
    specs = contract.features if contract is not None else ()
    fixed = sum(map(_is_fixed, specs))
    told = (
        f"{figures.count(fixed, 'feature')} with a limit in the contract"
        if fixed
        else "the contract limits none"
    )
    more = len(shapes.features) - _MOST_RANGES
    rest = f" {figures.count(more, 'more feature')} in result.json." if more > 0 else ""
    number = figures.count(len(shapes.features), "numeric feature")
    return f"{number} of {shapes.features_of or 'the sample'}; {told}.{rest}"


def importance(shapes: Shapes) -> Picture | None:
    found = shapes.importance
    if found is None or not found.names:
        return None
    items = list(zip(found.names, found.shares, strict=False))[:_MOST_BARS]
    said = importance_said(shapes)
    return Picture(title="What the model uses", said=said, svg=bars(items, title=f"Importance. {said}"))


def importance_said(shapes: Shapes) -> str:
    """The feature that the model uses most, and by what count."""
    found = shapes.importance
    if found is None or not found.names:
        return ""
    return (
        f"By the model's own count ({found.kind}), {found.names[0]} has {found.shares[0]:.0%} of the weight, "
        f"the first of {figures.count(found.total, 'feature')}."
    )
