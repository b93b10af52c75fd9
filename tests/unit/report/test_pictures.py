"""Every picture says in words what it shows, holds nothing but SVG shapes, and survives any data of its form."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.report.drawing import Frame, Scale, ascii_line, bar_of_blocks, sparkline
from validator.report.markdown import render_markdown
from validator.report.pictures import pictures
from validator.report.sparklines import picture_table, shape_of
from validator.report.webpage import render_html
from validator.results import GateResult
from validator.shapes import Curve, FeatureRange, Histogram, Series, Shapes

INPUTS = Path(__file__).parents[2] / "golden" / "inputs"
ELEMENTS = {"svg", "line", "rect", "circle", "text", "polyline", "title"}
ATTRIBUTES = {
    "viewBox", "role", "aria-label", "class", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height",
    "points", "text-anchor",
}  # fmt: skip


def raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INPUTS / f"{name}.json").read_text())
    return found


def load(name: str) -> GateResult:
    return GateResult.model_validate(raw(name))


def of(shapes: Shapes) -> GateResult:
    return load("stopped").model_copy(update={"shapes": shapes})


@pytest.mark.parametrize("name", ["pass", "compared", "hostile"])
def test_every_picture_is_plain_svg_with_a_text_that_stands_for_it(name: str) -> None:
    found = pictures(load(name), volatile=True)
    assert len(found) >= 5
    for picture in found:
        root = ET.fromstring(str(picture.svg))
        for element in root.iter():
            assert element.tag in ELEMENTS
            assert set(element.attrib) <= ATTRIBUTES
        assert root.get("role") == "img"
        assert len(root.get("aria-label") or "") > 20
        assert len(picture.said) > 20
        assert "nan" not in str(picture.svg)


def test_a_classifier_and_a_regressor_have_their_own() -> None:
    def titles(name: str, *, volatile: bool = True) -> list[str]:
        return [picture.title for picture in pictures(load(name), volatile=volatile)]

    of_classes = ["Calibration", "Scores", "ROC", "Precision and recall", "Confusion matrix"]
    of_data = ["Ranges of the features", "What the model uses"]
    assert titles("pass") == [*of_classes, "Latency of one row", *of_data]
    assert titles("pass", volatile=False) == [*of_classes, *of_data]
    assert titles("compared") == ["Scores", "Residuals", "Residuals by prediction", *of_data]
    assert titles("stopped") == []


def test_the_latency_says_limit_and_interval_and_shows_both() -> None:
    (found,) = [one for one in pictures(load("pass"), volatile=True) if one.title == "Latency of one row"]
    assert re.search(r"take at most [\d.]+ ms.*; 50\.0 ms are allowed", found.said)
    assert 'class="stop"' in found.svg
    assert "wide" in found.svg


def test_markdown_has_them_as_block_characters_and_no_svg() -> None:
    text = render_markdown([load("pass")])
    assert "<svg" not in text
    assert re.search(r"\| Calibration \| [▁▂▃▄▅▆▇█·]+ \| In \d+ of 10 groups", text)
    assert re.search(r"\| Latency, Deployment \| [▁▂▃▄▅▆▇█·]+ \|", text)
    assert "Latency, Deployment" not in render_markdown([load("pass")], volatile=False)
    assert len(picture_table(load("pass"), volatile=True).rows) >= 6


def test_the_page_shows_them_and_its_style_knows_their_classes() -> None:
    text = render_html([load("pass"), load("compared")])
    style = text.partition("<style>")[2].partition("</style>")[0]
    used = {kind for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL)
            for kinds in re.findall(r'class="([^"]+)"', svg) for kind in kinds.split()}  # fmt: skip
    assert used
    assert not {kind for kind in used if f".{kind}" not in style}


def test_a_report_holds_no_more_than_its_limits_however_many_features() -> None:
    listed = tuple(FeatureRange(name=f"f{i}", points=tuple(map(float, range(11)))) for i in range(1_000))
    result = of(Shapes(features=listed))
    (picture,) = pictures(result, volatile=True)
    assert "975 more features in result.json" in picture.said
    assert len(picture.svg) < 40_000


def test_data_that_does_not_fit_itself_is_refused() -> None:
    for wrong in (
        lambda: Histogram(edges=(0.0, 1.0), series=(Series(name="a", counts=(1, 2)),)),
        lambda: Histogram(edges=(1.0, 1.0), series=(Series(name="a", counts=(1,)),)),
        lambda: Curve(x=(0.0, 1.0), y=(0.0,)),
        lambda: Shapes.model_validate({"confusion": {"labels": ["a", "b"], "counts": [[1, 2]]}}),
        lambda: Shapes.model_validate({"importance": {"kind": "", "total": 1, "names": ["a"], "shares": []}}),
    ):
        with pytest.raises(ValueError, match=r"ascend|bin|point|class|name"):
            wrong()


any_number = st.floats(-1e308, 1e308, allow_nan=False)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(any_number, min_size=2, max_size=12, unique=True),
    st.lists(st.integers(0, 10**15), min_size=11, max_size=11),
    st.text(max_size=20),
)
def test_any_data_of_its_form_is_drawn(edges: list[float], counts: list[int], name: str) -> None:
    edges = sorted(edges)
    series = (Series(name=name, counts=tuple(counts[: len(edges) - 1])),)
    found = Histogram(edges=tuple(edges), series=series)
    points = tuple(sorted((edges * 11)[:11]))
    result = of(
        Shapes(scores=found, residuals=found, score=name, features=(FeatureRange(name=name, points=points),))
    )
    result = result.model_copy(update={"latency": result.latency.model_copy(update={"distribution": found})})
    for picture in pictures(result, volatile=True):
        ET.fromstring(str(picture.svg))
        assert "nan" not in str(picture.svg)
    render_markdown([result])


@given(any_number, any_number, st.booleans())
def test_a_scale_has_few_ticks_and_keeps_its_ends(a: float, b: float, log: bool) -> None:
    low, high = sorted((abs(a), abs(b))) if log else sorted((a, b))
    if log and low <= 0:
        return
    scale = Scale(low=low, high=high, start=0.0, end=100.0, log=log)
    assert 1 <= len(scale.ticks) <= 10
    assert -6 <= scale(low) <= 106
    assert Frame.of((low, high), (0, 1), log=log).axes("x", "y")


def test_blocks() -> None:
    assert sparkline([0, 1, 8]) == "·▂█"
    assert sparkline([0, 0]) == "··"
    assert ascii_line([0, 5, 10]) == "059"
    assert bar_of_blocks(0.5, 4) == "██"
    assert bar_of_blocks(1.5, 4) == "████"
    assert bar_of_blocks(0.0) == ""
    assert shape_of(FeatureRange(name="a", points=(1.0,) * 11)) == "█"
    assert shape_of(FeatureRange(name="a", points=tuple(map(float, range(11))))).count("█") == 12
