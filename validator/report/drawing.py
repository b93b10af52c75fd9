"""What pictures are drawn of: block characters for text, and a frame with scales for SVG. No script, no inline style.

Every text is cleaned and escaped here. Colours are classes of the page's own style, so that light and dark are its
concern.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from validator.report import figures
from validator.report.escape import clean

_BLOCKS = "▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def sparkline(values: Sequence[float]) -> str:
    """One block character a bin, the largest full; an empty bin is a dot."""
    largest = max(values, default=0)
    if largest <= 0:
        return "·" * len(values)
    return "".join(_BLOCKS[min(7, int(8 * value / largest))] if value > 0 else "·" for value in values)


def ascii_line(values: Sequence[float]) -> str:
    """The same for terminals without Unicode: digits from 0 to 9."""
    largest = max(values, default=0)
    return "".join(str(min(9, int(10 * value / largest))) if largest > 0 else "0" for value in values)


def bar_of_blocks(share: float, width: int = 12) -> str:
    """A share between 0 and 1 as a bar of block characters."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")


def n(value: float) -> str:
    """A coordinate."""
    return f"{value:.1f}"


def svg(parts: Sequence[Markup], width: float, height: float, title: str) -> Markup:
    """A picture with the text that stands for it where it cannot be seen."""
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        n(width), n(height), clean(title, limit=400), Markup("").join(parts)
    )


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        kind, n(x1), n(y1), n(x2), n(y2)
    )


def rect(kind: str, x: float, y: float, width: float, height: float, title: str = "") -> Markup:
    told = Markup("<title>{}</title>").format(clean(title, limit=200)) if title else Markup("")
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>').format(
        kind, n(x), n(y), n(max(0.0, width)), n(max(0.0, height)), told
    )


def dot(kind: str, x: float, y: float, title: str = "", radius: float = 3.5) -> Markup:
    told = Markup("<title>{}</title>").format(clean(title, limit=200)) if title else Markup("")
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>').format(
        kind, n(x), n(y), n(radius), told
    )


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "", limit: int = 40) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>').format(
        kind, n(x), n(y), anchor, clean(said, limit=limit)
    )


def path(kind: str, points: Sequence[tuple[float, float]]) -> Markup:
    """A line through points."""
    drawn = " ".join(f"{n(x)},{n(y)}" for x, y in points)
    return Markup('<polyline class="{}" points="{}"/>').format(kind, drawn)


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Where values lie between two coordinates, linearly or by their logarithm."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = (math.log10(max(one, 1e-300)) for one in (value, low, high))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + (self.end - self.start) * max(-0.05, min(1.05, share))

    @property
    def ticks(self) -> list[float]:
        """A few round values within."""
        if self.log:
            powers = range(
                math.ceil(math.log10(self.low) - 1e-9), math.floor(math.log10(self.high) + 1e-9) + 1
            )
            found = [10.0**power for power in powers]
            return found[:: len(found) // 9 + 1] if len(found) > 1 else [self.low, self.high]
        step = _round_step((self.high - self.low) / 4)
        if not step:
            return [self.low]
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)][:9]


def _round_step(rough: float) -> float:
    """The nearest of 1, 2 and 5 times a power of ten."""
    if not rough > 0 or not math.isfinite(rough):
        return 0.0
    power = 10.0 ** math.floor(math.log10(rough))
    return float(min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough)) * power)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A plot's area with its two scales; `shares` writes the vertical ticks as parts of one."""

    x: Scale
    y: Scale
    width: float = 360
    height: float = 220

    @classmethod
    def of(
        cls,
        xs: tuple[float, float],
        ys: tuple[float, float],
        *,
        log: bool = False,
        width: float = 360,
        height: float = 220,
    ) -> Frame:
        """Room for labels left and below is kept."""
        return cls(
            x=Scale(low=xs[0], high=xs[1], start=44, end=width - 12, log=log),
            y=Scale(low=ys[0], high=ys[1], start=height - 34, end=24),
            width=width,
            height=height,
        )

    def axes(self, across: str, up: str) -> list[Markup]:
        """Grid lines, their labels, and what the axes are."""
        parts = []
        for tick in self.y.ticks:
            y = self.y(tick)
            parts.append(line("grid", self.x.start, y, self.x.end, y))
            parts.append(text(self.x.start - 6, y + 4, figures.number(_trimmed(tick)), anchor="end"))
        for tick in self.x.ticks:
            x = self.x(tick)
            parts.append(line("grid", x, self.y.start, x, self.y.start + 4))
            parts.append(text(x, self.y.start + 16, figures.number(_trimmed(tick)), anchor="middle"))
        parts.append(line("axis", self.x.start, self.y.start, self.x.end, self.y.start))
        parts.append(text(self.x.end, self.height - 4, across, anchor="end", kind="name", limit=60))
        if up:
            parts.append(text(4, 9, up, kind="name", limit=60))
        return parts

    def steps(self, kind: str, edges: Sequence[float], heights: Sequence[float]) -> Markup:
        """The outline of a histogram."""
        points = [(self.x(edges[0]), self.y.start)]
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            points += [(self.x(left), self.y(height)), (self.x(right), self.y(height))]
        points.append((self.x(edges[-1]), self.y.start))
        return path(kind, points)

    def columns(self, kind: str, edges: Sequence[float], heights: Sequence[float]) -> list[Markup]:
        """The bars of a histogram."""
        found = []
        for left, right, height in zip(edges, edges[1:], heights, strict=False):
            x, top = self.x(left), self.y(height)
            found.append(rect(kind, x + 0.5, top, self.x(right) - x - 1, self.y.start - top))
        return found

    def drawn(self, parts: Sequence[Markup], title: str) -> Markup:
        return svg(parts, self.width, self.height, title)


def _trimmed(value: float) -> float:
    """Without the dust of floating-point sums."""
    return float(f"{value:.6g}")


def bars(items: Sequence[tuple[str, float]], *, title: str, names: int = 140) -> Markup:
    """Horizontal bars of shares between 0 and 1, the longest filling the width, with their names."""
    row, width = 22, 420
    largest = max((share for _, share in items), default=0.0) or 1.0
    room = width - names - 45
    parts = []
    for i, (name, share) in enumerate(items):
        y, long = i * row, room * share / largest
        parts.append(text(0, y + 15, name, limit=22))
        parts.append(rect("bar", names, y + 4, long, 13))
        parts.append(text(names + 6 + long, y + 15, f"{100 * share:.0f} %"))
    return svg(parts, width, max(row, row * len(items)), title)
