"""Each smoke check is failed by its own fault, and a sensible runtime passes all."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.unit.checks.conftest import FakeRuntime, sensible
from validator.checks.smoke import consistency
from validator.checks.smoke import suite as smoke
from validator.outputs import Outputs
from validator.sandbox.worker_pool import Raised

LIMIT_MS = 50


def changed(**parts):
    """The sensible answer with some outputs exchanged."""

    def answer(table):
        good = sensible(table).present
        return Outputs(**{**good, **{name: make(good[name], table) for name, make in parts.items()}})

    return answer


def with_nan(values, table):
    broken = values.copy()
    broken[table.column("a").values > 1] = np.nan
    return broken


def raising_on(condition):
    def answer(table):
        if condition(len(table)):
            raise Raised("ValueError", ("ValueError",), "no such batch", "")
        return sensible(table)

    return answer


def mixing(table, thread):
    """The last thread's caller gets the answers that belong to the first one's."""
    return sensible(table if thread < 7 else table.turned(50))


_counter = itertools.count()

FAULTS = {
    "smoke.single": FakeRuntime(answer=raising_on(lambda rows: rows == 1)),
    "smoke.batch": FakeRuntime(answer=raising_on(lambda rows: rows == 400)),
    "smoke.rowwise": FakeRuntime(
        answer=changed(probabilities=lambda p, t: p if len(t) == 1 else np.column_stack([p[:, 1], p[:, 0]]))
    ),
    "smoke.shape": FakeRuntime(
        answer=changed(probabilities=lambda p, t: np.column_stack([p, np.zeros(len(p))]))
    ),
    "smoke.range": FakeRuntime(answer=changed(probabilities=lambda p, t: p * 1.5)),
    "smoke.finite": FakeRuntime(answer=changed(probabilities=with_nan)),
    "smoke.repeatable": FakeRuntime(
        answer=changed(probabilities=lambda p, t: p + (next(_counter) % 2) * 1e-12 * np.array([1, -1]))
    ),
    "smoke.threads": FakeRuntime(thread_answer=mixing),
    "smoke.latency": FakeRuntime(duration_ns=lambda call: 200_000_000),
}
#: What can tell nothing any more once a fault is there: not run, which blocks, but no failure of its own.
UNTOLD = {
    "smoke.single": {"smoke.rowwise", "smoke.latency"},
    "smoke.batch": {"smoke.shape", "smoke.range", "smoke.finite", "smoke.repeatable", "smoke.rowwise",
                    "smoke.threads"},
    "smoke.repeatable": {"smoke.rowwise", "smoke.threads"},
}  # fmt: skip


def statuses(runtime, subject):
    return {check.id: check.status for check in smoke.run(runtime, subject, max_latency_ms=LIMIT_MS)}


def test_a_sensible_runtime_passes_every_check(subject):
    found = statuses(FakeRuntime(), subject)
    assert set(found.values()) == {"pass"}
    assert set(found) == set(FAULTS)


@pytest.mark.parametrize("id", FAULTS)
def test_each_fault_fails_its_own_check(id, subject):
    found = statuses(FAULTS[id], subject)
    assert {name for name, status in found.items() if status == "fail"} == {id}
    assert {name for name, status in found.items() if status == "skip"} == UNTOLD.get(id, set())


def test_the_message_says_what_was_seen_and_the_hint_what_to_do(subject):
    checks = {check.id: check for check in smoke.run(FAULTS["smoke.range"], subject, max_latency_ms=LIMIT_MS)}
    assert "outside [0, 1]" in checks["smoke.range"].message
    assert checks["smoke.range"].hint


def test_rounding_in_float32_puts_no_probability_out_of_range(subject):
    def answer(table):
        high = np.full(len(table), 1 + 2e-7, dtype=np.float32)
        return Outputs(
            label=np.ones(len(table), dtype=np.int64), probabilities=np.stack([1 - high, high], axis=1)
        )

    assert statuses(FakeRuntime(answer=answer), subject)["smoke.range"] == "pass"


def test_a_regressor_is_held_to_the_contracts_output_limits(subject):
    regressor = FakeRuntime(answer=lambda table: Outputs(prediction=table.column("a").values * 100))
    contract = subject.contract.model_copy(
        update={"task": "regression", "classes": (), "output_maximum": 10.0}
    )
    held = type(subject)(contract=contract, rows=subject.rows)
    assert statuses(regressor, held)["smoke.range"] == "fail"
    free = type(subject)(contract=contract.model_copy(update={"output_maximum": None}), rows=subject.rows)
    assert statuses(regressor, free)["smoke.range"] == "pass"


def test_labels_alone_are_told_of(subject):
    labels = FakeRuntime(answer=lambda table: Outputs(label=sensible(table).label))
    found = {check.id: check for check in smoke.run(labels, subject, max_latency_ms=LIMIT_MS)}
    assert found["smoke.shape"].status == "pass"
    assert "labels alone" in found["smoke.shape"].message


def test_every_method_must_give_the_same_answers(subject):
    def other(table):
        return Outputs(probabilities=sensible(table).probabilities[:, ::-1])

    def labels(table):
        return Outputs(label=sensible(table).label)

    def scores(table):
        return Outputs(score=np.zeros(len(table)))

    methods = {"predict": "predict", "single": "predict_one"}
    for single, status, told in (
        (sensible, "pass", "predict, predict_one agree on 20 rows"),
        (labels, "pass", "agree"),
        (other, "fail", "predict_one answers other probabilities than predict"),
        (scores, "fail", "predict_one gives score, predict label, probabilities"),
    ):
        runtime = FakeRuntime(name="wrapper", methods=methods, single_answer=single)
        found = {check.id: check for check in smoke.run(runtime, subject, max_latency_ms=LIMIT_MS)}
        assert found["smoke.methods"].status == status
        assert told in found["smoke.methods"].message
    alone = smoke.run(FakeRuntime(name="wrapper"), subject, max_latency_ms=LIMIT_MS)
    assert "predict is the only method" in next(c.message for c in alone if c.id == "smoke.methods")
    assert "smoke.methods" not in {c.id for c in smoke.run(FakeRuntime(), subject, max_latency_ms=LIMIT_MS)}


def test_a_method_that_goes_another_way_is_told_from_a_batch_that_makes_the_difference(subject):
    """What row 0 is answered depends on its batch, or on the method that it is asked by."""

    class Asked(FakeRuntime):
        def predict(self, table, method=""):
            role = method or ("single" if len(table) == 1 else "predict")
            return self.answers(table, role)

    methods = {"predict": "predict", "single": "predict_one"}

    def by_batch(table, role):
        rows = sensible(table).probabilities
        return Outputs(probabilities=rows if len(table) == 1 else np.full_like(rows, 0.5))

    def by_method(table, role):
        rows = sensible(table).probabilities
        return Outputs(probabilities=rows[:, ::-1] if role == "single" else rows)

    for answers, hint, agreeing in (
        (by_batch, "remove what depends on other rows", "pass"),
        (by_method, "predict_one goes another way to its answer than predict", "fail"),
    ):
        runtime = Asked(name="wrapper", methods=methods)
        runtime.answers = answers
        found = {check.id: check for check in smoke.run(runtime, subject, max_latency_ms=LIMIT_MS)}
        assert found["smoke.rowwise"].status == "fail"
        assert hint in found["smoke.rowwise"].hint
        assert found["smoke.methods"].status == agreeing


def test_a_method_that_raises_on_the_sample_s_own_rows_is_named(subject):
    class Asked(FakeRuntime):
        def predict(self, table, method=""):
            if method == "batch":
                raise Raised("TypeError", ("TypeError",), "no list", "give a table")
            return self.answer(table)

    runtime = Asked(name="wrapper", methods={"predict": "predict", "batch": "predict_many"})
    found = {check.id: check for check in smoke.run(runtime, subject, max_latency_ms=LIMIT_MS)}
    assert found["smoke.methods"].status == "fail"
    assert (
        "predict_many does not answer the sample's own rows: TypeError: no list"
        in found["smoke.methods"].message
    )
    assert [one.seen for one in found["smoke.methods"].evidence] == ["predict_many"]


@pytest.mark.parametrize(("seconds", "rows"), [(0.01, 200), (9.0, 20), (900.0, 16)])
def test_slow_models_are_asked_for_fewer_rows_from_threads(subject, seconds, rows):
    ticks = iter((0.0, seconds))
    found = consistency.threads(FakeRuntime(), subject.head(200), clock=lambda: next(ticks))
    assert found.status == "pass"
    assert f"{rows} rows each" in found.message
