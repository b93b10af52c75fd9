"""What `validate` returns: says what failed, shows harmless HTML, is true for "pass" alone."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from validator import NotFitToShipError, Validation
from validator.results import GateResult

INPUTS = Path(__file__).parents[2] / "golden" / "inputs"


def load(name: str) -> Validation:
    result = GateResult.model_validate_json((INPUTS / f"{name}.json").read_text())
    return Validation(result=result, out=Path("/out"))


@pytest.mark.parametrize("name", ["pass", "compared", "waived"])
def test_a_pass_is_true_and_raises_nothing(name):
    found = load(name)
    assert found
    assert found.failures == ()
    assert found.raise_for_failure() is found
    assert found.explained.splitlines()[0].startswith(f"{found.result.model.name} is fit to ship: ")


@pytest.mark.parametrize("name", ["blocked", "stopped", "hostile"])
def test_a_failure_is_false_and_names_what_failed_and_what_to_do(name):
    found = load(name)
    assert not found
    with pytest.raises(AssertionError) as raised:
        found.raise_for_failure()
    assert isinstance(raised.value, NotFitToShipError)
    assert raised.value.validation is found
    said = str(raised.value)
    assert "is not fit to ship: " in said
    assert f"[{found.failures[0].id}]" in said
    assert "report: /out/report.html" in said


def test_the_first_cause_comes_first_with_its_hint():
    said = load("blocked").explained
    first = load("blocked").failures[0]
    assert first.status != "skip"
    assert said.splitlines()[1].startswith(f"- {first.title}")
    assert first.hint in said


def test_texts_of_a_model_stay_text_and_in_their_line():
    evil = "<script>alert(1)</script>\n::error::x\x1b[2J"
    document = json.loads((INPUTS / "blocked.json").read_text())
    document["model"]["name"] = evil
    for check in document["checks"]:
        check |= {"title": evil, "message": evil, "hint": evil}
    found = Validation(result=GateResult.model_validate(document), out=Path("/out/<b>"))
    assert set(_Tags.of(found._repr_html_())) <= {
        "div", "p", "strong", "span", "code", "br", "table", "tr", "td", "em",
    }  # fmt: skip
    for text in (found._repr_html_(), found.explained, repr(found), str(found)):
        assert "\x1b" not in text
        assert not re.search(r"^::", text, re.MULTILINE)


class _Tags(HTMLParser):
    @classmethod
    def of(cls, text: str) -> list[str]:
        parser = cls()
        parser.found = []
        parser.feed(text)
        return parser.found

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


@pytest.mark.parametrize("name", ["pass", "blocked", "stopped"])
def test_a_notebook_is_shown_the_verdict_and_the_reasons(name):
    html = load(name)._repr_html_()
    assert ("may ship" in html) == (name == "pass")
    assert ("must not ship" in html) == (name != "pass")
    for check in load(name).failures[:1]:
        assert f"<code>{check.id}</code>" in html
    assert "style=" in html
    assert "<style" not in html


def test_the_artifact_is_where_it_was_written_from_wherever_one_looks():
    found = load("pass")
    assert found.artifact == Path("/out/artifact") / found.result.model.name / found.version
