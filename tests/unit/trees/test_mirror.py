"""Mirrored nodes: taken where their walks gain more than the columns cost, and never another answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from validator.libraries.convert import convert_trees
from validator.libraries.export import export
from validator.libraries.read import read
from validator.trees.ensemble import TreeEnsemble
from validator.trees.mirror import mirrored
from validator.trees.proof import prove
from validator.worker.onnx_session import open_session

ROWS = np.random.default_rng(5).normal(size=(300, 8))


def forest(trees: int, wide: int = 0) -> tuple[RandomForestRegressor, TreeEnsemble, np.ndarray]:
    """A forest, its trees, and the rows it learned from; `wide` adds columns that say nothing."""
    rows = np.hstack([ROWS, np.zeros((len(ROWS), wide))])
    model = RandomForestRegressor(trees, random_state=0).fit(rows, ROWS[:, 0] * ROWS[:, 1])
    ensemble = read(*export(model))
    assert ensemble is not None
    return model, ensemble, rows.astype(np.float32)


def chosen(ensemble: TreeEnsemble) -> bool:
    everywhere = np.ones(ensemble.n_nodes, dtype=bool)
    return bool(mirrored(ensemble, ensemble.threshold.copy(), everywhere).any())


def test_many_trees_are_mirrored_and_answer_the_same() -> None:
    model, ensemble, rows = forest(80)
    assert chosen(ensemble)
    onnx = convert_trees(ensemble, input_dtype="float32").data
    assert str(prove(ensemble, onnx).status) == "proved"
    (answer,) = open_session(onnx, 1).run(["prediction"], {"features": rows})
    np.testing.assert_array_equal(answer, model.predict(rows))


@pytest.mark.parametrize(("trees", "wide"), [(3, 0), (80, 5_000)], ids=["few trees", "many columns"])
def test_none_are_where_the_columns_would_cost_more(trees: int, wide: int) -> None:
    assert not chosen(forest(trees, wide)[1])


def test_none_are_where_nobody_knows_which_way_rows_went() -> None:
    assert not chosen(replace(forest(80)[1], leaf_cover=None))


def test_none_are_where_no_training_row_went_anywhere() -> None:
    _, ensemble, _ = forest(80)
    assert ensemble.leaf_cover is not None
    assert not chosen(replace(ensemble, leaf_cover=np.zeros_like(ensemble.leaf_cover)))
