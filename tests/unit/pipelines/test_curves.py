"""Splines, quantiles, kernels and constants: scikit-learn's answers at, beside and beyond their own points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtri
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import QuantileTransformer, SplineTransformer, StandardScaler
from sklearn.svm import LinearSVC

from tests.unit.pipelines.by_onnx import assert_answers, columns_of, converted
from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

X, Y = load_wine(return_X_y=True, as_frame=True)
X = X.iloc[:, :3].set_axis(list("abc"), axis=1)
WORDS = np.array(["red", "white", "rose"])[Y]


def at(points: dict[str, Any]) -> pd.DataFrame:
    """Rows of the sample, far beyond it, and with each column at given points and one ulp to either side."""
    parts = [X, X * 3, X * -1]
    for name, values in points.items():
        for moved in (values, np.nextafter(values, np.inf), np.nextafter(values, -np.inf)):
            part = X.iloc[np.arange(len(moved)) % len(X)].copy()
            part[name] = moved
            parts.append(part)
    return pd.concat(parts).reset_index(drop=True)


@pytest.mark.parametrize("knots", ["uniform", "quantile"])
@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("extrapolation", ["constant", "linear", "continue", "periodic"])
def test_splines_at_their_knots_and_beyond(extrapolation: Any, degree: int, knots: Any) -> None:
    step = SplineTransformer(
        degree=degree, extrapolation=extrapolation, knots=knots, include_bias=degree != 2
    )
    model = make_pipeline(step, Ridge()).fit(X, Y)
    assert_answers(model, at({n: s.t for n, s in zip("abc", step.bsplines_, strict=True)}), tolerance=1e-10)


def test_a_spline_that_refuses_what_lies_beyond_is_refused() -> None:
    model = make_pipeline(SplineTransformer(extrapolation="error"), Ridge()).fit(X, Y)
    with pytest.raises(ConversionError, match="raises an error for what lies beyond") as caught:
        convert_estimator(model, columns_of(X))
    assert "extrapolation='constant'" in str(caught.value.hint)


@pytest.mark.parametrize("digits", [0, 3], ids=["repeated", "distinct"])
@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("count", [5, 150])
def test_quantiles_at_their_own_values_and_beyond(count: int, distribution: Any, digits: int) -> None:
    step = QuantileTransformer(n_quantiles=count, output_distribution=distribution)
    model = make_pipeline(step, Ridge()).fit(X.round(digits), Y)
    assert_answers(model, at(dict(zip("abc", step.quantiles_.T, strict=True))), tolerance=1e-13)


def test_the_normal_inverse_is_scipys_over_all_levels() -> None:
    levels = np.concatenate(
        [np.linspace(0, 1, 5_001), 10.0 ** -np.arange(1, 8), 1 - 10.0 ** -np.arange(1, 8)]
    )
    frame = pd.DataFrame({"a": levels})
    step = QuantileTransformer(n_quantiles=2, output_distribution="normal").fit(
        pd.DataFrame({"a": [0.0, 1.0]})
    )
    model = make_pipeline(step, Ridge(alpha=1e-12)).fit(frame, np.clip(ndtri(levels), -5.2, 5.2))
    assert_answers(model, frame, tolerance=1e-13)


@pytest.mark.filterwarnings("ignore:Singular matrix")  # the sigmoid is no positive definite kernel
@pytest.mark.parametrize("kernel", ["linear", "poly", "rbf", "sigmoid"])
@pytest.mark.parametrize("several", [False, True])
def test_kernel_ridge(kernel: str, several: bool) -> None:
    model = make_pipeline(StandardScaler(), KernelRidge(kernel=kernel, degree=2))
    assert_answers(model.fit(X, np.column_stack([Y, -2.0 * Y]) if several else Y), at({}), tolerance=1e-8)


@pytest.mark.parametrize(
    "model",
    [
        DummyClassifier(strategy="prior"),
        DummyClassifier(strategy="most_frequent"),
        DummyClassifier(strategy="constant", constant="rose"),
        DummyRegressor(strategy="median"),
        DummyRegressor(strategy="quantile", quantile=0.3),
        make_pipeline(StandardScaler(), DummyRegressor()),
    ],
)
def test_constant_models(model: Any) -> None:
    assert_answers(model.fit(X, WORDS if isinstance(model, DummyClassifier) else Y), X, tolerance=0.0)


@pytest.mark.parametrize("count", [5, 150])
def test_targets_come_back_from_uniform_quantiles(count: int) -> None:
    target = QuantileTransformer(n_quantiles=count)
    model = TransformedTargetRegressor(Ridge(), transformer=target).fit(X, X["a"] * 2 + X["b"])
    assert_answers(model, at({}), tolerance=1e-11)


def test_samplers_of_a_pipeline_do_nothing_at_prediction() -> None:
    """As imbalanced-learn has it: another class of pipeline, with steps that draw rows in training alone."""

    class Sampler:
        def fit_resample(self, rows: Any, answers: Any) -> Any:
            return rows, answers

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {}

    parts = [("scale", StandardScaler().fit(X)), ("answer", LogisticRegression())]
    parts[1][1].fit(parts[0][1].transform(X), WORDS)
    plain = Pipeline(parts)
    kind = type("Pipeline", (Pipeline,), {"__module__": "imblearn.pipeline"})
    file, found = converted(kind([parts[0], ("draw", Sampler()), parts[1]]), X)
    assert [(one.id, one.action) for one in file.hazards] == [("samplers", "repaired")]
    assert found["label"].tolist() == plain.predict(X).tolist()
    assert np.abs(found["probabilities"] - plain.predict_proba(X)).max() < 1e-13


def test_encoders_of_others_are_refused_with_the_one_to_take() -> None:
    kind = type("CountEncoder", (StandardScaler,), {"__module__": "category_encoders.count"})
    model = make_pipeline(kind(), Ridge()).fit(X, Y)
    with pytest.raises(ConversionError, match="CountEncoder of category_encoders") as caught:
        convert_estimator(model, columns_of(X))
    assert "scikit-learn's OneHotEncoder" in str(caught.value.hint)


def test_a_model_that_answers_at_random_is_refused() -> None:
    with pytest.raises(ConversionError, match="answers at random") as caught:
        convert_estimator(DummyClassifier(strategy="stratified").fit(X, Y), columns_of(X))
    assert "strategy='prior'" in str(caught.value.hint)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize(
    "inner",
    [
        make_pipeline(StandardScaler(), LogisticRegression()),
        make_pipeline(StandardScaler(), LinearSVC()),
        RandomForestClassifier(5, random_state=0),
    ],
)
def test_calibration_by_temperature(inner: Any, binary: bool) -> None:
    model = CalibratedClassifierCV(inner, method="temperature", cv=2)
    assert_answers(model.fit(X, WORDS == "red" if binary else WORDS), X)
