"""Every scenario, on a runtime that refuses it (passes) and on one that does not (fails, or warns with a guard)."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.checks.conftest import FEATURES, FakeRuntime, sensible
from validator.checks.check import Subject
from validator.checks.errors import suite as errors
from validator.checks.errors.scenarios import SCENARIOS, misspell
from validator.checks.errors.values import odd_category
from validator.errors import WorkerError
from validator.outputs import Outputs, concatenate
from validator.results import Contract, FeatureSpec
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table

KINDS = np.array(["x", "y"], dtype=object)
RUNTIMES = ("native", "onnx", "deployment", "wrapper")
WANTED = {*FEATURES, "kind"}


def refuse(message: str) -> None:
    raise Raised("ContractError", ("ValueError",), message, "")


def strict(table: Table) -> Outputs:
    """Checks everything by name before it answers."""
    missing, unknown = WANTED - set(table.names), set(table.names) - WANTED
    if missing or unknown:
        refuse(f"missing {sorted(missing)}, unknown {sorted(unknown)}")
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
    """Answers whatever comes, by position, but no more than a thousand rows."""
    numbers = np.zeros((len(table), 3))
    for i, column in enumerate(table.columns[:3]):
        if column.values.dtype.kind == "f":
            numbers[:, i] = column.values
    matrix = np.nan_to_num(numbers, posinf=9, neginf=-9)
    matrix[:, 0] *= 2
    answer = matrix.sum(axis=1) + len(table.columns)
    answer = answer[:1_000]
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


def load_refused(how: str) -> str:
    raise Raised("FileNotFoundError", ("OSError",), how, "")


def load_accepted(how: str) -> str:
    """Loads a broken file as if nothing were wrong."""
    return ""


def candidate(runtime, broken=load_refused) -> errors.Candidate:
    return errors.Candidate(runtime=runtime, revive=lambda: runtime, broken=broken)


def strict_candidate(name: str) -> errors.Candidate:
    return candidate(FakeRuntime(name=name, answer=strict, array_answer=refusing_array))


def lax_candidate(name: str) -> errors.Candidate:
    return candidate(FakeRuntime(name=name, answer=lax, array_answer=vector_answer), load_accepted)


def by_id(candidates, subject):
    return {(check.id, check.runtime): check for check in errors.run(candidates, subject)}


@pytest.fixture(scope="module")
def verdicts():
    """All scenarios on strict runtimes and on lax ones."""
    rows = [Column(name, np.random.default_rng(0).normal(size=400)) for name in FEATURES]
    kinds = Column("kind", (np.arange(400) % 2).astype(np.int32), KINDS)
    contract = Contract(
        features=tuple(FeatureSpec(name=name, dtype="float64") for name in FEATURES), task="binary"
    )
    subject = Subject(contract=contract, rows=Table.of([*rows, kinds]))
    return {
        make: by_id({name: make(name) for name in RUNTIMES}, subject)
        for make in (strict_candidate, lax_candidate)
    }


@pytest.mark.parametrize("scenario", [scenario.id for scenario in SCENARIOS])
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_strict_runtime_passes_and_a_lax_one_fails(scenario, name, verdicts):
    good = verdicts[strict_candidate][scenario, name]
    assert good.status == "pass", good.message
    bad = verdicts[lax_candidate][scenario, name]
    assert bad.status == "fail", bad.message
    assert ("answered wrongly" if scenario == "errors.large_batch" else "silently") in bad.message


def test_without_a_deployment_silence_blocks_and_is_no_fault_of_its_own(mixed):
    bad = by_id({"native": lax_candidate("native")}, mixed)["errors.nan", "native"]
    assert (bad.status, bad.required) == ("skip", True)
    assert "there is none" in bad.message


def test_a_lax_raw_runtime_is_noted_where_the_deployment_catches_it_and_warned_of_where_it_is_served(mixed):
    lax_ones = {name: lax_candidate(name) for name in ("native", "onnx", "wrapper")}
    candidates = {**lax_ones, "deployment": strict_candidate("deployment")}
    for serves in ("deployment", "onnx", "native", "wrapper"):
        results = errors.run(candidates, mixed, serves=serves)
        found = {(check.id, check.runtime): check for check in results}
        for scenario in SCENARIOS:
            for name in ("native", "onnx"):
                check = found[scenario.id, name]
                assert (check.status, check.required) == ("warn", name == serves)
                assert "deployment catches it" in check.message
            assert found[scenario.id, "wrapper"].status == "fail", (
                "a wrapper is not excused by the deployment"
            )


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
    features = tuple(f.model_copy(update={"missing": True}) for f in mixed.contract.features)
    contract = mixed.contract.model_copy(update={"features": features, "allow_missing": True})
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


def test_a_bare_matrix_has_one_type_for_all_columns(subject):
    def takes_all(array: np.ndarray) -> Outputs:
        return Outputs(prediction=np.zeros(max(1, len(array))))

    for array_answer, status in ((refusing_array, "pass"), (takes_all, "fail")):
        runtime = FakeRuntime(name="onnx", answer=lax, array_answer=array_answer)
        guard = lax_candidate("deployment")
        found = by_id({"onnx": candidate(runtime), "deployment": guard}, subject)
        assert found["errors.wrong_dtype", "onnx"].status == status
        assert found["errors.text", "onnx"].status == status


def test_scenarios_without_meaning_do_not_block(subject):
    found = by_id({"native": strict_candidate("native")}, subject)
    unseen = found["errors.unseen_category", "native"]
    assert unseen.status == "skip"
    assert not unseen.required


METHODS = {"predict": "predict", "single": "predict_one"}


def wrapper(answer, single=None, **options) -> errors.Candidate:
    """A wrapper with a method for tables and one for single rows."""
    runtime = FakeRuntime(
        name="wrapper", answer=answer, single_answer=single, methods=METHODS, array_answer=refusing_array
    )
    return candidate(runtime, **options)


def test_a_wrapper_that_checks_one_feature_or_one_method_alone_is_found_out(mixed):
    def first_only(table: Table) -> Outputs:
        if not np.isfinite(numbers_of(table)).all():
            refuse("NaN in a")
        return lax(table)

    found = by_id({"wrapper": wrapper(first_only, strict)}, mixed)["errors.nan", "wrapper"]
    assert found.status == "fail"
    assert "predict answers NaN in 'b'" in found.message
    found = by_id({"wrapper": wrapper(strict, lax)}, mixed)
    assert found["errors.nan", "wrapper"].status == "fail"
    assert "predict_one answers NaN in 'a'" in found["errors.nan", "wrapper"].message
    assert found["errors.reordered_features", "wrapper"].status == "fail"


def test_surplus_columns_are_all_refused_or_all_left_out(mixed):
    def without(names: set[str]) -> object:
        def answer(table: Table) -> Outputs:
            return strict(table.select([name for name in table.names if name not in names]))

        return answer

    def by_position(table: Table) -> Outputs:
        numbers = [column for column in table.columns if column.name != "kind"]
        first = [column.renamed(name) for column, name in zip(numbers, FEATURES, strict=False)]
        return strict(Table.of([*first, *(c for c in table.columns if c.name == "kind")]))

    def judged(answer: object) -> object:
        return by_id({"wrapper": wrapper(answer, strict)}, mixed)["errors.extra_features", "wrapper"]

    assert judged(strict).status == "pass"
    assert judged(without({"preflight_extra", "index", "Unnamed: 0"})).status == "pass"
    uneven = judged(without({"index", "Unnamed: 0"}))
    assert (uneven.status, "predict leaves out some surplus columns" in uneven.message) == ("warn", True)
    wrong = judged(by_position)
    assert (wrong.status, "a feature too many" in wrong.message) == ("fail", True)


@pytest.mark.parametrize("kind", ["AttributeError", "IndexError", "ZeroDivisionError"])
def test_a_slip_in_a_wrapper_says_nothing_of_the_input(kind, mixed):
    def slips(table: Table) -> Outputs:
        raise Raised(kind, (), "'float' object has no attribute 'strip'", "")

    by_runtime = {
        "wrapper": wrapper(slips),
        "native": candidate(FakeRuntime(answer=slips, array_answer=refusing_array)),
    }
    found = by_id(by_runtime, mixed)
    assert "without saying what is wrong: predict: " + kind in found["errors.text", "wrapper"].message
    assert found["errors.text", "native"].status == "pass", "a raw library promises less"


def test_an_error_about_names_must_hold_the_right_one(mixed):
    def nameless(table: Table) -> Outputs:
        if set(table.names) != WANTED:
            refuse(f"expected 4 columns under their names, got {len(table.columns)}")
        return strict(table)

    found = by_id({"wrapper": wrapper(nameless), "deployment": strict_candidate("deployment")}, mixed)
    for scenario in ("errors.misspelt_name", "errors.missing_features", "errors.wrong_names"):
        assert found[scenario, "wrapper"].status == "fail"
        assert "does not name" in found[scenario, "wrapper"].message
        assert found[scenario, "deployment"].status == "pass"
    assert found["errors.extra_features", "wrapper"].status == "pass"
    hinted = by_id({"wrapper": wrapper(hinting)}, mixed)
    assert hinted["errors.misspelt_name", "wrapper"].status == "pass"


def hinting(table: Table) -> Outputs:
    """Names what is missing in the hint alone."""
    if set(table.names) != WANTED:
        raise Raised("KeyError", (), "wrong columns", f"there must be {sorted(WANTED)}")
    return strict(table)


@pytest.mark.parametrize(
    ("name", "taken", "wrong"),
    [("returns_1d", (), "returs_1d"), ("abc", (), "abc_"), ("abc", ("abc_",), "abc__"), ("aab", (), "aab_")],
)
def test_a_misspelling_is_no_other_features_name(name, taken, wrong):
    assert misspell(name, (name, *taken)) == wrong


def test_a_large_batch_must_be_answered_as_small_ones_are(mixed):
    def drifting(table: Table) -> Outputs:
        good = strict(table)
        assert good.probabilities is not None
        return good if len(table) < 2_000 else Outputs(probabilities=good.probabilities * 1.001)

    found = by_id({"native": candidate(FakeRuntime(answer=drifting, array_answer=refusing_array))}, mixed)
    assert "other probabilities than 400 rows do" in found["errors.large_batch", "native"].message


def test_a_crowd_must_not_mix_up_its_callers(mixed):
    class Mixing(FakeRuntime):
        def crowd(self, table, threads):
            share = len(table) // threads
            parts = [table.take(slice(at, at + share)) for at in range(0, len(table), share)]
            return concatenate([self.answer(part) for part in reversed(parts)]), ["KeyError"] * threads

    class Failing(FakeRuntime):
        def crowd(self, table, threads):
            raise Raised("ValueError", (), "dictionary changed size during iteration", "")

    for kind, told in ((Mixing, "otherwise than alone"), (Failing, "a right call beside wrong ones fails")):
        runtime = kind(name="wrapper", answer=strict, array_answer=refusing_array)
        found = by_id({"wrapper": candidate(runtime)}, mixed)["errors.many_threads", "wrapper"]
        assert found.status == "fail"
        assert told in found.message


def numbers_of(table: Table) -> np.ndarray:
    """The first column, where it holds numbers."""
    values = table.columns[0].values
    return values.astype(np.float64) if values.dtype.kind in "fi" else np.zeros(len(values))


def test_a_huge_integer_may_be_rounded_where_the_model_cannot_tell(mixed):
    def float64(table: Table) -> Outputs:
        return Outputs(prediction=np.nan_to_num(numbers_of(table)) // 2**60)

    def float32(table: Table) -> Outputs:
        return Outputs(prediction=numbers_of(table).astype(np.float32))

    def one(answer) -> str:
        runtime = FakeRuntime(answer=answer, array_answer=refusing_array)
        guard = lax_candidate("deployment")
        found = by_id({"native": candidate(runtime), "deployment": guard}, mixed)
        return found["errors.huge_integer", "native"].status

    assert one(float64) == "pass"
    mixed = Subject(contract=mixed.contract, rows=mixed.rows, input_dtype="float32")
    assert one(float32) == "fail"


def test_a_broken_file_may_load_where_the_wrapper_tells_so(mixed):
    found = by_id({"wrapper": wrapper(strict, broken=lambda how: f"its hash tells that it is {how}")}, mixed)
    assert found["errors.corrupted_file", "wrapper"].status == "pass"
    assert "its hash tells" in found["errors.corrupted_file", "wrapper"].message


def test_no_case_follows_a_hang(mixed):
    asked = []

    def hang(table: Table) -> Outputs:
        if not all(np.isfinite(c.values).all() for c in table.columns if c.values.dtype.kind == "f"):
            asked.append(table)
            raise WorkerError("the wrapper worker gave no answer within 60 s", hint="")
        return strict(table)

    found = by_id({"wrapper": wrapper(hang)}, mixed)
    assert "crashed: the wrapper worker gave no answer" in found["errors.nan", "wrapper"].message
    assert len(asked) == 2, "one for NaN, one for Inf"


def test_an_odd_number_that_is_a_category_is_none_to_refuse(mixed):
    """Of the categories -1, 0.5 and 1.5 both odd values are right ones; of 0.5 and 1.5 only one is."""

    def told(*known: float) -> set[float]:
        kinds = np.zeros(len(mixed.rows), dtype=np.int32)
        rows = mixed.rows.replace(Column("kind", kinds, np.array(known)))
        asked: set[float] = set()

        def note(table: Table) -> Outputs:
            asked.update(table.column("kind").decoded().tolist())
            return sensible(table)

        runtime = FakeRuntime(answer=note)
        cases = odd_category(Subject(contract=mixed.contract, rows=rows), runtime)
        if isinstance(cases, str):
            return set()
        for case in cases:
            case.ask(runtime)
        return asked

    assert told(-1.0, 0.5, 1.5) == set()
    assert told(0.5, 1.5) == {-1.0}
    assert told(2.0, 3.0) == {-1.0, 1.5}
