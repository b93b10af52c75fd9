"""IterativeImputer, converted in double, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.experimental import enable_iterative_imputer
from sklearn.impute import IterativeImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeRegressor

from tests.unit.pipelines.by_onnx import assert_answers, converted
from validator.errors import ConversionError

assert enable_iterative_imputer is not None
DIABETES = load_diabetes(as_frame=True)
ROWS = DIABETES.data.iloc[:, :5].mask(np.random.default_rng(0).random((442, 5)) < 0.2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"max_iter": 2, "n_nearest_features": 2, "random_state": 0},
        {"estimator": DecisionTreeRegressor(max_depth=4, random_state=0), "max_iter": 2},
        {"add_indicator": True, "initial_strategy": "median", "min_value": -0.05, "max_value": 0.05},
        {"max_iter": 0},
    ],
    ids=["as-it-is", "few-neighbours", "trees", "marks-and-limits", "first-filling"],
)
def test_columns_are_filled_as_the_library_fills_them(params: dict[str, Any]) -> None:
    model = make_pipeline(IterativeImputer(**params), Ridge()).fit(ROWS, DIABETES.target)
    assert_answers(model, ROWS, tolerance=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_drawn_at_random_is_refused() -> None:
    model = make_pipeline(IterativeImputer(max_iter=1, sample_posterior=True, random_state=0), Ridge())
    with pytest.raises(
        ConversionError, match="IterativeImputer cannot be converted with values drawn at random"
    ):
        converted(model.fit(ROWS, DIABETES.target), ROWS)


def test_a_row_that_lacks_everything_is_answered_as_when_asked_for_alone() -> None:
    model = make_pipeline(IterativeImputer(max_iter=3, tol=1.0), Ridge()).fit(ROWS, DIABETES.target)
    assert_answers(model, ROWS.iloc[:1] * np.nan, tolerance=1e-8)
