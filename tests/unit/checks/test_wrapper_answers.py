"""A wrapper that answers as its model does passes; each way of not doing so fails the check that is meant for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.checks.conftest import FakeRuntime, sensible
from validator.checks.wrapper import answers
from validator.outputs import Outputs
from validator.results import CheckResult
from validator.sandbox.handle import WorkerAnswer
from validator.sandbox.packing import pack_table
from validator.table import Column, Table
from validator.worker.jobs.wrapper import WrapperJob, WrapperModel
from validator.worker.wrapper import Methods
from validator.worker.wrapper_answers import Reader
from validator.worker.wrapper_reuse import relabelled

NAMES = ("a", "b", "c")
KEPT = {"method": "predict", "given": "DataFrame", "kept": True, "again": True, "apart": True}


class Wrapped(FakeRuntime):
    """A wrapper whose worker tells `told` of objects that were given twice."""

    told: Any = (KEPT,)
    labels: Any = ()

    @property
    def worker(self) -> Wrapped:
        return self

    def call(self, op: str, arrays: Any = (), **_: Any) -> WorkerAnswer:
        assert op == "reuse"
        result = {"trials": list(self.told), "labels": list(self.labels)}
        return WorkerAnswer(result=result, arrays=[], seconds=0.0, wall_seconds=0.0)


def judged(
    subject: Any, differs: Any = "fail", told: Any = (KEPT,), labels: Any = (), **faults: Any
) -> dict[str, CheckResult]:
    runtime = Wrapped(name="wrapper", **faults)
    runtime.told, runtime.labels = told, labels
    found = answers.run(runtime, FakeRuntime(), subject, differs=differs)  # type: ignore[arg-type]
    return {check.id: check for check in found}


def test_the_model_s_own_answers_pass(subject):
    assert [check.status for check in judged(subject).values()] == ["pass"] * 3


def test_a_score_made_of_them_passes_and_says_what_it_is(subject):
    found = judged(subject, answer=lambda table: Outputs(score=600 * sensible(table).probabilities[:, 1]))
    assert found["wrapper.agrees"].status == "pass"
    assert "rising function" in found["wrapper.agrees"].message


def swapped(table: Table) -> Outputs:
    return Outputs(probabilities=sensible(table).probabilities[:, ::-1])


def reordered(table: Table) -> Outputs:
    values = [table.column(name).values for name in ("b", "c", "a")]
    values[0] = values[0] * 2.0
    return sensible(Table.of(Column(name, value) for name, value in zip(NAMES, values, strict=True)))


@pytest.mark.parametrize("answer", [swapped, reordered])
def test_other_answers_fail_wrapper_agrees(subject, answer):
    found = judged(subject, answer=answer)["wrapper.agrees"]
    assert found.status == "fail"
    assert "the model answers" in found.message
    assert judged(subject, answer=answer, differs="warn")["wrapper.agrees"].status == "warn"


def test_rows_of_the_last_chunk_answered_otherwise_fail_wrapper_sizes(subject):
    def cut(table: Table) -> Outputs:
        found = sensible(table).probabilities.copy()
        rest = len(table) % 1_000
        if len(table) > 1_000 and rest:
            found[-rest:] = 0.5
        return Outputs(probabilities=found)

    found = judged(subject, answer=cut)
    assert found["wrapper.sizes"].status == "fail"
    assert "1 of 1,001 rows" in found["wrapper.sizes"].message


def test_rows_that_get_no_answer_fail_wrapper_sizes(subject):
    found = judged(
        subject, answer=lambda table: sensible(table.take(slice(max(1, len(table) // 1_000 * 1_000))))
    )
    assert found["wrapper.sizes"].status == "fail"
    assert "rows and answers" in found["wrapper.sizes"].message


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"kept": False}, "predict changes what its caller gave"),
        ({"again": False}, "answers the same DataFrame otherwise"),
        ({"apart": False}, "share their memory"),
        ({"fresh": False}, "what the DataFrame held in an earlier call"),
    ],
)
def test_what_becomes_of_the_caller_s_objects_fails_wrapper_inputs(subject, fault, message):
    found = judged(subject, told=({**KEPT, **fault},))
    assert [id for id, check in found.items() if check.status == "fail"] == ["wrapper.inputs"]
    assert message in found["wrapper.inputs"].message


class Plain:
    """Answers by `a`, with faults of choice."""

    def predict(self, table: Any) -> Any:
        return self.answer(table["a"].to_numpy(copy=True))

    def predict_single(self, row: Any) -> Any:
        return float(self.answer(np.array([row["a"]]))[0])

    def answer(self, values: Any) -> Any:
        return 1 / (1 + np.exp(-values))


class Changes(Plain):
    def predict(self, table: Any) -> Any:
        found = super().predict(table)
        table["a"] = np.log1p(table["a"].abs())
        return found


class Pops(Plain):
    def predict_single(self, row: Any) -> Any:
        found = super().predict_single(row)
        row.pop("b")
        return found


class Shares(Plain):
    held = np.zeros(5)

    def answer(self, values: Any) -> Any:
        if len(values) != 5:
            return super().answer(values)
        self.held[:] = super().answer(values)
        return self.held


class Remembers(Plain):
    def __init__(self) -> None:
        self.calls = 0

    def predict(self, table: Any) -> Any:
        self.calls += 1
        return super().predict(table) / self.calls


class CachesById(Plain):
    def __init__(self) -> None:
        self.held: dict[int, Any] = {}

    def predict_single(self, row: Any) -> Any:
        return self.held.setdefault(id(row), super().predict_single(row))


class CachesFrames(CachesById):
    def predict(self, table: Any) -> Any:
        return self.held.setdefault(id(table), super().predict(table))

    def predict_single(self, row: Any) -> Any:
        return Plain.predict_single(self, row)


@pytest.mark.parametrize(
    ("wrapper", "method", "fault"),
    [
        (Plain, None, None),
        (Changes, "predict", "kept"),
        (Pops, "single", "kept"),
        (Shares, "predict", "apart"),
        (Remembers, "predict", "again"),
        (CachesById, "single", "fresh"),
        (CachesFrames, "predict", "fresh"),
    ],
)
def test_the_worker_sees_what_becomes_of_them(wrapper, method, fault):
    job = WrapperJob("binary", [0, 1])
    job._held = WrapperModel(wrapper(), Methods(batch=""), Reader("binary", [0, 1]))
    rows = Table.of(Column(name, np.linspace(-1, 1, 5) + i) for i, name in enumerate(NAMES))
    meta, arrays = pack_table(rows)
    told, _ = job.reuse(arrays, meta)
    odd = {
        (trial["method"], key)
        for trial in told["trials"]
        for key in ("kept", "again", "apart", "fresh")
        if not trial[key]
    }
    assert odd == ({(method, fault)} if fault else set())


@pytest.mark.parametrize(
    ("endings", "turned", "status", "message"),
    [
        ({}, False, "pass", "stays as it is"),
        ({"text": "alike"}, True, "warn", "only its index says"),
        ({"text": "alike", "in another order": "other"}, False, "fail", "labels are in another order"),
        (
            {"with gaps": "refused", "text": "refused"},
            False,
            "fail",
            "with gaps or text, as they are after a filter",
        ),
        ({"all the same": "refused"}, False, "warn", "labels are all the same"),
        ({"all the same": "other"}, True, "fail", "nothing says which row an answer is for"),
        ({"all the same": "other"}, False, "fail", "otherwise when the frame's labels are all the same"),
    ],
)
def test_answers_that_turn_on_a_frame_s_labels_fail_wrapper_inputs(subject, endings, turned, status, message):
    labels = [{"labels": kind, "ending": ending, "message": "no"} for kind, ending in endings.items()]
    check = judged(subject, told=({**KEPT, "ordered": not turned},), labels=labels)["wrapper.inputs"]
    assert (check.status, message in check.message) == (status, True), check.message


class BySortedLabels(Plain):
    """Right for who puts the answers beside the rows by their labels."""

    def predict(self, table: Any) -> Any:
        turned = table.sort_values("a", ascending=False)
        return pd.Series(super().predict(turned), index=turned.index)


class KeepsLabels(Plain):
    def predict(self, table: Any) -> Any:
        return pd.Series(super().predict(table), index=table.index)


class DropsLabels(Plain):
    def predict(self, table: Any) -> Any:
        return super().predict(table.reset_index(drop=True))


class LabelsAnew(Plain):
    """A Series or frame of its own, numbered from 0 on."""

    def predict(self, table: Any) -> Any:
        found = super().predict(table)
        return pd.DataFrame({0: 1 - found, 1: found})


class TakesLabelsForPlaces(Plain):
    def predict(self, table: Any) -> Any:
        return super().predict(table.loc[list(range(len(table)))])


class JoinsByLabels(Plain):
    """The features and an answer are put side by side, each with labels of its own."""

    def predict(self, table: Any) -> Any:
        answers = pd.DataFrame({"probability": super().predict(table)})
        return pd.concat([table, answers], axis=1)["probability"].to_numpy()


class SortsByLabels(Plain):
    def predict(self, table: Any) -> Any:
        return super().predict(table.sort_index())


class FeedsLabels(Plain):
    """reset_index makes a column of them."""

    def predict(self, table: Any) -> Any:
        first = table.reset_index().select_dtypes("number").to_numpy()[:, 0]
        return self.answer(np.asarray(first, dtype=float))


REST = ["with gaps", "text", "all the same"]


@pytest.mark.parametrize(
    ("wrapper", "other", "refused"),
    [
        (Plain, [], []),
        (KeepsLabels, [], []),
        (DropsLabels, [], []),
        (LabelsAnew, [], []),
        (BySortedLabels, ["all the same"], []),
        (TakesLabelsForPlaces, ["in another order"], REST),
        (JoinsByLabels, ["in another order", "with gaps", "text"], ["all the same"]),
        (SortsByLabels, ["in another order"], []),
        (FeedsLabels, ["in another order", *REST], []),
    ],
)
def test_the_worker_sees_which_answers_turn_on_labels(wrapper, other, refused):
    model = WrapperModel(wrapper(), Methods(batch=""), Reader("binary", [0, 1]))
    rows = Table.of(Column(name, np.array([-1, 0.5, -0.5, 1, 0]) + i) for i, name in enumerate(NAMES))
    told = relabelled(model, rows)
    assert [one["labels"] for one in told] == ["in another order", *REST]
    found = {kind: [one["labels"] for one in told if one["ending"] == kind] for kind in ("other", "refused")}
    assert set(found["other"] + found["refused"]) == {*other, *refused}, told
    if wrapper is not JoinsByLabels:
        assert (found["other"], found["refused"]) == (other, refused), told


def test_an_index_of_the_caller_s_is_his():
    from validator.worker.wrapper_reuse import _alike

    frame = pd.DataFrame({"a": [1.0, np.nan]}, index=["x", "y"])
    assert _alike(frame.copy(), frame)
    assert not _alike(frame.copy(), frame.reset_index(drop=True))
    assert not _alike(frame.copy(), frame.astype("float32"))
    assert _alike([{"a": float("nan")}], [{"a": float("nan")}])
    assert not _alike([{"a": 1}], [{"a": True}])
