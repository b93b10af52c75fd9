"""Models around models, isotonic curves and nearest centres, held against scikit-learn's own answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_linnerud, load_wine
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.multioutput import RegressorChain
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

CANCER, WINE, DIABETES, LINNERUD = (
    loader(return_X_y=True) for loader in (load_breast_cancer, load_wine, load_diabetes, load_linnerud)
)


def convert(model: Any, width: int) -> Any:
    import onnxruntime

    found = convert_estimator(model, [(f"c{i}", "float64") for i in range(width)], input_dtype="float64")
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda rows: dict(zip(names, session.run(None, {"features": rows}), strict=True))


def assert_same(model: Any, data: Any, within: float = 1e-9) -> None:
    """On the sample, between its rows, and beyond them."""
    X, y = data
    model.fit(X, y)
    rows = np.concatenate([X, (X + X[::-1]) / 2, 1.3 * X])
    answers = convert(model, X.shape[1])(rows)
    expected = model.predict(rows)
    if "label" in answers:
        assert answers["label"].tolist() == expected.tolist()
    if "probabilities" in answers:
        np.testing.assert_allclose(answers["probabilities"], model.predict_proba(rows), rtol=0, atol=within)
    if "prediction" in answers:
        np.testing.assert_allclose(answers["prediction"], expected, rtol=within)


BASES = (
    RandomForestClassifier(5, max_depth=4, random_state=0),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(), SVC()),
    GradientBoostingClassifier(n_estimators=4, random_state=0),
    HistGradientBoostingClassifier(max_iter=4, random_state=0),
    LinearSVC(random_state=0),
)


@pytest.mark.parametrize("data", [CANCER, WINE], ids=["two", "three"])
@pytest.mark.parametrize("method", ["isotonic", "sigmoid"])
@pytest.mark.parametrize(
    "base", BASES, ids=lambda base: type(getattr(base, "steps", [[base]])[-1][-1]).__name__
)
def test_calibration(base: Any, method: str, data: Any) -> None:
    """Boosted trees are calibrated on their scores, forests on their probabilities."""
    assert_same(CalibratedClassifierCV(base, method=method, cv=2), data)


def test_calibrated_text_labels_and_a_class_that_a_part_lacks() -> None:
    X, y = WINE
    assert_same(CalibratedClassifierCV(BASES[0], method="isotonic", cv=2), (X, np.array(["a", "b", "c"])[y]))
    model = CalibratedClassifierCV(BASES[0], method="isotonic", cv=2).fit(X, y)
    part = model.calibrated_classifiers_[0]
    part.estimator = RandomForestClassifier(5, random_state=0).fit(X[y != 1], y[y != 1])
    part.calibrators = [part.calibrators[0], part.calibrators[2]]
    assert np.abs(convert(model, 13)(X)["probabilities"] - model.predict_proba(X)).max() < 1e-12


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("beyond", ["nan", "clip"])
def test_an_isotonic_curve_at_and_beside_its_points(beyond: str, dtype: str) -> None:
    x, y = DIABETES[0][:, 2].astype(dtype), DIABETES[1].astype(dtype)
    model = IsotonicRegression(out_of_bounds=beyond).fit(x, y)
    ends = model.X_thresholds_
    rows = np.concatenate(
        [ends, np.nextafter(ends, 9), np.nextafter(ends, -9), (ends[1:] + ends[:-1]) / 2, [-9, 9]]
    )
    rows = rows.astype(dtype).astype(np.float64)
    found = convert(model, 1)(rows[:, None])["prediction"]
    expected = model.predict(rows)
    if dtype == "float64":
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(expected).any() == (beyond == "nan")


def test_isotonic_curves_of_one_point_and_with_errors() -> None:
    constant = IsotonicRegression(out_of_bounds="clip").fit([1.0, 2.0], [3.0, 3.0])
    constant.X_thresholds_, constant.y_thresholds_ = np.array([1.0]), np.array([3.0])
    assert convert(constant, 1)(np.array([[0.0], [7.0]]))["prediction"].tolist() == [3.0, 3.0]
    with pytest.raises(ConversionError, match="beyond its ends"):
        convert(IsotonicRegression(out_of_bounds="raise").fit([1.0, 2.0], [3.0, 4.0]), 1)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), StandardScaler(with_mean=False), StandardScaler(with_std=False), MinMaxScaler(),
               RobustScaler(), MaxAbsScaler()], ids=str,
)  # fmt: skip
def test_targets_that_were_scaled(scaler: Any) -> None:
    assert_same(TransformedTargetRegressor(Ridge(), transformer=scaler), DIABETES)
    assert_same(TransformedTargetRegressor(Ridge(), transformer=scaler), LINNERUD)


@pytest.mark.parametrize(
    ("there", "back"),
    [
        (np.log, np.exp),
        (np.log1p, np.expm1),
        (np.sqrt, np.square),
        (np.square, np.sqrt),
        (np.negative, np.negative),
    ],
)
def test_targets_that_went_through_a_function(there: Any, back: Any) -> None:
    for regressor in (RandomForestRegressor(3, random_state=0), make_pipeline(StandardScaler(), Ridge())):
        model = TransformedTargetRegressor(regressor, func=there, inverse_func=back, check_inverse=False)
        with np.errstate(invalid="ignore"):
            assert_same(model, DIABETES)


def _doubled(values: Any) -> Any:
    return 2 * values


def test_targets_with_an_unknown_way_back_are_refused_by_name() -> None:
    own = TransformedTargetRegressor(Ridge(), func=_doubled, inverse_func=_doubled, check_inverse=False)
    with pytest.raises(ConversionError, match="_doubled"):
        convert(own.fit(*DIABETES), 10)
    normal = QuantileTransformer(n_quantiles=20, output_distribution="normal")
    with pytest.raises(ConversionError, match="normal quantiles"):
        convert(TransformedTargetRegressor(Ridge(), transformer=normal).fit(*DIABETES), 10)


@pytest.mark.parametrize("power", [None, 0.0, 2.0, -0.7, 1e-9])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
@pytest.mark.filterwarnings("ignore:Some values in column", "ignore:invalid value encountered")
def test_targets_that_were_raised_to_a_power(method: str, power: float | None) -> None:
    """Also the powers at which the formula is another, and predictions that have no way back."""
    scaled = make_pipeline(FunctionTransformer(np.log1p, np.expm1), PowerTransformer(method), "passthrough")
    for transformer in (PowerTransformer(method), PowerTransformer(method, standardize=False), scaled):
        model = TransformedTargetRegressor(Ridge(alpha=1e-3), transformer=transformer).fit(*DIABETES)
        inner = (
            model.transformer_ if hasattr(model.transformer_, "lambdas_") else model.transformer_.steps[1][1]
        )
        inner.lambdas_ = inner.lambdas_ if power is None else np.array([power])
        rows = np.concatenate([DIABETES[0], 30 * DIABETES[0]])
        with np.errstate(all="ignore"):
            native = model.predict(rows)
        np.testing.assert_allclose(
            convert(model, 10)(rows)["prediction"], native, rtol=1e-7 if power == 1e-9 else 1e-10
        )


@pytest.mark.parametrize("function", [np.expm1, np.log1p])
def test_functions_for_small_numbers_lose_no_digits(function: Any) -> None:
    random = np.random.default_rng(0)
    rows = np.abs(random.normal(size=(500, 1))) * 10.0 ** random.integers(-18, 2, (500, 1))
    line = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    line.coef_, line.intercept_ = np.array([1.0]), np.float64(0)
    model = make_pipeline(FunctionTransformer(function).fit(rows), line)
    found = convert(model, 1)(rows)["prediction"]
    np.testing.assert_allclose(found, model.predict(rows), rtol=1e-15)


@pytest.mark.parametrize("order", [None, [2, 0, 1]])
@pytest.mark.parametrize("base", [Ridge(), RandomForestRegressor(3, random_state=0)], ids=str)
def test_chains(base: Any, order: Any) -> None:
    assert_same(RegressorChain(base, order=order), LINNERUD)
    assert_same(make_pipeline(StandardScaler(), RegressorChain(base, order=order)), LINNERUD)


@pytest.mark.parametrize(
    "params", [{}, {"priors": "empirical"}, {"shrink_threshold": 0.3}, {"metric": "manhattan"}], ids=str
)
def test_nearest_centres(params: dict[str, Any]) -> None:
    assert_same(NearestCentroid(**params), WINE)
    assert_same(NearestCentroid(**params), (CANCER[0], np.array(["x", "y"])[CANCER[1]]))
