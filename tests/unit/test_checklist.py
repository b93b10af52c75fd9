"""The checklist fails closed: only a complete run without an unwaived failure passes."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.catalog import ALL, BY_ID, expected
from validator.checklist import decide
from validator.results import CheckResult
from validator.settings.table import Waiver

TODAY = dt.date(2026, 1, 10)


def make(id: str, runtime: str = "", status: str = "pass", **extra: object) -> CheckResult:
    spec = BY_ID[id]
    return CheckResult.model_validate(
        {"id": id, "runtime": runtime, "category": spec.category, "status": status, "title": spec.title,
         "message": "seen", **extra}
    )  # fmt: skip


COMPLETE = [make(id, runtime) for id, runtime in expected(ALL)]


def verdict(results, waivers=(), today=TODAY):
    return decide(results, runtimes=ALL, waivers=waivers, today=today)


def replaced(index: int, **update: object) -> list[CheckResult]:
    changed = list(COMPLETE)
    changed[index] = changed[index].model_copy(update=update)
    return changed


def waiver(check: str, expires: dt.date, runtime: str = "") -> Waiver:
    return Waiver(check=check, reason="accepted until the retraining", expires=expires, runtime=runtime)


def test_a_complete_run_passes():
    assert verdict(COMPLETE).verdict == "pass"


def test_nothing_at_all_fails():
    found = verdict([])
    assert found.verdict == "fail"
    assert len(found.checks) == len(COMPLETE)


@given(st.integers(0, len(COMPLETE) - 1))
def test_any_single_missing_result_blocks(index):
    found = verdict([check for i, check in enumerate(COMPLETE) if i != index])
    assert found.verdict == "fail"
    assert {(c.id, c.runtime) for c in found.checks if c.status == "skip"} == {
        (COMPLETE[index].id, COMPLETE[index].runtime)
    }


@given(st.integers(0, len(COMPLETE) - 1), st.sampled_from(["fail", "error", "skip"]))
def test_any_single_failure_error_or_skip_blocks(index, status):
    assert verdict(replaced(index, status=status)).verdict == "fail"


@given(st.integers(0, len(COMPLETE) - 1))
def test_a_warning_or_an_inapplicable_check_does_not_block(index):
    assert verdict(replaced(index, status="warn")).verdict == "pass"
    assert verdict(replaced(index, status="skip", required=False)).verdict == "pass"


def test_a_waiver_covers_one_check_until_its_day():
    failing = [check for check in COMPLETE if check.id != "smoke.range"]
    failing += [make("smoke.range", runtime, "fail") for runtime in ALL]
    tomorrow = TODAY + dt.timedelta(days=1)
    assert verdict(failing, [waiver("smoke.range", tomorrow)]).verdict == "pass"
    assert verdict(failing, [waiver("smoke.range", TODAY)]).verdict == "fail"
    assert verdict(failing, [waiver("smoke.range", tomorrow, "native")]).verdict == "fail"
    assert verdict(failing, [waiver("smoke.finite", tomorrow)]).verdict == "fail"


def test_a_waiver_is_shown_and_an_expired_one_is_told_of():
    failing = replaced(0, status="fail")
    found = verdict(failing, [waiver(failing[0].id, TODAY + dt.timedelta(days=1))])
    assert "accepted until the retraining" in found.checks[0].waived
    late = verdict(COMPLETE, [waiver("smoke.range", TODAY)])
    assert late.verdict == "pass"
    assert any(check.status == "warn" and "expired" in check.message for check in late.checks)


def test_a_waiver_of_no_known_check_blocks():
    assert verdict(COMPLETE, [waiver("smoke.rnage", TODAY + dt.timedelta(days=1))]).verdict == "fail"


@pytest.mark.parametrize("status", ["fail", "error"])
def test_the_reason_names_the_first_failure_before_what_was_only_skipped(status):
    changed = replaced(3, status=status, message="the file is torn")
    changed[0] = changed[0].model_copy(update={"status": "skip"})
    assert "the file is torn" in verdict(changed).reason


def test_the_reason_names_a_possible_cause_before_its_consequences():
    order = [("load.model", "native"), ("smoke.finite", "native"), ("convert.onnx", ""), ("parity.sample", ""),
             ("smoke.range", "onnx"), ("errors.nan", "deployment"), ("latency.single", "native"),
             ("quality.limits", ""), ("version.artifact", "")]  # fmt: skip
    failing = [make(id, runtime, "fail", message=f"{id} on {runtime}") for id, runtime in order]
    for first in range(len(failing)):
        found = verdict([*reversed(failing[first:]), *COMPLETE])
        assert "{} on {}".format(*order[first]) in found.reason


def test_a_waiver_that_lasts_too_long_or_covers_what_none_may_blocks() -> None:
    today = dt.date(2026, 1, 1)
    for check, days, good in (
        ("smoke.batch", 90, True), ("smoke.batch", 91, False), ("smoke.batch", 365 * 7000, False),
        ("load.safety", 5, False), ("version.artifact", 5, False), ("version.waivers", 5, False),
    ):  # fmt: skip
        waiver = Waiver(check=check, reason="for a reason of mine", expires=today + dt.timedelta(days=days))
        verdict = decide([], runtimes=ALL, waivers=[waiver], today=today)
        notes = [check for check in verdict.checks if check.id == "version.waivers"]
        assert bool(notes) is not good
        assert any(check.waived for check in verdict.checks) is good
        assert decide([], runtimes=ALL, waivers=[waiver], today=today, waiver_days=4).verdict == "fail"
