"""Comparisons find every difference, keep the worst row, and count labels apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.checks.parity.compare import Flip, OutputDifferences
from validator.checks.sample_pass import Answers, Batch
from validator.outputs import Outputs
from validator.table import Column, Table


def compared(native, onnx, tolerance=1e-6):
    found = OutputDifferences(tolerance=tolerance)
    found.add(native, onnx, len(native))
    return found


def prediction(*values, dtype=np.float64):
    return Outputs(prediction=np.array(values, dtype=dtype))


def test_equal_outputs_agree_nan_and_infinity_included():
    found = compared(prediction(1, np.nan, np.inf), prediction(1, np.nan, np.inf))
    assert found.agrees
    assert found.max_abs_diff == 0


@pytest.mark.parametrize("other", [np.nan, np.inf, -np.inf, 1.1])
def test_one_differing_row_is_found_and_named(other):
    found = compared(prediction(1, 2, 1), prediction(1, 2, other))
    assert found.beyond == 1
    assert found.worst is not None
    assert found.worst.row == 2


def test_rows_are_counted_across_batches():
    found = OutputDifferences(tolerance=1e-9)
    found.add(prediction(1, 2), prediction(1, 2), 2)
    found.add(prediction(3, 4), prediction(3, 5), 2)
    assert found.rows == 4
    assert found.worst is not None
    assert found.worst.row == 3


def test_one_ulp_is_one_ulp_in_either_width():
    for dtype in (np.float32, np.float64):
        value = dtype(0.1)
        found = compared(
            prediction(value, dtype=dtype), prediction(np.nextafter(value, dtype(1)), dtype=dtype)
        )
        assert found.max_ulp_diff == pytest.approx(1, rel=0.01)
        assert found.agrees


def test_labels_are_counted_apart():
    native = Outputs(
        label=np.array(["a", "b"], dtype=object), probabilities=np.array([[0.5, 0.5], [0.2, 0.8]])
    )
    onnx = Outputs(label=np.array(["b", "b"], dtype=object), probabilities=native.probabilities)
    found = compared(native, onnx)
    assert found.agrees
    assert found.label_flips == 1
    assert found.first_flip == Flip(row=0, native="a", onnx="b")


@pytest.mark.parametrize(
    "onnx",
    [
        Outputs(prediction=np.zeros(3)),
        Outputs(prediction=np.zeros((2, 2))),
        Outputs(score=np.zeros(2)),
        Outputs(label=np.zeros(2, dtype=np.int64)),
    ],
)
def test_shapes_and_names_that_do_not_match_are_problems(onnx):
    assert not compared(Outputs(prediction=np.zeros(2)), onnx).agrees


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_the_tolerance_that_would_have_passed_would_have_passed(a, b):
    first = compared(prediction(a), prediction(b), tolerance=1e-12)
    again = compared(prediction(a), prediction(b), tolerance=max(first.max_relative, 1e-300))
    assert again.agrees


def test_what_was_asked_is_kept_of_the_rows_that_are_shown():
    found = OutputDifferences(tolerance=1e-6)
    table = Table.of([Column("a", np.array([1.0, 2.0])), Column("b", np.array(["x", "y"], dtype=object))])
    label = np.array([0, 1])
    first = Outputs(label=label, score=np.array([0.0, 0.0]))
    batch = Batch(rows=table, table=table)
    found.see(batch, Answers(native=first, onnx=first))
    other = Outputs(label=1 - label[:1].repeat(2), score=np.array([0.0, 0.5]))
    found.see(batch, Answers(native=first, onnx=other))
    assert found.worst is not None
    assert found.worst.text == "row 3 (a=2.0, b='y'): native 0.0, ONNX 0.5"
    assert found.first_flip == Flip(row=2, native="0", onnx="1", inputs="a=1.0, b='x'")


def test_an_onnx_file_that_leaves_out_the_probabilities_is_a_problem():
    import numpy as np

    labels = np.array([0, 1])
    comparison = OutputDifferences(tolerance=1e-6)
    comparison.add(Outputs(label=labels, probabilities=np.full((2, 2), 0.5)), Outputs(label=labels), 2)
    assert comparison.problems
    alone = OutputDifferences(tolerance=1e-6)
    alone.add(Outputs(label=labels), Outputs(label=labels), 2)
    assert alone.agrees
