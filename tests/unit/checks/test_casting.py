"""The cast to float32: only rows that it changes are asked again, and only other answers are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from validator.checks.parity.casting import CastEffect
from validator.checks.parity.tolerances import tolerance_for
from validator.checks.sample_pass import Answers, Batch
from validator.outputs import Outputs
from validator.table import Column, Table


class Step:
    """1 above a threshold that float32 cannot hold."""

    name = "native"

    def __init__(self) -> None:
        self.asked = 0

    def predict(self, table: Table) -> Outputs:
        self.asked += len(table)
        return Outputs(prediction=(table.columns[0].values > 1e9 + 0.5).astype(float))


def seen(table: Table, native: NDArray[Any]) -> tuple[Batch, Answers]:
    """A batch with what native predicts for it."""
    answer = Outputs(prediction=native)
    return Batch(rows=table, table=table), Answers(native=answer, onnx=answer)


def test_rows_whose_answer_the_cast_changes_are_counted_and_shown() -> None:
    runtime = Step()
    effect = CastEffect(native=runtime, tolerance=1e-6)  # type: ignore[arg-type]
    for start in (0.0, 10.0):
        values = np.array([1e9, 1e9 + 1, 2.0, 1e9 - 3, np.nan, 1e9 + 40 + start])
        table = Table.of([Column("t", values), Column("text", np.array(["x"] * 6, dtype=object))])
        effect.see(*seen(table, (values > 1e9 + 0.5).astype(float)))
    assert effect.rows == 12
    assert runtime.asked == effect.rounded == 6
    assert effect.changed == 2
    assert [example.split(":")[0] for example in effect.examples] == ["row 1", "row 7"]
    assert effect.evidence[0].seen == 2


def test_single_precision_and_text_are_left_alone() -> None:
    runtime = Step()
    effect = CastEffect(native=runtime, tolerance=1e-6)  # type: ignore[arg-type]
    table = Table.of([Column("t", np.array([0.1], dtype=np.float32)), Column("i", np.array([3]))])
    effect.see(*seen(table, np.array([0.0])))
    assert (effect.changed, runtime.asked) == (0, 0)


def test_every_tolerance_has_a_reason() -> None:
    assert tolerance_for("exact", "float64", None).value < tolerance_for("exact", "float32", None).value
    assert tolerance_for("skl2onnx", "float32", 0.5).value == 0.5
    # A policy's bound holds for what is set, for each kind of model, and for what its operators bring along.
    for chosen, method, dtype, single in (
        (0.5, "exact", "float64", ()), (None, "skl2onnx", "float32", ()), (None, "none", "float32", ()),
        (None, "skl2onnx", "float64", ("TreeEnsembleRegressor",)), (None, "other", "int64", ()),
    ):  # fmt: skip
        bounded = tolerance_for(method, dtype, chosen, most=1e-6, single=single)
        assert bounded.value == 1e-6
        assert "policy" in bounded.reason
    assert tolerance_for("exact", "float64", None, most=1e-6) == tolerance_for("exact", "float64", None)
    for method in ("exact", "skl2onnx", "none"):
        for dtype in ("float32", "float64", "int64"):
            assert tolerance_for(method, dtype, None).reason
