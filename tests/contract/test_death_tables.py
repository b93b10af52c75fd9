"""Whatever the documentation says of what happens when something dies is tested: each row names where."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRILL, ALERTS = "tests/rollout/test_drill.py", "tests/rollout/test_drill_alerts.py"
STEP, KSERVE = "tests/unit/rollout/test_step.py", "tests/unit/rollout/test_kserve.py"
HOSTILE, PROXY = "tests/rollout/test_drill_hostile.py", "tests/unit/rollout/test_haproxy.py"
FAULTS = "tests/unit/rollout/test_faults.py"
LOOPS = "test_two_loops_and_people_who_step_change_no_order_nor_does_a_job_that_dies"
#: By row of docs/rollout.md: the tests, as FILE::TEST.
ROLLOUT: dict[str, tuple[str, ...]] = {
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
    "the candidate's server comes back with another artifact under the same version": (
        f"{FAULTS}::test_a_candidate_of_the_right_version_from_another_artifact_goes_at_once",
        f"{FAULTS}::test_a_champion_from_another_artifact_is_compared_with_nothing",
        f"{HOSTILE}::test_another_artifact_under_the_same_version_is_out_at_once",
    ),
    "a version is asked by others too, scraped twice, or served elsewhere under the same name": (
        f"{FAULTS}::test_requests_that_do_not_come_by_the_proxy_thin_nothing_out",
        f"{HOSTILE}::test_requests_past_the_proxy_thin_nothing_out",
    ),
    "the proxy's file cannot be written": (
        f"{PROXY}::test_a_proxy_that_does_not_as_told_is_noticed",
        f"{PROXY}::test_where_its_file_cannot_be_written_the_candidate_is_taken_out_all_the_same",
        f"{HOSTILE}::test_a_proxys_file_that_cannot_be_written_keeps_no_bad_candidate",
    ),
    "the proxy, or the folder, is another model's": (
        f"{PROXY}::test_the_proxy_of_another_model_is_not_touched",
        f"{FAULTS}::test_the_rollout_of_another_model_is_not_touched",
        f"{HOSTILE}::test_a_second_model_at_the_same_proxy_moves_nothing",
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
GITHUB, REGISTRY = "tests/integration/test_github_faults.py", "tests/unit/registry"
#: By row of docs/promises.md.
PROMISES: dict[str, tuple[str, ...]] = {
    "the gate, in the middle of a run": (
        "tests/integration/test_github_validate.py::test_a_step_that_is_killed_leaves_no_pass",
        "tests/integration/test_bad_input.py::test_an_interrupt_leaves_no_worker_and_nothing_half_written",
        "tests/unit/artifact/test_write_and_read.py::test_an_interrupt_leaves_nothing_behind",
    ),
    "a worker that judges a model": (
        "tests/unit/sandbox/test_lockdown_worker_exit.py::*",
        "tests/integration/test_wrapper_worker.py::test_a_crash_is_an_outcome_and_the_next_scenario_has_a_fresh_worker",
        "tests/integration/test_wrapper_worker.py::test_a_hang_is_ended",
        "tests/hostile/test_lockdown_attacks.py::test_attack_gets_nothing",
    ),
    "GitHub, while publishing": (
        f"{GITHUB}::test_a_passing_fault_leaves_no_trace",
        f"{GITHUB}::test_a_lasting_fault_never_moves_the_verdict",
        f"{GITHUB}::test_what_ends_the_run_in_3_is_an_error_and_no_mere_warning",
        f"{GITHUB}::test_nobody_listens",
    ),
    "the registry, during a push": (
        "tests/registry/test_real_registry.py::"
        "test_killed_before_any_step_a_command_leaves_what_was_there_or_what_was_wanted",
        f"{REGISTRY}/test_remote.py::test_a_connection_that_breaks_is_tried_again_and_leaves_nothing",
        f"{REGISTRY}/test_command.py::test_a_push_that_fails_is_told",
    ),
    "the registry, afterwards": (
        f"{REGISTRY}/test_cache.py::test_an_image_is_fetched_once",
        f"{REGISTRY}/test_cache.py::test_what_is_damaged_is_fetched_again_and_mended",
        "tests/unit/serving/server/test_service.py::test_an_image_is_served_by_its_digest_alone",
    ),
    "`test` itself": (
        "tests/unit/integration/test_published.py::test_when_it_is_ended_its_server_ends_too_and_no_report_is_left",
    ),
    "a server": (
        f"{DRILL}::test_a_dead_candidate_is_out_within_three_checks",
        f"{DRILL}::test_without_the_champion_it_is_held_and_goes_on_when_it_is_back",
        "tests/monitoring/test_drill.py::test_a_dead_server_reaches_people",
    ),
    "the candidate, in a rollout": ROLLOUT["the candidate"],
    "the champion, in a rollout": ROLLOUT["the champion, in a stage"],
    "the rollout": ROLLOUT["the rollout, in any state"],
    "the proxy": ROLLOUT["the proxy"],
    "Prometheus": ROLLOUT["Prometheus"],
    "Alertmanager": ROLLOUT["Alertmanager"],
    "the job that waits for a rollout": ROLLOUT["the job that waits"],
    "the disk is full": (
        *ROLLOUT["the disk is full"],
        f"{REGISTRY}/test_layout.py::test_a_full_disk_leaves_what_was_there",
        "tests/unit/serving/server/test_beside.py::test_a_disk_that_cannot_follow_costs_rows_and_not_answers",
    ),
    "drift's data does not come": (
        "tests/unit/drift/test_command.py::test_broken_files_are_one_clear_error",
        "tests/unit/drift/test_command.py::test_bad_usage_is_one_clear_error",
    ),
    "retraining": (
        "tests/integration/test_life_workflows.py::test_a_branch_is_offered_after_the_gate_alone",
        "tests/integration/test_life_workflows.py::test_the_whole_life_on_github",
    ),
}
TABLES = {"docs/rollout.md": ROLLOUT, "docs/promises.md": PROMISES}


def rows(page: str) -> list[str]:
    """The first column of the table."""
    table = (ROOT / page).read_text().partition("## When something dies")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+?) \|", table, re.MULTILINE)
    return [row for row in found if row not in ("what happens", "what dies")]


@functools.cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("page", TABLES)
def test_every_row_has_tests(page: str) -> None:
    assert rows(page) == list(TABLES[page])


@pytest.mark.parametrize(("page", "row"), [(page, row) for page, tests in TABLES.items() for row in tests])
def test_the_tests_of_a_row_are_there(page: str, row: str) -> None:
    assert TABLES[page][row]
    for name in TABLES[page][row]:
        path, _, test = name.partition("::")
        assert names_in(path) if test == "*" else test in names_in(path), name


def test_alerts_that_are_to_notice_it_exist() -> None:
    """Whom the table of promises names as noticing has a page of what to do."""
    table = (ROOT / "docs/promises.md").read_text().partition("## When something dies")[2]
    named = set(re.findall(r"\*(Preflight\w+)\*", table))
    assert len(named) >= 4
    assert not [name for name in named if not (ROOT / "docs" / "runbooks" / f"{name}.md").is_file()]
