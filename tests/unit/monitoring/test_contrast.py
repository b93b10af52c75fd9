"""Whether everything on the pages can be read: contrasts of WCAG 2.2, in both schemes, as the style has them.

The words in a picture are on the card that it lies on. No checker of pages decides about text in SVG; here it is
decided by the colours themselves.
"""

from __future__ import annotations

import re
from importlib import resources

import pytest

#: Text, and what it lies on: at least 4.5 (criterion 1.4.3).
TEXTS = [
    *[(ink, ground) for ink in ("ink", "soft", "now") for ground in ("paper", "card")],
    *[("paper", badge) for badge in ("soft", "fail", "warn", "ok")],
]
#: Lines and bars on their card: at least 3 (criterion 1.4.11).
MARKS = ["then", "now", "fail", *(f"s{i}" for i in range(8))]
SCHEMES = ("light", "dark")


def colours(package: str, scheme: str) -> dict[str, str]:
    """The style's variables."""
    style = resources.files(package).joinpath("page.css").read_text("utf-8")
    light, dark = re.findall(r":root \{([^}]*)\}", style)[:2]
    found = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", light))
    if scheme == "dark":
        found |= dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", dark))
    return found


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1, the same, to 21, black on white."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_measure_is_that_of_the_guidelines() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("package", ["validator.monitoring", "validator.rollout"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_word_can_be_read(package: str, scheme: str) -> None:
    found = colours(package, scheme)
    ratios = {(ink, ground): contrast(found[ink], found[ground]) for ink, ground in TEXTS}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_line_can_be_seen(scheme: str) -> None:
    found = colours("validator.monitoring", scheme)
    ratios = {mark: contrast(found[mark], found["card"]) for mark in MARKS}
    assert {mark: ratio for mark, ratio in ratios.items() if ratio < 3} == {}


def test_words_in_pictures_have_the_colour_that_is_checked() -> None:
    style = resources.files("validator.monitoring").joinpath("page.css").read_text("utf-8")
    assert "svg text { fill: var(--soft);" in style
    assert "figure, .card { margin: 0;" in style
    assert "background: var(--card)" in style
