"""Boundary rows take every branch, on the edge, and stay within their limit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.trees import proof_models as models
from validator.trees.ensemble import BranchMode, TreeEnsemble
from validator.trees.rows.boundary import KINDS as ROW_KINDS
from validator.trees.rows.boundary import boundary_rows, plan_boundary
from validator.trees.rows.breakpoints import covering_rows
from validator.trees.walk import cast_rows, goes_true

KINDS = {kind.name: kind for kind in models.KINDS}


def branches_taken(ensemble: TreeEnsemble, rows: np.ndarray) -> np.ndarray:
    """bool [2, M]: by the plain evaluator, apart from the code under test."""
    values = cast_rows(ensemble, rows)
    taken = np.zeros((2, ensemble.n_nodes), dtype=bool)
    at = np.repeat(ensemble.roots[None, :], len(values), axis=0)
    while (at >= 0).any():
        row, tree = np.nonzero(at >= 0)
        node = at[row, tree]
        true = goes_true(ensemble, node, values[row, ensemble.feature[node]])
        taken[true.astype(int), node] = True
        at[row, tree] = np.where(true, ensemble.true_child[node], ensemble.false_child[node])
    return taken


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", KINDS)
def test_every_branch_is_taken(name: str, dtype: str) -> None:
    for seed in range(3):
        ensemble = models.make(KINDS[name], seed)
        plan = plan_boundary(ensemble, input_dtype=dtype)
        assert plan.taken + plan.unreachable == plan.branches == 2 * ensemble.n_nodes
        assert branches_taken(ensemble, plan.rows).sum() == plan.taken
        if dtype == "float32":
            with np.errstate(over="ignore"):
                np.testing.assert_array_equal(plan.rows.astype(np.float32), plan.rows)


def test_both_sides_of_each_threshold_are_there() -> None:
    ensemble = models.make(KINDS["regression"], 1)
    rows = boundary_rows(ensemble, input_dtype="float64")
    both = 0
    for node in range(ensemble.n_nodes):
        assert ensemble.comparison[node] == BranchMode.LE
        column = rows[:, ensemble.feature[node]]
        cut = ensemble.threshold[node]
        both += bool((column == cut).any() and (column == np.nextafter(cut, np.inf)).any())
    assert both == ensemble.n_nodes


def test_special_values_of_each_feature() -> None:
    ensemble = models.make(KINDS["truncated"], 2)
    plan = plan_boundary(ensemble, np.ones((10, models.FEATURES)), input_dtype="float64")
    for feature in range(models.FEATURES):
        column = plan.rows[plan.kind != ROW_KINDS.index("threshold"), feature]
        assert np.isnan(column).any()
        assert {np.inf, -np.inf} <= set(column.tolist())
        zeros = column[column == 0]
        assert np.signbit(zeros).any()
        assert not np.signbit(zeros).all()
    codes = plan.rows[plan.kind == ROW_KINDS.index("category"), models.CATEGORICAL]
    assert (codes < 0).any()
    assert (codes != np.rint(codes)).any()
    assert set(ensemble.set_values.tolist()) <= set(codes.tolist())
    assert codes.max() > ensemble.set_values.max()


def test_a_small_limit_is_kept_and_covers_what_it_can() -> None:
    ensemble = models.make(KINDS["regression"], 5, trees=60, splits=30)
    few = plan_boundary(ensemble, input_dtype="float64", limit=400)
    assert len(few.rows) <= 400
    # Rows are chosen for what earlier ones miss: each takes far more new branches than the one it was made for.
    assert few.taken > 2 * len(few.rows)
    np.testing.assert_array_equal(few.rows, boundary_rows(ensemble, input_dtype="float64", limit=400))


def test_missing_values_only_where_the_model_takes_them() -> None:
    from dataclasses import replace

    ensemble = replace(models.make(KINDS["regression"], 1), admits_missing=False, admits_infinity=False)
    assert np.isfinite(boundary_rows(ensemble, input_dtype="float64")).all()


def test_rows_for_other_models_cover_ranges_and_knees() -> None:
    random = np.random.default_rng(0)
    sample = np.stack([random.normal(size=200), random.integers(0, 5, 200).astype(float)], axis=1)
    breakpoints = [{"column": 0, "values": [0.25, "text"]}, {"column": 1, "values": [2]}]
    rows = covering_rows(sample, breakpoints=breakpoints, limit=1000)
    assert len(rows) <= 1000
    assert {0.25, np.nextafter(0.25, 1), np.nextafter(0.25, 0)} <= set(rows[:, 0].tolist())
    assert float(np.nextafter(np.float32(0.25), np.float32(1))) in rows[:, 0]
    assert rows[:, 0].min() < sample[:, 0].min()
    assert rows[:, 0].max() > sample[:, 0].max()
    assert set(rows[: 1000 // 4, 1].tolist()) <= {0.0, 1.0, 2.0, 3.0, 4.0}


def test_no_rows_from_no_sample() -> None:
    assert covering_rows(np.zeros((0, 3))).shape == (0, 3)
