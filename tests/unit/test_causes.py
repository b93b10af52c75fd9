"""One cause is one problem, however many checks show it; nothing that blocks is ever lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.catalog import ALL, BY_ID, expected
from validator.causes import blocks, causes_of, is_note
from validator.results import CheckResult


def make(id: str, runtime: str = "", status: str = "fail", **extra: object) -> CheckResult:
    spec = BY_ID[id]
    return CheckResult.model_validate(
        {"id": id, "runtime": runtime, "category": spec.category, "status": status, "title": spec.title,
         "message": f"{id} on {runtime}", "hint": spec.hint, **extra}
    )  # fmt: skip


BOOM = "ValueError: boom at row 3"
ONE_CAUSE = {
    "one error wherever rows are asked for": [
        make("smoke.single", "native", message=BOOM),
        make("smoke.batch", "native", message="ValueError: boom at row 17"),
        make("parity.sample", message=BOOM),
        make("errors.many_threads", "native", message=f"answered wrongly: fails on right rows: {BOOM}"),
        make("latency.single", "wrapper", message=BOOM),
    ],
    "one check on every runtime": [make("smoke.range", runtime) for runtime in ALL],
    "one limit, looked at twice": [
        *(make("smoke.latency", runtime) for runtime in ALL),
        *(make("latency.single", runtime) for runtime in ALL),
    ],
    "one wrong ONNX file": [
        make("parity.proof"), make("parity.sample"), make("parity.boundary"), make("parity.labels"),
    ],
    "a model that answers at random": [
        make("smoke.repeatable", "native"), make("parity.sample"), make("wrapper.agrees", "wrapper"),
        make("smoke.rowwise", "native"),
    ],
    "a wrapper that looks at nothing": [
        make(id, "wrapper", message="accepted silently: x")
        for id in ("errors.nan", "errors.inf", "errors.text", "errors.wrong_rank")
    ],
    "a file that does not load": [
        make("load.model", "native"),
        *(make(id, runtime, "skip", message="not run") for id, runtime in expected(ALL)[5:]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_CAUSE)
def test_one_cause_is_one_problem(name: str) -> None:
    checks = ONE_CAUSE[name]
    (cause,) = causes_of(checks)
    assert len(cause.checks) + len(cause.follows) == len(checks)


def test_causes_that_have_nothing_to_do_with_each_other_stay_apart() -> None:
    checks = [
        make("smoke.threads", "native"), make("quality.limits"), make("latency.single", "native"),
        make("errors.missing_file", "wrapper"), make("errors.nan", "wrapper"), make("profile.drift"),
        make("smoke.single", "onnx", message="TypeError: no"), make("load.versions"),
    ]  # fmt: skip
    assert len(causes_of(checks)) == len(checks)


def test_two_mistakes_in_waivers_are_two_problems() -> None:
    waivers = [
        CheckResult(
            id="version.waivers", category="version", status="fail", title="Waivers", message=f"waiver {i}", hint="h"
        )
        for i in range(2)
    ]  # fmt: skip
    assert len(causes_of(waivers)) == 2


def test_what_could_not_run_is_a_cause_only_where_nothing_else_blocks() -> None:
    skipped = [make(id, runtime, "skip", message="not run") for id, runtime in expected(ALL)]
    assert len(causes_of(skipped)) == len({check.hint for check in skipped})
    (cause,) = causes_of([*skipped, make("load.safety")])
    assert cause.lead.id == "load.safety"
    assert len(cause.follows) == len(skipped)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.builds(
            make,
            st.sampled_from(sorted(BY_ID)),
            st.sampled_from(["", *ALL]),
            st.sampled_from(["pass", "fail", "warn", "skip", "error"]),
            required=st.booleans(),
            message=st.sampled_from(["a", "b", BOOM, "TypeError"]),
            hint=st.sampled_from(["", "h"]),
        ),
        max_size=40,
    )
)
def test_every_check_that_blocks_belongs_to_exactly_one_cause(checks: list[CheckResult]) -> None:
    causes = causes_of(checks)
    found = [id(check) for cause in causes for check in (*cause.checks, *cause.follows)]
    assert sorted(found) == sorted(id(check) for check in checks if blocks(check))
    assert all(is_note(check) <= (not blocks(check)) for check in checks)
