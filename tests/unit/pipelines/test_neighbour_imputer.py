"""KNNImputer's answers for rows with gaps: the same neighbours, weights and means, whatever training lacked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.impute import KNNImputer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline

from tests.unit.pipelines.by_onnx import assert_answers, columns_of
from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator
from validator.trees.rows.breakpoints import covering_rows

X, Y = load_wine(return_X_y=True, as_frame=True)
X = X.iloc[:, :5].set_axis(list("abcde"), axis=1)
# No two distances alike: between those rounding decides, in each library as it comes.
X *= np.random.default_rng(1).normal(1, 1e-3, X.shape)
GAPS = X.mask(np.random.default_rng(0).random(X.shape) < 0.15)


def rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of training, mixed ones, ones beyond its range, and a row that lacks everything."""
    made = pd.DataFrame(covering_rows(frame.to_numpy(np.float64), limit=600), columns=frame.columns)
    return pd.concat([made, pd.DataFrame(np.full((1, 5), np.nan), columns=frame.columns)], ignore_index=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weights": "distance"},
        {"n_neighbors": 1},
        {"n_neighbors": 500},
        {"add_indicator": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("training", [X, GAPS], ids=["whole", "gaps"])
def test_the_same_neighbours_are_taken(settings: dict[str, Any], training: pd.DataFrame) -> None:
    model = make_pipeline(KNNImputer(**settings), Ridge()).fit(training, Y)
    # Of a row of training the distance is rounding alone, in which scikit-learn and ONNX Runtime differ.
    assert_answers(model, rows(GAPS), tolerance=1e-4 if "weights" in settings else 1e-12)


@pytest.mark.parametrize("keep", [False, True])
def test_a_column_without_values_in_training(keep: bool) -> None:
    training = GAPS.assign(c=np.nan)
    model = make_pipeline(KNNImputer(keep_empty_features=keep), LinearRegression()).fit(training, Y)
    assert_answers(model, rows(training))
    assert_answers(model, rows(GAPS))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"missing_values": -1}, "missing values that are not NaN"),
        ({"weights": np.ones_like}, "weights of your own"),
    ],
)
def test_what_is_not_converted_is_refused_by_name(settings: dict[str, Any], what: str) -> None:
    model = make_pipeline(KNNImputer(**settings), Ridge()).fit(X, Y)
    with pytest.raises(ConversionError, match=what) as caught:
        convert_estimator(model, columns_of(X))
    assert "train it with" in str(caught.value.hint)
