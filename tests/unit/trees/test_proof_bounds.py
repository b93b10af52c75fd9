"""Bounds hold on boundary rows, for ONNX Runtime and for sums in any order; and trees of another form are decided."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.trees import proof_models as models
from validator.trees.ensemble import LabelRule, TransformKind, TreeEnsemble
from validator.trees.evaluate import answers
from validator.trees.proof import Status, prove
from validator.trees.rows.boundary import boundary_rows
from validator.trees.walk import leaf_indices, raw_scores
from validator.trees.writer import write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


KINDS = {kind.name: kind for kind in models.KINDS}


def onnx_outputs(data: bytes, rows: np.ndarray, threads: int) -> dict[str, np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows}), strict=True))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", KINDS)
def test_onnx_runtime_stays_within_the_bound(name: str, threads: int) -> None:
    ensemble = models.make(KINDS[name], 7, trees=120, splits=8)
    data = write(ensemble, input_dtype="float64")
    proof = prove(ensemble, data)
    assert proof.status is Status.PROVED
    assert proof.bounds is not None
    rows = boundary_rows(ensemble, input_dtype="float64", limit=3000)
    mine, theirs = answers(ensemble, raw_scores(ensemble, rows)), onnx_outputs(data, rows, threads)
    output = next(theirs[key] for key in ("probabilities", "prediction") if key in theirs)
    assert output.shape == mine.output.shape
    difference = np.abs(output.astype(np.float64) - mine.output.astype(np.float64)).max()
    assert difference <= proof.bounds.output
    if mine.label is not None and threads == 1:
        assert proof.labels_exact
        np.testing.assert_array_equal(theirs["label"], mine.label)


@pytest.mark.parametrize("name", ["regression", "multiclass", "xgboost", "averaged", "vectors", "based last"])
def test_sums_in_any_order_stay_within_the_bound(name: str) -> None:
    ensemble = models.make(KINDS[name], 7, trees=120, splits=8)
    proof = prove(ensemble, write(ensemble, input_dtype="float64"))
    assert proof.bounds is not None
    rows = boundary_rows(ensemble, input_dtype="float64", limit=500)
    raw = raw_scores(ensemble, rows).astype(np.float64)
    largest = 0.0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(ensemble.n_trees)
        shuffled = replace(ensemble, roots=ensemble.roots[order])
        largest = max(largest, float(np.abs(raw_scores(shuffled, rows).astype(np.float64) - raw).max()))
    assert 0.0 < largest <= proof.bounds.raw
    # A bound a million times too wide would say nothing.
    assert proof.bounds.raw < 1e6 * largest


def test_whole_numbers_sum_without_error() -> None:
    ensemble = models.make(KINDS["regression"], 1)
    whole = replace(ensemble, leaf_value=np.rint(ensemble.leaf_value * 8) / 8)
    proof = prove(whole, write(whole, input_dtype="float64"))
    assert proof.bounds is not None
    assert proof.bounds.raw == proof.bounds.output == 0.0


def test_one_tree_sums_without_error() -> None:
    ensemble = models.make(KINDS["regression"], 1, trees=1)
    proof = prove(ensemble, write(ensemble, input_dtype="float64"))
    assert proof.bounds is not None
    assert proof.bounds.raw == 0.0


def square(first: int, second: int, cuts: tuple[float, float], leaves: list[float]) -> TreeEnsemble:
    """One tree that tests one feature, and below it another on both sides; `leaves` in the order of the tree."""
    like = models.make(KINDS["regression"], 0, trees=1)
    flags = np.zeros(3, dtype=bool)
    return replace(
        like,
        feature=np.array([first, second, second], dtype=np.int32),
        threshold=np.array([cuts[0], cuts[1], cuts[1]]),
        comparison=np.zeros(3, dtype=np.uint8),
        true_child=np.array([1, ~0, ~2], dtype=np.int32),
        false_child=np.array([2, ~1, ~3], dtype=np.int32),
        missing_true=flags, zero_is_missing=flags,
        category_set=np.full(3, -1, dtype=np.int32),
        set_indptr=np.zeros(1, dtype=np.int64), set_values=np.zeros(0),
        roots=np.zeros(1, dtype=np.int32),
        leaf_value=np.array(leaves)[:, None], leaf_target=np.zeros(4, dtype=np.int32),
    )  # fmt: skip


def test_trees_of_another_form_that_answer_alike_are_proved() -> None:
    one = square(0, 1, (0.5, 1.5), [1.0, 2.0, 3.0, 4.0])
    other = square(1, 0, (1.5, 0.5), [1.0, 3.0, 2.0, 4.0])
    proof = prove(one, write(other, input_dtype="float64"))
    assert proof.status is Status.PROVED
    assert proof.unreachable == 1


def test_trees_of_another_form_that_do_not_are_told_apart_by_a_row() -> None:
    one = square(0, 1, (0.5, 1.5), [1.0, 2.0, 3.0, 4.0])
    other = square(1, 0, (1.5, 0.5), [1.0, 3.0, 2.0, 5.0])
    proof = prove(one, write(other, input_dtype="float64"))
    assert proof.status is Status.DIFFERENT
    assert proof.difference is not None
    row = proof.difference.row
    assert row is not None
    assert leaf_indices(one, row[None, :]).tolist() == [[3]]
    assert raw_scores(one, row[None, :])[0, 0] == 4.0
    assert raw_scores(other, row[None, :])[0, 0] == 5.0


def test_a_difference_no_input_reaches_is_no_difference() -> None:
    # Below x0 <= 0.5 the second cut at x0 <= 0.7 sends everything one way, whatever lies on the other.
    one = square(0, 0, (0.5, 0.7), [1.0, 2.0, 3.0, 4.0])
    assert not one.missing_true.any()
    other = replace(one, leaf_value=np.array([[1.0], [9.0], [3.0], [4.0]]))
    proof = prove(one, write(other, input_dtype="float64"))
    assert proof.status is Status.PROVED
    assert proof.unreachable == 1
    reached = replace(one, missing_true=np.array([True, False, False]))
    assert prove(
        reached, write(replace(other, missing_true=reached.missing_true), input_dtype="float64")
    ).status is (Status.DIFFERENT)


def test_another_transform_base_divisor_or_label_is_not_proved() -> None:
    binary = models.make(KINDS["binary"], 1)
    for changed in (
        replace(binary, transform=replace(binary.transform, factor=2.0)),
        replace(binary, transform=replace(binary.transform, kind=TransformKind.STEP)),
        replace(binary, base_score=np.array([0.25])),
        replace(binary, divisor=2.0),
        replace(binary, class_labels=(1, 0)),
        replace(binary, class_labels=("0", "1")),
        replace(binary, label_rule=LabelRule.RAW_NOT_NEGATIVE),
        replace(binary, roots=binary.roots[:-1]),
    ):
        data = write(changed, input_dtype="float64")
        assert prove(binary, data).status is not Status.PROVED


def test_an_input_that_is_not_cast_as_the_model_casts_it() -> None:
    averaged = models.make(KINDS["averaged"], 1)
    wide = replace(averaged, comparison_dtype="float64")
    proof = prove(averaged, write(wide, input_dtype="float64"))
    assert proof.status is Status.DIFFERENT
    assert proof.difference is not None
    row = proof.difference.row
    assert row is not None
    assert raw_scores(averaged, row[None, :])[0, 0] != raw_scores(wide, row[None, :])[0, 0]
    # Where only float32 values come, the cast is nothing.
    assert prove(averaged, write(wide, input_dtype="float32")).status is Status.PROVED
