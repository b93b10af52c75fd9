"""The judge: what promotes, what rolls back, and that absence does neither."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.errors import UsageError
from validator.rollout.judge import Counts, Metric, Rule, StageKind, Window, judge
from validator.rollout.judge.evidence import gathered, judge_again, read_evidence, written

ERROR = Metric(name="error", margin=0.01, limit=0.02)
SLOW = Metric(name="slow", margin=0.02, limit=0.04)


def rule(kind: StageKind = "guard", planned: int = 300, windows: int = 5) -> Rule:
    return Rule(
        stage=kind, kind=kind, metrics=(ERROR, SLOW), planned_requests=planned, minimum_windows=windows
    )


def counts(a: int, n: int, c: int, d: int) -> Counts:
    return Counts(candidate_events=a, candidate_requests=n, champion_events=c, champion_requests=d)


def minutes(rows: list[tuple[int, int, int, int]], **changes: object) -> list[Window]:
    """Windows with these errors; nothing is slow."""
    return [
        Window(
            start=60.0 * i,
            end=60.0 * i + 60,
            counts={"error": counts(*row), "slow": counts(0, row[1], 0, row[3])},
            **changes,  # type: ignore[arg-type]
        )
        for i, row in enumerate(rows)
    ]


GOOD = (0, 100, 1, 300)


@pytest.mark.parametrize("kind", ["guard", "confirm", "bake"])
def test_nothing_is_undecided(kind: StageKind) -> None:
    verdict = judge(rule(kind), [])
    assert verdict.outcome == "undecided"
    assert verdict.reason == "nothing was measured yet"


@pytest.mark.parametrize("kind", ["guard", "confirm", "bake"])
def test_void_windows_promote_nothing(kind: StageKind) -> None:
    verdict = judge(rule(kind), minutes([GOOD] * 50, void="the candidate was not scraped throughout"))
    assert verdict.outcome == "undecided"
    assert "not scraped" in verdict.reason
    assert (verdict.windows, verdict.void) == (0, 50)


@pytest.mark.parametrize("row", [(0, 0, 1, 300), (0, 100, 0, 0)], ids=["candidate idle", "champion idle"])
def test_an_idle_arm_compares_nothing(row: tuple[int, int, int, int]) -> None:
    verdict = judge(rule(), minutes([row] * 50))
    assert verdict.outcome == "undecided"
    assert "had no requests" in verdict.reason


def test_a_window_without_a_metric_is_void() -> None:
    windows = [Window(start=60.0 * i, end=60.0 * i + 60, counts={"error": counts(*GOOD)}) for i in range(9)]
    assert "no counts of slow" in judge(rule(), windows).reason


def test_a_void_last_window_holds_promotion() -> None:
    windows = minutes([GOOD] * 8)
    assert judge(rule(), windows).outcome == "promote"
    gone = dataclasses.replace(
        windows[-1], start=480.0, end=540.0, void="the champion was not scraped throughout"
    )
    assert judge(rule(), [*windows, gone]).outcome == "undecided"


def test_a_guard_waits_for_windows_and_requests() -> None:
    assert judge(rule(), minutes([(0, 1000, 1, 3000)] * 4)).reason == "4 of at least 5 windows"
    assert judge(rule(), minutes([(0, 20, 1, 300)] * 10)).reason == "200 of 300 candidate requests"
    assert judge(rule(), minutes([(0, 30, 1, 300)] * 10)).outcome == "promote"


def test_a_guard_waits_while_the_estimate_is_above_the_margin() -> None:
    verdict = judge(rule(), minutes([(1, 60, 0, 300)] * 5))
    assert verdict.outcome == "undecided"
    assert "error" in verdict.reason


def test_thirty_percent_errors_go_within_a_hundred_requests() -> None:
    windows = minutes([(20, 70, 7, 1330)], complete=False)
    verdict = judge(rule(), windows)
    assert verdict.outcome == "rollback"
    assert verdict.reason.startswith("error: far worse")


def test_what_is_steadily_worse_goes() -> None:
    verdict = judge(rule("confirm", 100_000, 8), minutes([(15, 400, 2, 400)] * 12))
    assert verdict.outcome == "rollback"
    assert verdict.metrics[0].outcome == "rollback"
    assert verdict.metrics[1].outcome != "rollback"


def test_a_rollback_seen_once_stays_one() -> None:
    bad_then_good = minutes([(30, 100, 1, 300)] * 3 + [GOOD] * 200)
    assert judge(rule("confirm", 3000, 8), bad_then_good).outcome == "rollback"


def test_confirming_takes_planned_looks_and_all_metrics() -> None:
    before = judge(rule("confirm", 6000, 8), minutes([GOOD] * 9))
    assert (before.outcome, before.look) == ("undecided", 0)
    assert before.reason == "900 of 1,000 candidate requests until the first look"
    done = judge(rule("confirm", 6000, 8), minutes([(0, 500, 0, 500)] * 12))
    assert (done.outcome, done.look) == ("promote", 6)
    slow = [
        dataclasses.replace(w, counts={**w.counts, "slow": counts(10, 500, 2, 500)})
        for w in minutes([(0, 500, 0, 500)] * 12)
    ]
    open_ = judge(rule("confirm", 6000, 8), slow)
    assert open_.outcome == "undecided"
    assert open_.reason == "look 6 of 6 left open: slow"
    assert open_.exhausted


def test_windows_in_which_the_champion_breaks_its_objective_promote_nothing() -> None:
    calm, outage = (0, 500, 0, 500), (100, 500, 100, 500)
    verdict = judge(rule("confirm", 6000, 8), minutes([calm] * 13 + [outage] * 2))
    assert verdict.outcome == "undecided"
    assert verdict.void == 2
    assert "champion itself" in verdict.reason
    assert judge(rule("confirm", 6000, 8), minutes([outage] * 2 + [calm] * 13)).outcome == "promote"


def test_a_bake_is_held_against_the_limits() -> None:
    def alone(events: int) -> list[Window]:
        return minutes([(events, 500, 0, 0)] * 10)

    assert judge(rule("bake", 300, 8), alone(5)).outcome == "promote"
    assert judge(rule("bake", 300, 8), alone(11)).outcome == "undecided"
    assert judge(rule("bake", 300, 8), alone(40)).outcome == "rollback"
    assert judge(rule("bake", 300, 30), alone(5)).reason == "10 of at least 30 windows"


@st.composite
def histories(draw: st.DrawFn) -> list[Window]:
    rows = []
    for _ in range(draw(st.integers(0, 15))):
        n, d = draw(st.integers(0, 400)), draw(st.integers(0, 400))
        rows.append((draw(st.integers(0, min(n, 30))), n, draw(st.integers(0, min(d, 30))), d))
    windows = minutes(rows)
    voided = draw(st.lists(st.booleans(), min_size=len(windows), max_size=len(windows)))
    return [
        dataclasses.replace(window, void="not scraped") if void else window
        for window, void in zip(windows, voided, strict=True)
    ]


@settings(max_examples=40)
@given(histories(), st.sampled_from(["guard", "confirm", "bake"]))
def test_evidence_is_judged_again_to_the_same_verdict(windows: list[Window], kind: StageKind) -> None:
    import tempfile

    evidence = gathered(rule(kind, 900, 8), tuple(windows))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stage.json"
        path.write_bytes(written(evidence))
        again = read_evidence(path)
    assert again == evidence
    assert judge_again(again) == evidence.verdict


@settings(max_examples=40)
@given(histories(), st.sampled_from(["guard", "confirm"]))
def test_more_failures_never_promote(windows: list[Window], kind: StageKind) -> None:
    def worse(window: Window) -> Window:
        old = window.counts["error"]
        more = min(old.candidate_requests, old.candidate_events + 5)
        return dataclasses.replace(
            window, counts={**window.counts, "error": dataclasses.replace(old, candidate_events=more)}
        )

    asked = rule(kind, 900, 8)
    if judge(asked, windows).outcome == "rollback":
        return
    before, after = judge(asked, windows), judge(asked, [worse(window) for window in windows])
    assert not (
        before.outcome != "promote" and after.outcome == "promote" and before.metrics[0].outcome != "promote"
    )


def test_evidence_that_was_changed_is_noticed(tmp_path: Path) -> None:
    evidence = gathered(rule(), tuple(minutes([GOOD] * 8)))
    path = tmp_path / "e.json"
    path.write_bytes(
        written(evidence).replace(
            b'"outcome": "promote",\n  "reason": "800', b'"outcome": "rollback",\n  "reason": "800'
        )
    )
    with pytest.raises(UsageError, match="judged again, the evidence says promote"):
        judge_again(read_evidence(path))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "{}", '{"schema_version": 1}', "null", '{"a": NaN}', "1e999",
        '{"schema_version":1,"rule":{},"windows":[],"verdict":{}}',
    ],
)  # fmt: skip
def test_what_is_no_evidence_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "e.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not an evidence file"):
        read_evidence(path)


def test_impossible_counts_and_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="no counts"):
        counts(2, 1, 0, 0)
    with pytest.raises(ValueError, match="no counts"):
        counts(-1, 1, 0, 0)
    with pytest.raises(ValueError, match="no counts"):
        Counts(candidate_events=True, candidate_requests=1, champion_events=0, champion_requests=0)
    with pytest.raises(ValueError, match="would promote anything"):
        Rule(stage="x", kind="guard", metrics=(), planned_requests=1)
    with pytest.raises(ValueError, match="margin"):
        Metric(name="error", margin=float("nan"))
    with pytest.raises(ValueError, match="overlaps"):
        judge(rule(), [*minutes([GOOD]), *minutes([GOOD])])
