"""Whole reports, held to the character. `UPDATE_GOLDEN=1 pytest tests/golden` writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from validator.report.junit import render_junit
from validator.report.markdown import render_markdown, render_no_change
from validator.report.terminal import TerminalStyle, render_terminal
from validator.report.webpage import render_html
from validator.results import GateResult

HERE = Path(__file__).parent
NAMES = ("pass", "compared", "blocked", "waived", "stopped", "hostile")
URL = "https://github.com/o/r/actions/runs/1"


def load(name: str) -> GateResult:
    return GateResult.model_validate_json((HERE / "inputs" / f"{name}.json").read_bytes())


def each(render: Callable[[list[GateResult]], str], suffix: str) -> dict[str, Callable[[], str]]:
    return {f"{name}{suffix}": lambda name=name: render([load(name)]) for name in NAMES}


REPORTS: dict[str, Callable[[], str]] = {
    **each(lambda results: render_markdown(results, full_report_url=URL), ".md"),
    **each(lambda results: render_markdown(results, volatile=False), ".stable.md"),
    **each(render_html, ".html"),
    **each(render_junit, ".xml"),
    **each(lambda results: render_terminal(results, reports=["preflight/report.md"]), ".txt"),
    "several.md": lambda: render_markdown([load(name) for name in ("pass", "blocked", "waived")]),
    "several.short.md": lambda: render_markdown(
        [load(name) for name in ("pass", "blocked", "waived")], limit_chars=6_000, full_report_url=URL
    ),
    "blocked.short.md": lambda: render_markdown([load("blocked")], limit_bytes=4_000, full_report_url=URL),
    "several.html": lambda: render_html([load(name) for name in ("pass", "blocked", "waived")]),
    "several.quiet.txt": lambda: render_terminal([load("pass"), load("blocked")], quiet=True),
    "blocked.ascii.txt": lambda: render_terminal([load("blocked")], look=TerminalStyle(unicode=False)),
    "blocked.colour.txt": lambda: render_terminal([load("blocked")], look=TerminalStyle(colour=True)),
    "no_change.md": lambda: render_no_change(
        ["models/a.pkl", "models/|b`.pkl"], tool_version="0.1.0", full_report_url=URL
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_report(name: str) -> None:
    found = REPORTS[name]()
    path = HERE / "expected" / name
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8", newline="\n")
    assert found == path.read_bytes().decode()


def test_every_expected_report_is_made() -> None:
    assert {path.name for path in (HERE / "expected").iterdir()} == set(REPORTS)
