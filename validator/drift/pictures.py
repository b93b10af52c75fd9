"""Distributions of a drift report as pictures."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from validator.report.drawing import line, rect, svg, text


def histogram(before: Sequence[float], now: Sequence[float], *, title: str) -> Markup:
    """Shares [bins] in the reference (bars) and now (outlines) as SVG."""
    width, height, base = 300, 114, 96
    top = max(*before, *now, 1e-9)
    step = width / max(1, len(before))
    parts = [line("axis", 0, base, width, base)]
    for i, (a, b) in enumerate(zip(before, now, strict=True)):
        for kind, share, inset in (("then", a, 2.0), ("now", b, 4.0)):
            tall = 88 * share / top
            parts.append(rect(kind, i * step + inset, base - tall, step - 2 * inset, tall))
    parts += [text(0, 109, "low"), text(width, 109, "high", anchor="end")]
    return svg(parts, width, height, title)


def timeline(items: Sequence[tuple[str, str, float | None]], *, title: str) -> Markup:
    """One bar a window: its label, its verdict as colour and its largest PSI as height, as SVG."""
    width, height, base = 420, 130, 108
    top = max(0.25, *(psi or 0.0 for _, _, psi in items))
    step = width / max(1, len(items))
    parts = [line("axis", 0, base, width, base)]
    for i, (label, status, psi) in enumerate(items):
        tall = max(3.0, 100 * (psi or 0.0) / top)
        told = "not judged" if psi is None else f"largest PSI {psi:.2f}"
        parts.append(rect(status, i * step + 1, base - tall, max(1.0, step - 2), tall, f"{label}: {told}"))
    limit = base - 100 * 0.2 / top
    parts.append(line("limit", 0, limit, width, limit))
    if items:
        parts += [text(0, 124, items[0][0]), text(width, 124, items[-1][0], anchor="end")]
    return svg(parts, width, height, title)
