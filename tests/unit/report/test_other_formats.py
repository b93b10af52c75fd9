"""HTML, JUnit XML and the terminal view: right, self-contained, harmless."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.report.junit import render_junit
from validator.report.terminal import TerminalStyle, render_terminal
from validator.report.webpage import render_html
from validator.results import GateResult

INPUTS = Path(__file__).parents[2] / "golden" / "inputs"
NAMES = ("pass", "compared", "blocked", "waived", "stopped", "hostile")
#: Attributes and children of each element in the schema that Jenkins and the test reporters use.
JUNIT = {
    "testsuites": ({"name", "time", "tests", "failures", "disabled", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id"},
        {"properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": (
        {"name", "assertions", "time", "classname", "status"},
        {"skipped", "error", "failure", "system-out", "system-err"},
    ),
    "failure": ({"type", "message"}, set()),
    "error": ({"type", "message"}, set()),
    "skipped": ({"type", "message"}, set()),
    "system-out": (set(), set()),
}  # fmt: skip


def raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INPUTS / f"{name}.json").read_text())
    return found


def load(name: str) -> GateResult:
    return GateResult.model_validate(raw(name))


def named(text: str) -> GateResult:
    """A result whose model, check and hint texts are all `text`."""
    found = raw("blocked")
    found["model"]["name"] = text
    for check in found["checks"]:
        check |= {"message": text, "hint": text, "title": text}
    return GateResult.model_validate(found)


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.urls: list[str | None] = []
        self.policy = ""
        self.style = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.urls += [value for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"] or ""
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self.style += data

    @property
    def closed(self) -> bool:
        return not self._open


@pytest.mark.parametrize("name", NAMES)
def test_the_page_loads_nothing_and_runs_nothing(name: str) -> None:
    page = Page(render_html([load(name)]))
    assert page.closed
    assert not page.urls
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [names for _, names in page.tags if any(n.startswith("on") or n == "style" for n in names)]


def test_the_policy_allows_the_pages_own_style_alone() -> None:
    page = Page(render_html([load("pass")]))
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert page.policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@settings(max_examples=30, deadline=None)
@given(
    text=st.one_of(
        st.text(min_size=1, max_size=50), st.sampled_from(["</td><b>", "&lt;", '" onload="x', "`<i>`"])
    )
)
def test_no_text_changes_the_elements_of_the_page(text: str) -> None:
    benign, hostile = Page(render_html([named("x")])), Page(render_html([named(text)]))
    assert [t for t in hostile.tags if t[0] != "code"] == [t for t in benign.tags if t[0] != "code"]


def test_the_page_shows_the_worst_model_first() -> None:
    text = render_html([load("pass"), load("blocked")])
    assert text.index("❌ Blocked · ") < text.index("✅ Ready to ship · ")


def test_every_status_has_a_symbol_and_a_word() -> None:
    text = render_html([load(name) for name in NAMES])
    cells = re.findall(r'<td class="s [^"]*">([^<]*)</td>', text)
    assert {re.sub(r"[\d ]|of", "", cell) for cell in cells} == {
        "✅pass", "✅pass,noted", "💬noted", "❌fail", "⚠️warning", "🔶waived", "⏭️notrun",
        "\N{HEAVY MINUS SIGN}n/a", "\N{EN DASH}",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_junit_keeps_to_its_schema_and_counts_right(name: str) -> None:
    root = ET.fromstring(render_junit([load(name)]))
    for element in root.iter():
        attributes, children = JUNIT[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children
    for suite in root:
        cases = list(suite.iter("testcase"))
        assert suite.get("tests") == str(len(cases))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(len(list(suite.iter(tag))))
        assert re.fullmatch(r"\d+\.\d{3}", suite.get("time") or "")
    assert len(list(root.iter("testcase"))) == len(load(name).checks)


def test_junit_has_a_suite_for_each_category_and_fails_what_blocks() -> None:
    root = ET.fromstring(render_junit([load("blocked")]))
    assert [suite.get("name") for suite in root][:2] == ["trading: Loading", "trading: Conversion"]
    failed = [case for case in root.iter("testcase") if case.find("failure") is not None]
    assert [case.get("classname") for case in failed] == [
        "trading.smoke.finite",
        "trading.errors.missing_features",
    ]
    failure = failed[0].find("failure")
    assert failure is not None
    assert failure.get("message") == "3 of 1,258 answers are NaN (rows 17, 203, 911); allowed 0"
    assert "What to do: impute" in (failure.text or "")


def test_junit_counts_problems_and_skips_what_follows_or_was_waived() -> None:
    stopped = ET.fromstring(render_junit([load("stopped")]))
    assert (stopped.get("failures"), stopped.get("errors")) == ("1", "0")
    behind = [element.get("message") or "" for element in stopped.iter("skipped")]
    assert sum(message.startswith("follows from: Safe to load") for message in behind) == 93
    waived = ET.fromstring(render_junit([load("waived")]))
    skipped = [element.get("message") or "" for element in waived.iter("skipped")]
    assert any(message.startswith("waived, not solved: 4.7 reads") for message in skipped)


def test_stable_junit_holds_no_times() -> None:
    found = raw("blocked")
    for check in found["checks"]:
        check["seconds"] = 3.0
    found["created_at"] = "2031-01-01T00:00:00Z"
    other = render_junit([GateResult.model_validate(found)], volatile=False)
    assert other == render_junit([load("blocked")], volatile=False)


@settings(max_examples=30, deadline=None)
@given(text=st.text(min_size=1, max_size=50))
def test_no_text_breaks_junit(text: str) -> None:
    root = ET.fromstring(render_junit([named(text)]))
    assert len(list(root.iter("failure"))) == 2


def columns(line: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in line)
    return len(line) + wide - sum(unicodedata.combining(character) > 0 for character in line)


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", NAMES)
def test_the_terminal_view_keeps_to_its_width(name: str, width: int) -> None:
    for line in render_terminal([load(name)], look=TerminalStyle(width=width)).splitlines()[1:]:
        assert columns(line) <= width


@settings(max_examples=30, deadline=None)
@given(
    text=st.one_of(
        st.text(min_size=1, max_size=80),
        st.sampled_from(["::error::x", "##[x]", "\r::add-mask::x", "漢字" * 60]),
    )
)
def test_no_terminal_line_is_a_command_or_too_wide(text: str) -> None:
    shown = render_terminal([named(text)])
    for line in shown.splitlines()[1:]:
        assert columns(line) <= 80
    for line in shown.split("\n"):
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "\x1b" not in line
        assert "\r" not in line


def test_quiet_is_one_line_a_model() -> None:
    shown = render_terminal([load("pass"), load("blocked")], quiet=True)
    assert [line.split(":")[0] for line in shown.splitlines()] == ["FAIL  trading", "PASS  trading"]


def test_colour_only_where_asked_for() -> None:
    plain = render_terminal([load("blocked")])
    coloured = render_terminal([load("blocked")], look=TerminalStyle(colour=True))
    assert "\x1b[" not in plain
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_ascii_terminals_get_ascii() -> None:
    assert render_terminal([load("hostile")], look=TerminalStyle(unicode=False)).isascii()
