"""Time series and distributions as SVG: no script, colours by the page's style, figures beside them as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from markupsafe import Markup

from validator.report.escape import clean

WIDTH, HEIGHT = 640, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 12, 24
#: More lines than these cannot be told apart.
MOST_LINES = 8
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class Band:
    """A span of time in which something was under way."""

    start: float
    end: float
    name: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Lines over time. `unit` is "", "%" (values are shares) or a word; `limit` is drawn dashed."""

    title: str
    lines: tuple[tuple[str, Points], ...]
    start: float
    end: float
    unit: str = ""
    limit: float | None = None
    bands: tuple[Band, ...] = ()
    step: float = 60.0
    about: str = ""
    floor_zero: bool = True


def draw(chart: Chart) -> Markup:
    """A figure: picture, legend, and its figures as a table that can be opened."""
    chart = replace(chart, title=clean(chart.title, limit=120))
    lines = [(name, points) for name, points in chart.lines if points]
    if not lines:
        return Markup(
            '<figure class="chart"><figcaption>{}</figcaption><p class="none">No data in this time.</p></figure>'
        ).format(chart.title)
    ranked = sorted(lines, key=lambda one: -max(value for _, value in one[1]))
    kept = {name for name, _ in ranked[:MOST_LINES]}
    shown = [(name, points) for name, points in lines if name in kept][:MOST_LINES]
    hidden = len(lines) - len(shown)
    return Markup('<figure class="chart"><figcaption>{}</figcaption>{}{}{}{}</figure>').format(
        chart.title,
        Markup('<p class="soft">{}</p>').format(chart.about) if chart.about else "",
        _svg(chart, shown),
        _legend(shown, hidden),
        _table(chart, lines[:64]),
    )


def amount(value: float, unit: str) -> str:
    """A value for people."""
    if unit == "%":
        return f"{value * 100:.4g} %"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {unit}".strip()


def _scale(chart: Chart, lines: Sequence[tuple[str, Points]]) -> tuple[float, float, float]:
    """Lowest and highest value of the axis, and the distance of its marks."""
    values = [value for _, points in lines for _, value in points]
    if chart.limit is not None:
        values.append(chart.limit)
    top = max(values)
    bottom = 0.0 if chart.floor_zero else min(values)
    if top <= bottom:
        top = bottom + (abs(bottom) or 1.0) * 0.5
    step = _round((top - bottom) / 3)
    low = math.floor(bottom / step + 1e-9) * step
    return low, low + step * max(1, math.ceil((top - low) / step - 1e-9)), step


def _round(rough: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= rough * (1 - 1e-9))


def _svg(chart: Chart, lines: Sequence[tuple[str, Points]]) -> Markup:
    bottom, top, apart = _scale(chart, lines)
    inner = WIDTH - _LEFT - _RIGHT

    def x(at: float) -> float:
        return _LEFT + inner * min(1.0, max(0.0, (at - chart.start) / max(chart.end - chart.start, 1)))

    def y(value: float) -> float:
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - (value - bottom) / (top - bottom))

    parts = [_band(band, x) for band in chart.bands]
    for i in range(round((top - bottom) / apart) + 1):
        value = bottom + apart * i
        parts.append(
            Markup(
                '<line class="grid" x1="{}" x2="{}" y1="{y}" y2="{y}"/>'
                '<text x="{}" y="{}" text-anchor="end">{}</text>'
            ).format(
                _LEFT, WIDTH - _RIGHT, _LEFT - 5, _n(y(value) + 4), amount(value, chart.unit), y=_n(y(value))
            )
        )
    for at, label, anchor in _times(chart.start, chart.end):
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(x(at)), HEIGHT - 6, anchor, label
            )
        )
    if chart.limit is not None:
        parts.append(
            Markup('<line class="limit" x1="{}" x2="{}" y1="{y}" y2="{y}"/>').format(
                _LEFT, WIDTH - _RIGHT, y=_n(y(chart.limit))
            )
        )
    for i, (_, points) in enumerate(lines):
        for piece in _pieces(points, chart.step):
            drawn = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in piece)
            if len(piece) == 1:
                at, value = piece[0]
                parts.append(
                    Markup('<circle class="dot s{}" cx="{}" cy="{}" r="2.5"/>').format(
                        i, _n(x(at)), _n(y(value))
                    )
                )
            else:
                parts.append(Markup('<polyline class="line s{}" points="{}"/>').format(i, drawn))
    return svg(parts, WIDTH, HEIGHT, _spoken(chart, lines))


def _band(band: Band, x: object) -> Markup:
    left, right = x(band.start), x(band.end)  # type: ignore[operator]
    return Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
        _n(left), _TOP, _n(max(2.0, right - left)), HEIGHT - _TOP - _BOTTOM, clean(band.name, limit=120)
    )


