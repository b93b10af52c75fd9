"""Support vector machines, converted in double, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR, NuSVC, NuSVR, OneClassSVM

from validator.pipelines.fallback import convert_estimator

IRIS, CANCER, DIABETES = load_iris(), load_breast_cancer(), load_diabetes()
NAMES = np.array(["setosa", "versicolor", "virginica"])[IRIS.target]
KERNELS = ("linear", "poly", "rbf", "sigmoid")


def around(X: np.ndarray) -> np.ndarray:
    """The rows, and two thousand between and beyond them, where votes are close."""
    rng = np.random.default_rng(0)
    drawn = X[rng.integers(len(X), size=2_000)]
    return np.concatenate([X, drawn + rng.normal(size=drawn.shape) * X.std(axis=0)])


def converted(model: Any, rows: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    columns = [(f"c{i}", "float64") for i in range(rows.shape[1])]
    found = convert_estimator(model, columns)
    assert found.input_dtype == "float64"
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows}), strict=True))


def assert_same(model: Any, X: np.ndarray) -> None:
    rows = around(X)
    found = converted(model, rows)
    if "prediction" in found:
        expected = model.predict(rows)
        assert np.abs(found["prediction"] - expected).max() <= 1e-10 * max(1.0, np.abs(expected).max())
        return
    expected = model.decision_function(rows)
    assert found["label"].tolist() == model.predict(rows).tolist()
    assert np.abs(found["score"] - expected).max() <= 1e-9 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize(
    ("model", "X", "y"),
    [
        (SVC(), IRIS.data, IRIS.target),
        (SVC(), IRIS.data, NAMES),
        (SVC(), CANCER.data, CANCER.target.astype(bool)),
        (SVC(), IRIS.data, IRIS.target.astype(float)),
        (NuSVC(nu=0.1), CANCER.data, CANCER.target),
        (SVR(C=10.0), DIABETES.data, DIABETES.target),
        (NuSVR(), DIABETES.data, DIABETES.target),
        (OneClassSVM(), IRIS.data, None),
    ],
    ids=["three", "names", "bools", "floats", "nu", "regression", "nu-regression", "outliers"],
)
def test_labels_and_scores_are_those_of_the_library(model: Any, X: Any, y: Any, kernel: str) -> None:
    assert_same(model.set_params(kernel=kernel).fit(X, y), X)


def test_broken_ties_follow_the_scores() -> None:
    assert_same(SVC(break_ties=True).fit(IRIS.data, IRIS.target), IRIS.data)


@pytest.mark.parametrize("target", [IRIS.target, IRIS.target == 1], ids=["three", "two"])
def test_a_search_over_a_pipeline_gives_the_scores_of_its_best_machine(target: np.ndarray) -> None:
    search = GridSearchCV(make_pipeline(StandardScaler(), SVC()), {"svc__C": [0.5, 1.0]}, cv=3)
    assert_same(search.fit(IRIS.data, target), IRIS.data)
