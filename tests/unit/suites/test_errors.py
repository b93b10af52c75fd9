"""Every scenario, on a runtime that refuses it (passes) and on one that does not (fails, or warns with a guard)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.suites.conftest import FEATURES, FakeRuntime, sensible
from validator.errors import WorkerError
from validator.outputs import Outputs
from validator.runtimes.process import Raised
from validator.suites import errors
from validator.suites.common import Subject
from validator.suites.scenarios import SCENARIOS
from validator.table import Column, Table

KINDS = np.array(["x", "y"], dtype=object)


def refuse(message: str) -> None:
    raise Raised("ContractError", ("ValueError",), message, "")


def strict(table: Table) -> Outputs:
    """Checks everything by name before it answers."""
    if set(table.names) != {*FEATURES, "kind"}:
        refuse(f"wrong features {table.names}")
    for name in FEATURES:
        column = table.column(name)
        if not column.is_numeric:
            refuse(f"{name} is {column.dtype}")
        if not np.isfinite(column.values).all():
            refuse(f"{name} holds NaN or Inf")
    if not set(table.column("kind").decoded()) <= {"x", "y"}:
        refuse("unseen category")
    return sensible(table)


def lax(table: Table) -> Outputs:
    """Answers whatever comes, by position."""
    numbers = np.zeros((len(table), 3))
    for i, column in enumerate(table.columns[:3]):
        if column.values.dtype.kind == "f":
            numbers[:, i] = column.values
    matrix = np.nan_to_num(numbers, posinf=9, neginf=-9)
    matrix[:, 0] *= 2
    answer = matrix.sum(axis=1) + len(table.columns)
    return Outputs(prediction=answer) if len(table) else Outputs(prediction=np.zeros(1))


def vector_answer(array: np.ndarray) -> Outputs:
    return Outputs(prediction=np.zeros(max(1, array.size)))


def refusing_array(array: np.ndarray) -> Outputs:
    refuse(f"shape {array.shape}")
    raise AssertionError


@pytest.fixture
def mixed(subject: Subject) -> Subject:
    kinds = Column("kind", (np.arange(len(subject.rows)) % 2).astype(np.int32), KINDS)
    return Subject(contract=subject.contract, rows=Table.of([*subject.rows.columns, kinds]))


def load_refused(how: str) -> None:
    raise Raised("FileNotFoundError", ("OSError",), how, "")


def load_accepted(how: str) -> None:
    """Loads a broken file as if nothing were wrong."""


def candidate(runtime, broken=load_refused) -> errors.Candidate:
    return errors.Candidate(runtime=runtime, revive=lambda: runtime, broken=broken)


def strict_candidate(name: str) -> errors.Candidate:
    return candidate(FakeRuntime(name=name, answer=strict, array_answer=refusing_array))


def lax_candidate(name: str) -> errors.Candidate:
    return candidate(FakeRuntime(name=name, answer=lax, array_answer=vector_answer), load_accepted)


def by_id(candidates, subject):
    return {(check.id, check.runtime): check for check in errors.run(candidates, subject)}


@pytest.mark.parametrize("scenario", [scenario.id for scenario in SCENARIOS])
@pytest.mark.parametrize("name", ["native", "onnx", "deployment"])
def test_a_strict_runtime_passes_and_a_lax_one_fails(scenario, name, mixed):
    good = by_id({name: strict_candidate(name)}, mixed)[scenario, name]
    assert good.status == "pass", good.message
    guard = {} if name == "deployment" else {"deployment": lax_candidate("deployment")}
    bad = by_id({name: lax_candidate(name), **guard}, mixed)[scenario, name]
    assert bad.status == "fail", bad.message
    assert "silently" in bad.message


def test_without_a_deployment_silence_blocks_and_is_no_fault_of_its_own(mixed):
    bad = by_id({"native": lax_candidate("native")}, mixed)["errors.nan", "native"]
    assert (bad.status, bad.required) == ("skip", True)
    assert "there is none" in bad.message


@pytest.mark.parametrize("scenario", [scenario.id for scenario in SCENARIOS])
def test_a_lax_raw_runtime_is_warned_of_where_the_deployment_catches_it(scenario, mixed):
    found = by_id({"native": lax_candidate("native"), "deployment": strict_candidate("deployment")}, mixed)
    assert found[scenario, "native"].status == "warn"
    assert "deployment catches it" in found[scenario, "native"].message
    unguarded = by_id(
        {"native": strict_candidate("native"), "deployment": lax_candidate("deployment")}, mixed
    )
    assert unguarded[scenario, "deployment"].status == "fail"


def test_a_crash_is_no_named_error_and_the_runtime_is_started_anew(mixed):
    revived = []

    def crash(table: Table) -> Outputs:
        raise WorkerError("the worker crashed (SIGSEGV)", hint="")

    def revive() -> FakeRuntime:
        revived.append(1)
        return FakeRuntime(answer=strict, array_answer=refusing_array)

    crashing = errors.Candidate(runtime=FakeRuntime(answer=crash), revive=revive, broken=load_refused)
    found = by_id({"native": crashing}, mixed)
    assert found["errors.wrong_names", "native"].status == "fail"
    assert "SIGSEGV" in found["errors.wrong_names", "native"].message
    assert revived == [1]
    assert found["errors.nan", "native"].status == "pass"


@pytest.mark.parametrize("kind", ["SystemError", "RecursionError", "MemoryError"])
def test_a_library_that_stumbles_has_not_refused(kind, mixed):
    def stumble(table: Table) -> Outputs:
        raise Raised(kind, (), "oops", "")

    found = by_id({"native": candidate(FakeRuntime(answer=stumble, array_answer=refusing_array))}, mixed)
    assert found["errors.text", "native"].status == "fail"


def test_nan_is_declared_where_the_contract_says_so_and_the_answer_is_finite(mixed):
    contract = mixed.contract.model_copy(update={"allow_missing": True})
    declared = Subject(contract=contract, rows=mixed.rows)
    assert by_id({"native": lax_candidate("native")}, declared)["errors.nan", "native"].status == "pass"
    leaking = FakeRuntime(
        name="deployment",
        answer=lambda table: Outputs(prediction=table.columns[0].values),
        array_answer=vector_answer,
    )
    assert by_id({"deployment": candidate(leaking)}, declared)["errors.nan", "deployment"].status == "fail"


def test_reordered_columns_taken_by_name_are_declared(mixed):
    def named(table: Table) -> Outputs:
        missing = set(FEATURES) - set(table.names)
        if missing:
            refuse(f"missing {missing}")
        try:
            return sensible(table)
        except ValueError as error:
            raise Raised("ValueError", ("ValueError",), str(error), "") from error

    by_name = FakeRuntime(answer=named, array_answer=refusing_array)
    found = by_id({"native": candidate(by_name)}, mixed)
    assert found["errors.reordered_features", "native"].status == "pass"
    assert found["errors.extra_features", "native"].status == "pass"


def test_scenarios_without_meaning_do_not_block(subject):
    found = by_id({"native": strict_candidate("native")}, subject)
    unseen = found["errors.unseen_category", "native"]
    assert unseen.status == "skip"
    assert not unseen.required
