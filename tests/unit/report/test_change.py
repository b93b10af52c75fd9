"""What the top of the report says of a change, for each thing that may come of the comparison."""

from __future__ import annotations

import pytest

from tests.unit.report.test_markdown import load
from validator.report.markdown import render_markdown
from validator.report.terminal import render_terminal
from validator.report.view import change_sentence
from validator.results import Change

BASE = {"base": "origin/main", "base_version": "v_1", "origin": "merge base 1a2b of HEAD and origin/main"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            Change(base="", status="none", reason="No base version: this is no pull request."),
            "No base version:",
        ),
        (Change(base="main", status="none", reason="A new model: there is none in main."), "A new model:"),
        (Change(**BASE, status="identical"), "same file as the base version, byte for byte"),
        (Change(**BASE, status="unavailable", reason="it was refused"), "not compared: it was refused."),
        (Change(**BASE, status="compared", rows=5, label_changes=2), "2 of 5 rows get another label."),
        (Change(**BASE, status="compared", rows=5, score_changes=0), "No score changes."),
    ],
)
def test_every_outcome_is_said_at_the_top_of_each_report(change, said):
    assert said in change_sentence(change)
    result = load("pass").model_copy(update={"change": change})
    for volatile in (True, False):
        report = render_markdown([result], volatile=volatile)
        assert 0 < report.index(said) < report.index("### Checklist")
    assert " ".join(said.split()[:3]) in " ".join(render_terminal([result]).split())


def test_the_base_version_is_named_with_where_it_was_found():
    said = change_sentence(Change(**BASE, status="compared", rows=5))
    assert "`v_1` (merge base 1a2b of HEAD and origin/main)" in said


def test_the_change_in_score_is_told_with_its_range_and_sign():
    change = Change(
        **BASE,
        status="compared",
        rows=10,
        score="prediction",
        score_changes=4,
        score_quantiles={"min": -0.5, "p50": 0.0, "max": 2.0},
    )
    assert "The prediction changes on 4 of them, by -0.5 to +2 (median 0)." in change_sentence(change)
