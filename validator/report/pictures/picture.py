"""What a picture is, and what several of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from validator.report.checklist_view import RUNTIME_TITLES
from validator.report.drawing import Frame
from validator.shapes import Histogram

_NAMES = {**{str(name): title for name, title in RUNTIME_TITLES.items()}, "base": "Base version"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`said` is what the picture shows, for whoever cannot see it and for whoever has no time; `key` are classes and
    names of its lines.
    """

    title: str
    said: str
    svg: Markup
    key: tuple[tuple[str, str], ...] = ()
    wide: bool = False


def histogram_frame(found: Histogram) -> Frame:
    top = max((max(shares(one.counts)) for one in found.series), default=0.0) or 1.0
    return Frame.of((found.edges[0], found.edges[-1]), (0, top))


def shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [count / total if total else 0.0 for count in counts]


def named(name: str) -> str:
    return _NAMES.get(name, name)


def rounded(value: float) -> float:
    return float(f"{value:.4g}")
