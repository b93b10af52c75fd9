"""Whatever docs/rollout.md says of what happens when something dies is tested: each row names where."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRILL, ALERTS = "tests/rollout/test_drill.py", "tests/rollout/test_drill_alerts.py"
STEP, KSERVE = "tests/unit/rollout/test_step.py", "tests/unit/rollout/test_kserve.py"
FAULTS = "tests/unit/rollout/test_faults.py"
LOOPS = "test_two_loops_and_people_who_step_change_no_order_nor_does_a_job_that_dies"
#: By row: the tests, as FILE::TEST.
TESTS: dict[str, tuple[str, ...]] = {
    "the candidate": (
        f"{DRILL}::test_a_dead_candidate_is_out_within_three_checks",
        f"{STEP}::test_the_candidate_is_taken_out",
        f"{KSERVE}::test_a_bad_one_gets_no_traffic_any_more",
        f"{ALERTS}::test_people_are_told_of_what_died_and_when_it_is_back",
    ),
    "the candidate hangs": (f"{DRILL}::test_a_dead_candidate_is_out_within_three_checks",),
    "the champion, in a stage": (
        f"{DRILL}::test_without_the_champion_it_is_held_and_goes_on_when_it_is_back",
        f"{STEP}::test_without_the_champion_it_is_held_until_it_is_back",
        f"{STEP}::test_in_full_without_the_champion_nothing_is_promoted",
    ),
    "both": (f"{ALERTS}::test_with_both_dead_clients_are_told_at_once_and_nothing_is_promoted",),
    "the rollout, in any state": (
        f"{DRILL}::test_when_the_judge_dies_the_candidate_leaves_and_nobody_notices",
        f"{STEP}::test_a_loop_that_was_away_gives_the_candidate_time_to_become_ready",
        f"{STEP}::test_a_move_that_breaks_off_is_made_good",
        f"{ALERTS}::test_people_are_told_of_what_died_and_when_it_is_back",
    ),
    "Prometheus": (
        f"{DRILL}::test_without_prometheus_nothing_is_promoted_and_the_lease_ends",
        f"{STEP}::test_nothing_is_promoted_without_counts",
    ),
    "scrapes become rare, or the champion is not scraped": (
        f"{FAULTS}::test_scrapes_that_become_rare_in_a_stage",
        f"{FAULTS}::test_a_champion_that_is_scraped_no_more_leaves_no_candidate_unjudged",
    ),
    "Alertmanager": (f"{ALERTS}::test_without_alertmanager_the_rollout_goes_on_and_the_watchdog_is_missed",),
    "the proxy": (
        f"{DRILL}::test_a_rollback_survives_a_proxy_that_restarts_in_its_middle",
        f"{DRILL}::test_a_proxy_that_restarts_in_a_stage_comes_back_with_its_weights",
        f"{STEP}::test_at_every_move_the_file_holds_the_safer_weights",
    ),
    "the registry": ("tests/unit/registry/test_cache.py::test_an_image_is_fetched_once",),
    "GitHub": ("tests/unit/github/test_deployments.py::test_what_github_cannot_be_told_now_is_told_later",),
    "the job that waits": (f"{ALERTS}::{LOOPS}",),
    "the disk is full": (
        f"{DRILL}::test_on_a_full_disk_nothing_moves_and_the_lease_takes_the_candidate_out",
        f"{STEP}::test_on_a_full_disk_nothing_moves",
    ),
    "a server is replaced": (
        f"{STEP}::test_a_server_that_restarts_is_counted_on",
        "tests/unit/rollout/test_samples.py::*",
    ),
    "the clock is set": (
        f"{ALERTS}::test_a_clock_that_is_set_changes_nothing",
        f"{STEP}::test_an_outage_of_the_clock_changes_no_deadline",
    ),
    "two loops at once": (
        f"{DRILL}::test_only_one_loop_runs",
        f"{ALERTS}::{LOOPS}",
        f"{STEP}::test_two_at_once_are_told",
    ),
    "weights set by hand": (
        f"{DRILL}::test_weights_set_by_hand_win",
        f"{DRILL}::test_a_candidate_taken_out_by_hand_stays_out",
        f"{STEP}::test_weights_moved_by_hand_are_held",
    ),
}  # fmt: skip


def rows() -> list[str]:
    """The first column of the table."""
    page = (ROOT / "docs/rollout.md").read_text()
    table = page.partition("## When something dies")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    return [row for row in found if row != "what happens"]


def names_in(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_row_has_tests() -> None:
    assert rows() == list(TESTS)


@pytest.mark.parametrize("row", TESTS)
def test_the_tests_of_a_row_are_there(row: str) -> None:
    for name in TESTS[row]:
        path, _, test = name.partition("::")
        assert names_in(path) if test == "*" else test in names_in(path), name
