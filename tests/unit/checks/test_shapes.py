"""The data of the pictures: right against scikit-learn and plain counting, bounded, and None where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics

from tests.unit.checks.conftest import FEATURES
from validator import shapes
from validator.checks.sample_pass import Answers, Batch
from validator.checks.shapes import ScoreShape, histogram, importance_of, latencies, of_answers, wilson
from validator.outputs import Outputs
from validator.runtimes.replies import Importances, NativeFacts
from validator.shapes import Shapes
from validator.table import Column, Table

RNG = np.random.default_rng(0)


def test_curves_and_confusion_are_scikit_learns() -> None:
    score = np.round(RNG.random(3_000) * 50) / 50
    truth = (RNG.random(3_000) < score).astype(np.int64)
    found = Shapes(**of_answers("binary", [0, 1], score[:, None], truth))
    assert found.rows == 3_000
    assert found.roc is not None
    assert found.precision_recall is not None
    area = np.trapezoid(found.roc.y, found.roc.x)
    assert area == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-9)
    fallout, recall, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
    assert list(found.roc.x) == pytest.approx(fallout)
    assert list(found.roc.y) == pytest.approx(recall)
    assert found.precision_recall.y[-1] == pytest.approx(truth.mean())
    assert found.confusion is not None
    assert np.array_equal(found.confusion.counts, metrics.confusion_matrix(truth, score > 0.5))


def test_an_honest_probability_is_calibrated_and_a_squared_one_is_not() -> None:
    score = RNG.random(20_000)
    truth = (RNG.random(20_000) < score).astype(np.int64)
    honest = of_answers("binary", [0, 1], score[:, None], truth)["calibration"]
    squared = of_answers("binary", [0, 1], (score**2)[:, None], truth)["calibration"]
    assert len(honest) == 10
    assert sum(one.low <= one.predicted <= one.high for one in honest) >= 8
    assert sum(one.low <= one.predicted <= one.high for one in squared) <= 3
    assert sum(one.rows for one in honest) == 20_000


def test_wilsons_interval_holds_as_often_as_it_says() -> None:
    for share in (0.02, 0.3, 0.5, 0.9):
        hits = RNG.binomial(200, share, size=4_000)
        held = np.mean([low <= share <= high for low, high in (wilson(int(hit), 200) for hit in hits)])
        assert 0.93 <= held <= 0.975
    assert wilson(0, 10)[0] == 0
    assert wilson(10, 10)[1] == pytest.approx(1)


def test_residuals_are_truth_minus_prediction() -> None:
    prediction = RNG.normal(size=2_000)
    found = of_answers("regression", [], prediction[:, None], prediction + 3.0 + RNG.normal(size=2_000) * 0.1)
    edges, (series,) = found["residuals"].edges, found["residuals"].series
    assert 2 < edges[0] < 3 < edges[-1] < 4
    assert sum(series.counts) == 2_000
    assert all(one.low < one.middle < one.high and abs(one.middle - 3) < 0.1 for one in found["bands"])


def test_several_classes_have_their_matrix_and_too_many_have_none() -> None:
    truth = RNG.integers(0, 3, 600)
    outputs = np.eye(3)[truth] * 0.5 + 0.5 / 3
    found = of_answers("multiclass", ["a", "b", "c"], outputs, np.array(["a", "b", "c"], dtype=object)[truth])
    assert np.array_equal(found["confusion"].counts, np.diag(np.bincount(truth)))
    many = list(range(shapes.MOST_CLASSES + 1))
    outputs = RNG.random((100, len(many)))
    assert of_answers("multiclass", many, outputs, RNG.integers(0, len(many), 100))["confusion"] is None


@pytest.mark.parametrize(
    ("task", "outputs", "truth"),
    [
        ("binary", np.zeros((10, 1)), np.zeros(10)),
        ("binary", np.full((100, 1), np.nan), np.zeros(100)),
        ("ranking", np.zeros((100, 1)), np.zeros(100)),
        ("regression", np.zeros((100, 2)), np.zeros(100)),
    ],
)
def test_where_there_is_nothing_to_show_nothing_is_shown(task, outputs, truth) -> None:
    assert of_answers(task, [0, 1], outputs, truth) == {}


def test_one_class_alone_has_no_curve() -> None:
    found = of_answers("binary", [0, 1], RNG.random((100, 1)), np.ones(100))
    assert "roc" not in found
    assert len(found["calibration"]) > 5


finite = st.floats(-1e300, 1e300, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float64, st.integers(0, 60), elements=finite), st.booleans(), st.booleans())
def test_a_histogram_counts_every_value_once(values, unit, log) -> None:
    found = histogram([("a", values), ("b", values[:3])], 20, unit=unit, log=log)
    if found is not None:
        assert [sum(one.counts) for one in found.series] == [len(values), len(values[:3])]
        assert all(a < b for a, b in zip(found.edges, found.edges[1:], strict=False))


def test_latencies_are_in_bins_of_equal_ratio_and_a_clock_that_stands_is_left_out() -> None:
    found = latencies([("onnx", np.array([0.0, 0.01, 0.1, 1.0]))])
    assert found is not None
    ratios = np.diff(np.log(found.edges))
    assert ratios == pytest.approx(np.full(len(ratios), ratios[0]))
    assert sum(found.series[0].counts) == 3
    assert latencies([("onnx", np.zeros(5))]) is None


def table(rows: int) -> Table:
    return Table.of([Column(name, np.zeros(rows)) for name in FEATURES])


def answers(native, onnx, base=None) -> Answers:
    def made(values):
        return Outputs(
            label=np.zeros(len(values), dtype=np.int64), probabilities=np.column_stack([1 - values, values])
        )

    return Answers(native=made(native), onnx=made(onnx), base=None if base is None else made(base))


def test_scores_of_all_versions_are_counted_in_the_same_bins() -> None:
    seen = ScoreShape()
    values = RNG.random(500)
    for start in range(0, 500, 100):
        part = values[start : start + 100]
        rows = table(100)
        seen.see(Batch(rows=rows, table=rows), answers(part, part, part / 2))
    found = seen.histogram()
    assert found is not None
    assert [one.name for one in found.series] == ["native", "onnx", "base"]
    assert found.series[0].counts == found.series[1].counts != found.series[2].counts
    assert (found.edges[0], found.edges[-1], sum(found.series[2].counts)) == (0.0, 1.0, 500)


def test_scores_that_do_not_fit_their_rows_are_left_out() -> None:
    seen = ScoreShape()
    rows = table(5)
    seen.see(Batch(rows=rows, table=rows), answers(np.zeros(4), np.zeros(5)))
    labels = Outputs(label=np.zeros(5, dtype=np.int64))
    seen.see(Batch(rows=rows, table=rows), Answers(native=labels, onnx=labels))
    assert seen.histogram() is None


def test_importance_is_a_share_of_all_and_the_largest_first() -> None:
    def told(*values: float) -> NativeFacts:
        return NativeFacts(library="l", model_class="c", importance=Importances(kind="gain", values=values))

    found = importance_of(told(1.0, 0.0, 3.0), ["a", "b", "c"])
    assert found is not None
    assert (found.names, found.shares, found.total) == (("c", "a", "b"), (0.75, 0.25, 0.0), 3)
    assert importance_of(told(1.0), ["a", "b"]) is None
    assert importance_of(told(0.0, 0.0), ["a", "b"]) is None
    assert importance_of(NativeFacts(library="l", model_class="c"), ["a"]) is None
    many = importance_of(told(*map(float, range(1_000))), [f"f{i}" for i in range(1_000)])
    assert many is not None
    assert len(many.names) == shapes.MOST_IMPORTANCES
