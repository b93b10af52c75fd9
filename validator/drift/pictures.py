"""Distributions as pictures: block characters for terminals and tables, SVG for pages."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from validator.report.escape import clean

_BLOCKS = "▁▂▃▄▅▆▇█"


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


def histogram(before: Sequence[float], now: Sequence[float], *, title: str) -> Markup:
    """Shares [bins] in the reference (bars) and now (outlines) as SVG."""
    width, height, base = 300, 110, 96
    top = max(*before, *now, 1e-9)
    step = width / max(1, len(before))
    parts = [Markup('<line class="axis" x1="0" x2="300" y1="{0}" y2="{0}"/>').format(base)]
    for i, (a, b) in enumerate(zip(before, now, strict=True)):
        for kind, share, inset in (("then", a, 2.0), ("now", b, 4.0)):
            tall = 88 * share / top
            parts.append(
                Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
                    kind, _n(i * step + inset), _n(base - tall), _n(step - 2 * inset), _n(tall)
                )
            )
    parts.append(Markup('<text x="0" y="109">low</text><text x="300" y="109" text-anchor="end">high</text>'))
    return _svg(parts, width, height, title)


def bars(items: Sequence[tuple[str, float]], *, title: str) -> Markup:
    """Horizontal bars of shares between 0 and 1, with their names, as SVG."""
    row, width = 22, 420
    parts = []
    for i, (name, share) in enumerate(items):
        y = i * row
        parts.append(
            Markup(
                '<text x="0" y="{}">{}</text><rect class="bar" x="140" y="{}" width="{}" height="13"/>'
                '<text x="{}" y="{}">{}</text>'
            ).format(
                y + 15,
                clean(name, limit=22),
                y + 4,
                _n(235 * share),
                _n(146 + 235 * share),
                y + 15,
                f"{100 * share:.0f} %",
            )
        )
    return _svg(parts, width, max(row, row * len(items)), title)


def timeline(items: Sequence[tuple[str, str, float | None]], *, title: str) -> Markup:
    """One bar a window: its label, its verdict as colour and its largest PSI as height, as SVG."""
    width, height, base = 420, 130, 108
    top = max(0.25, *(psi or 0.0 for _, _, psi in items))
    step = width / max(1, len(items))
    parts = [
        Markup('<line class="axis" x1="0" x2="{1}" y1="{0}" y2="{0}"/>').format(base, width),
    ]
    for i, (label, status, psi) in enumerate(items):
        tall = max(3.0, 100 * (psi or 0.0) / top)
        parts.append(
            Markup(
                '<rect class="{}" x="{}" y="{}" width="{}" height="{}"><title>{}: {}</title></rect>'
            ).format(
                status,
                _n(i * step + 1),
                _n(base - tall),
                _n(max(1.0, step - 2)),
                _n(tall),
                label,
                "not judged" if psi is None else f"largest PSI {psi:.2f}",
            )
        )
    limit = _n(base - 100 * 0.2 / top)
    parts.append(Markup('<line class="limit" x1="0" x2="{1}" y1="{0}" y2="{0}"/>').format(limit, width))
    if items:
        parts.append(
            Markup('<text x="0" y="124">{}</text><text x="{}" y="124" text-anchor="end">{}</text>').format(
                items[0][0], width, items[-1][0]
            )
        )
    return _svg(parts, width, height, title)


def _svg(parts: Sequence[Markup], width: int, height: int, title: str) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, clean(title, limit=200), Markup("").join(parts)
    )


def _n(value: float) -> str:
    return f"{value:.1f}"
