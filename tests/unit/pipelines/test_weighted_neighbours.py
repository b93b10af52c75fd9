"""Neighbours that weigh by distance, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers, converted
from validator.errors import ConversionError

WINE, DIABETES = load_wine(as_frame=True), load_diabetes(as_frame=True)


def around(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows between those of training and beyond them."""
    moved = np.random.default_rng(0).normal(size=rows.shape) * rows.std().to_numpy()
    return pd.concat([rows + moved, rows * 10])


def near(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of training and their neighbourhood, where scikit-learn's brute force rounds the distances away."""
    return pd.concat([rows, rows * (1 + 1e-9), around(rows)])


@pytest.mark.parametrize("algorithm", ["kd_tree", "brute"])
@pytest.mark.parametrize("count", [1, 5, 178])
def test_classes_weigh_by_distance(count: int, algorithm: str) -> None:
    model = make_pipeline(
        StandardScaler(), KNeighborsClassifier(count, weights="distance", algorithm=algorithm)
    )
    model.fit(WINE.data, np.array(["a", "b", "c"])[WINE.target])
    assert_answers(model, (near if algorithm == "kd_tree" else around)(WINE.data), tolerance=1e-7)


@pytest.mark.parametrize("targets", [1, 2])
def test_numbers_weigh_by_distance(targets: int) -> None:
    y = np.column_stack([DIABETES.target, -DIABETES.target])[:, :targets]
    model = KNeighborsRegressor(weights="distance", algorithm="kd_tree").fit(DIABETES.data, y)
    _, found = converted(model, near(DIABETES.data))
    expected = model.predict(near(DIABETES.data)).reshape(-1, targets)
    assert np.abs(found["prediction"].reshape(-1, targets) - expected).max() < 1e-7


@pytest.mark.parametrize("params", [{"p": 1, "weights": "distance"}, {"weights": lambda far: 1 / (1 + far)}])
def test_other_distances_and_weights_are_refused(params: dict[str, Any]) -> None:
    model = KNeighborsRegressor(**params).fit(DIABETES.data, DIABETES.target)
    with pytest.raises(ConversionError, match="anything but their Euclidean distance"):
        converted(model, DIABETES.data)
