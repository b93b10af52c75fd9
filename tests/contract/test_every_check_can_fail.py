"""Every check of the catalogue has a test with a model, a sample or a runtime that makes it fail.

A new check needs a line here: the file and the test that make it fail. The file must name the check.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from validator.catalog import SPECS
from validator.checks.errors.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
INPUT = "tests/integration/test_bad_input.py"
BROKEN = "tests/integration/test_broken_models.py"
PROFILE = "tests/integration/test_profile.py"
FAILING = "tests/integration/test_checks_fail.py"
SMOKE = "tests/unit/checks/test_smoke.py"
ERRORS = "tests/unit/checks/test_errors.py"
KNOWLEDGE = "tests/unit/checks/test_knowledge.py"
ANSWERS = "tests/unit/checks/test_wrapper_answers.py"
SERVICE = "tests/unit/checks/test_service.py"
PARITY = "tests/unit/checks/test_parity.py"
LATENCY = "tests/unit/checks/latency/test_latency_suite.py"
CONCLUSION = "tests/unit/gate/test_conclusion.py"

#: Check -> where it is made to fail. `load.file` and `load.sample` end the run before there is a checklist.
WHERE = {
    "load.file": (INPUT, "test_a_file_that_is_no_model"),
    "load.safety": ("tests/hostile/test_gate_attacks.py", None),
    "load.model": (FAILING, "test_an_onnx_file_that_the_runtime_refuses_fails_its_loading"),
    "load.versions": (FAILING, "test_a_model_of_an_older_library_fails_the_check_of_versions"),
    "load.sample": (INPUT, "test_a_sample_that_does_not_fit"),
    "load.knowledge": (KNOWLEDGE, "test_what_the_model_was_not_trained_on_is_warned_of"),
    "convert.onnx": (BROKEN, "test_a_fault_is_blocked_by_the_check_that_is_meant_for_it_and_told_first"),
    "convert.hazards": ("tests/unit/checks/test_conversion_stage.py", "test_a_hazard_that_is_refused_fails"),
    "parity.proof": (BROKEN, "test_a_threshold_one_ulp_away_is_found_although_no_row_of_the_sample_shows_it"),
    "parity.boundary": (
        BROKEN,
        "test_a_threshold_one_ulp_away_is_found_although_no_row_of_the_sample_shows_it",
    ),
    "parity.sample": (BROKEN, "test_the_onnx_file_of_another_model_is_blocked_by_parity"),
    "parity.missing": (FAILING, "test_missing_values_sent_elsewhere_fail_the_check_of_missing_values"),
    "parity.categories": (PARITY, "test_a_difference_fails_the_check_of_the_rows_that_show_it_alone"),
    "parity.leaves": (PARITY, "test_a_row_that_meets_another_leaf_fails_the_check_of_leaves"),
    "parity.labels": (PARITY, "test_a_difference_fails_the_check_of_the_rows_that_show_it_alone"),
    "smoke.single": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.batch": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.shape": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.range": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.finite": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.repeatable": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.rowwise": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.threads": (SMOKE, "test_each_fault_fails_its_own_check"),
    "smoke.methods": (SMOKE, "test_every_method_must_give_the_same_answers"),
    "smoke.forms": ("tests/unit/worker/test_forms.py", "test_a_deployment_of_another_contract_is_found_out"),
    "smoke.latency": (SMOKE, "test_each_fault_fails_its_own_check"),
    "latency.single": (LATENCY, "test_each_limit_fails_its_own_check"),
    "latency.load": (LATENCY, "test_each_limit_fails_its_own_check"),
    "latency.memory": (LATENCY, "test_each_limit_fails_its_own_check"),
    "latency.batch": (LATENCY, "test_a_runtime_that_refuses_a_batch_size_fails_the_check_of_batches_alone"),
    "latency.speedup": (LATENCY, "test_the_speedup_is_a_paired_ratio_and_a_slower_onnx_fails"),
    "latency.base": (LATENCY, "test_the_base_version_is_measured_beside_the_candidate"),
    "latency.tracking": (SERVICE, "test_each_broken_promise_fails_its_own_check"),
    "quality.limits": (FAILING, "test_quality_below_its_limit_fails_that_check_alone"),
    "quality.base": ("tests/integration/test_baseline.py", None),
    "quality.chance": (PROFILE, "test_a_model_that_is_no_better_than_chance_fails_where_that_is_asked_for"),
    "profile.drift": (PROFILE, "test_data_unlike_the_champions_profile_fails_where_that_is_asked_for"),
    "errors.wrong_answer": ("tests/integration/test_wrapper.py", None),
    "wrapper.agrees": (ANSWERS, "test_other_answers_fail_wrapper_agrees"),
    "wrapper.sizes": (ANSWERS, "test_rows_of_the_last_chunk_answered_otherwise_fail_wrapper_sizes"),
    "wrapper.inputs": (ANSWERS, "test_what_becomes_of_the_caller_s_objects_fails_wrapper_inputs"),
    "version.metadata": (SERVICE, "test_each_broken_promise_fails_its_own_check"),
    "version.recorded": (CONCLUSION, "test_a_file_that_changed_meanwhile_fails_its_record_alone"),
    "version.artifact": (CONCLUSION, "test_an_artifact_that_cannot_be_written_fails_its_check_alone"),
} | {scenario.id: (ERRORS, None) for scenario in SCENARIOS}
#: Checks whose tests do not spell out their id: they make the input that the check is about.
SPELT_ELSEWHERE = {"load.file", *(scenario.id for scenario in SCENARIOS)}


@cache
def source(file):
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def names_in(file):
    return {node.name for node in ast.parse(source(file)).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("id", [spec.id for spec in SPECS])
def test_there_is_a_test_that_makes_it_fail(id):
    assert id in WHERE, f"add the test that makes {id} fail"
    file, test = WHERE[id]
    assert (ROOT / file).is_file()
    assert test is None or test in names_in(file)
    assert id in SPELT_ELSEWHERE or id in source(file), f"{file} says nothing of {id}"


def test_nothing_is_listed_that_is_no_check():
    assert set(WHERE) <= {spec.id for spec in SPECS}


def test_every_error_scenario_is_tried_on_a_lax_runtime():
    assert "for scenario in SCENARIOS" in source(ERRORS)