def _pieces(points: Points, step: float) -> list[list[tuple[float, float]]]:
    """Runs of points without a gap: where nothing was measured no line is drawn."""
    found: list[list[tuple[float, float]]] = []
    for point in points:
        if not found or point[0] - found[-1][-1][0] > 1.5 * step:
            found.append([])
        found[-1].append(point)
    return found


def _times(start: float, end: float) -> list[tuple[float, str, str]]:
    form = "%H:%M" if end - start <= 36 * 3600 else "%-d %b" if end - start <= 200 * 86_400 else "%b %Y"
    marks = [start + (end - start) * i / 4 for i in range(5)]
    anchors = ("start", "middle", "middle", "middle", "end")
    return [
        (at, datetime.fromtimestamp(at, UTC).strftime(form), anchor)
        for at, anchor in zip(marks, anchors, strict=True)
    ]


def _spoken(chart: Chart, lines: Sequence[tuple[str, Points]]) -> str:
    told = [
        f"{clean(name, limit=60)}: last {amount(points[-1][1], chart.unit)}, "
        f"largest {amount(max(value for _, value in points), chart.unit)}"
        for name, points in lines
    ]
    bands = f"; {len(chart.bands)} rollouts under way in this time" if chart.bands else ""
    return f"{chart.title}. {'; '.join(told)}{bands}"


def _legend(lines: Sequence[tuple[str, Points]], hidden: int) -> Markup:
    items = Markup("").join(
        Markup('<li><span class="key s{}" aria-hidden="true"></span>{}</li>').format(
            i, clean(name, limit=60) or "all"
        )
        for i, (name, _) in enumerate(lines)
    )
    more = Markup("<li>{} more in the figures</li>").format(hidden) if hidden else ""
    return Markup('<ul class="legend">{}{}</ul>').format(items, more)


def _table(chart: Chart, lines: Sequence[tuple[str, Points]]) -> Markup:
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>').format(
            clean(name, limit=80) or "all",
            *(
                amount(value, chart.unit)
                for value in (
                    points[-1][1],
                    math.fsum(value for _, value in points) / len(points),
                    min(value for _, value in points),
                    max(value for _, value in points),
                )
            ),
        )
        for name, points in lines
    )
    return Markup(
        "<details><summary>Figures</summary>"
        '<div class="wide" tabindex="0" role="region" aria-label="Figures: {}"><table>'
        '<thead><tr><td></td><th scope="col">last</th><th scope="col">mean</th><th scope="col">least</th>'
        '<th scope="col">most</th></tr></thead><tbody>{}</tbody></table></div></details>'
    ).format(chart.title, rows)


def pair_of_bars(before: Sequence[float], now: Sequence[float], *, title: str) -> Markup:
    """Shares of bins in the reference and now, side by side."""
    width, base = 300, 92
    top = max([*before, *now, 1e-9])
    step = width / max(1, len(before))
    parts = [Markup('<line class="grid" x1="0" x2="{}" y1="{y}" y2="{y}"/>').format(width, y=base)]
    for i, pair in enumerate(zip(before, now, strict=True)):
        for kind, share, part in (("then", pair[0], 0.0), ("now", pair[1], 0.46)):
            tall = 84 * share / top
            parts.append(
                Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    kind, _n(i * step + step * (0.04 + part)), _n(base - tall), _n(step * 0.44), _n(tall)
                )
            )
    spoken = ", ".join(f"{a:.0%} then {b:.0%} now" for a, b in zip(before, now, strict=True))
    return svg(parts, width, 96, f"{title}: {spoken}")


def spans(rows: Sequence[tuple[str, Sequence[Band]]], start: float, end: float, *, title: str) -> Markup:
    """Named rows of spans on one time axis."""
    tall, left = 20, 200
    height = tall * len(rows) + 24

    def x(at: float) -> float:
        return left + (WIDTH - left - 8) * min(1.0, max(0.0, (at - start) / max(end - start, 1)))

    parts = []
    for i, (name, bands) in enumerate(rows):
        parts.append(Markup('<text x="0" y="{}">{}</text>').format(i * tall + 14, clean(name, limit=24)))
        parts += [
            Markup('<rect class="span" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
                _n(x(band.start)),
                i * tall + 3,
                _n(max(3.0, x(band.end) - x(band.start))),
                tall - 6,
                clean(band.name, limit=160),
            )
            for band in bands
        ]
    for at, label, anchor in _times(start, end):
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(
                _n(x(at)), height - 6, anchor, label
            )
        )
    return svg(parts, WIDTH, height, title)


def svg(parts: Sequence[Markup], width: int, height: int, title: str) -> Markup:
    """One picture with its words."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, clean(title, limit=600), Markup("").join(parts)
    )


def _n(value: float) -> str:
    return f"{value:.1f}"
