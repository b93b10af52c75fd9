from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.github.wording import (
    annotations_of,
    headline,
    is_inside,
    lines_of,
    one_line,
    outputs,
    verdict_of,
)
from validator.results import Latency, Parity, Ratio

any_text = st.text(st.characters(exclude_categories=()), max_size=300)


def _is_seen(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@given(text=any_text, limit=st.integers(1, 200))
def test_one_line_is_one_line_of_visible_characters(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert all(map(_is_seen, line))
    line.encode("utf-8")


@given(text=any_text, limit=st.integers(1, 200))
def test_lines_hold_nothing_unseen_but_line_feeds(text, limit):
    found = lines_of(text, limit)
    assert len(found) <= limit
    assert all(_is_seen(c) or c == "\n" for c in found)


@pytest.mark.parametrize("path", ["models/a.pkl", "a b/ü.onnx", ".hidden", "...", "a/..b"])
def test_paths_inside(path):
    assert is_inside(path)


@pytest.mark.parametrize(
    "path", ["", "/a", "../a", "a/../b", "a/..", "a//b", "C:/a", "a\\b", "a\nb", "a\x00", "a/", "\u202ea"]
)
def test_paths_that_are_not(path):
    assert not is_inside(path)


def test_no_result_is_no_pass():
    assert verdict_of([]) == "fail"
    assert headline([]) == "nothing was judged"


@pytest.mark.parametrize("status", ["fail", "error", "skip"])
def test_a_pass_needs_checks_that_agree(make_result: Any, make_check: Any, status: str):
    assert verdict_of([make_result("pass")]) == "pass"
    assert verdict_of([make_result("pass", checks=())]) == "fail"
    assert verdict_of([make_result("pass", checks=(make_check(status),))]) == "fail"
    assert verdict_of([make_result("pass", checks=(make_check(status, required=False),))]) == "pass"
    assert (
        verdict_of([make_result("pass", checks=(make_check(status, waived="known, until May"),))]) == "pass"
    )
    assert verdict_of([make_result("pass"), make_result("fail")]) == "fail"


def test_the_headline_names_the_first_failure_before_what_was_not_run(make_result: Any, make_check: Any):
    other = make_check("fail", id="smoke.range", title="Output range")
    checks = (make_check("skip", title="Not run"), make_check("fail"), other)
    assert (
        headline([make_result("fail", checks=checks)])
        == "fail: churn: No NaN, no Inf (onnx) and 1 more problem"
    )
    assert headline([make_result("fail", checks=(make_check("pass"),), reason="why")]) == "fail: churn: why"


def test_outputs_of_several_models_are_the_weakest_of_them(make_result: Any):
    one = make_result(
        name="a", latency=Latency(speedup=Ratio(value=2.918, low=2, high=3)), parity=Parity(level="proved")
    )
    two = make_result(
        name="b", latency=Latency(speedup=Ratio(value=1.5, low=1, high=2)), parity=Parity(level="measured")
    )
    found = outputs([one, two], verdict="pass", result_path="r", report_path="m")
    assert (found["parity"], found["speedup"]) == ("measured", "1.50")
    assert found["version"].count("\n") == 1
    assert outputs([one, make_result()], verdict="pass")["speedup"] == ""
    assert outputs([], verdict="error")["parity"] == ""


def test_annotations_point_at_the_model_only_where_it_is_in_the_repository(make_result: Any, make_check: Any):
    inside = annotations_of([make_result("fail", path="m/a.pkl")])
    outside = annotations_of([make_result("fail", path="/etc/passwd")])
    assert [a.path for a in inside] == ["m/a.pkl"]
    assert [a.path for a in outside] == [""]
    note = make_check("warn", required=False, id="smoke.range")
    checks = (make_check("warn", id="smoke.shape"), note, make_check("fail"), make_check("pass"))
    assert [a.level for a in annotations_of([make_result("fail", checks=checks)])] == ["error", "warning"]


def test_a_waived_failure_is_a_warning_that_says_so(make_result: Any, make_check: Any):
    (found,) = annotations_of([make_result("pass", checks=(make_check("fail", waived="known until May"),))])
    assert found.level == "warning"
    assert "waived: known until May" in found.message


def test_runtimes_that_say_the_same_share_an_annotation(make_result: Any, make_check: Any):
    checks = tuple(make_check("fail", runtime=name) for name in ("native", "onnx"))
    other = make_check("fail", runtime="deployment", message="another cause")
    found = annotations_of([make_result("fail", checks=(*checks, other))])
    assert [a.title.partition("[")[2] for a in found] == ["Native, ONNX and Deployment]"]
    assert "another cause" in found[0].message


def test_what_only_follows_is_counted_and_no_annotation_of_its_own(make_result: Any, make_check: Any):
    skipped = tuple(make_check("skip", id=f"smoke.s{i}") for i in range(40))
    (found,) = annotations_of([make_result("fail", checks=(*skipped, make_check("fail")))])
    assert found.level == "error"
    assert "40 further checks could not run because of it" in found.message
