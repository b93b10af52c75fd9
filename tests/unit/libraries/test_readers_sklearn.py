"""scikit-learn itself is the oracle: its answers on boundary rows, against the trees read and their ONNX file."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from validator.errors import ConversionError
from validator.libraries.export import export
from validator.libraries.read import read
from validator.trees.ensemble import LabelRule, TransformKind
from validator.trees.walk import raw_scores

RNG = np.random.default_rng(7)
X = RNG.normal(size=(240, 5))
X_MISSING = np.where(RNG.random(X.shape) < 0.1, np.nan, X)
SCORE = X[:, 0] * 2 + X[:, 1] * RNG.normal(size=240)
TARGETS = {
    "bool": SCORE > 0,
    "int": np.digitize(SCORE, [-1, 1]) * 10 - 5,
    "str": np.array(["low", "middle", "high"])[np.digitize(SCORE, [-1, 1])],
    "number": SCORE,
    "positive": np.exp(SCORE / 3),
    "pair": np.column_stack([SCORE, X[:, 2]]),
}


def native(model: Any, rows: np.ndarray) -> np.ndarray:
    if isinstance(model, IsolationForest):
        return model.decision_function(rows)
    return model.predict_proba(rows) if hasattr(model, "predict_proba") else model.predict(rows)


def hold(model: Any, base: np.ndarray, answer: Any, *, tolerance: float = 0.0) -> None:
    """Numbers within `tolerance` of the native ones (0: every bit the same), labels always the same."""
    found = answer(model, base)
    expected = np.asarray(native(model, found.rows)).reshape(len(found.rows), -1)
    if found.ensemble.transform.kind is TransformKind.IDENTITY:
        assert (expected == found.raw).all()
    assert np.abs(expected - found.numbers).max() <= tolerance
    if hasattr(model, "predict_proba"):
        label = model.predict(found.rows)
        kind = object if label.dtype.kind in "OU" else np.int64
        assert (label.astype(kind) == found.onnx["label"]).all()


@pytest.mark.parametrize("target", ["bool", "int", "str"])
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeClassifier(max_depth=5, random_state=0),
        ExtraTreeClassifier(random_state=0),
        RandomForestClassifier(9, random_state=0),
        ExtraTreesClassifier(9, random_state=0),
        BaggingClassifier(n_estimators=5, max_features=3, max_samples=12, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("rows", [X, X_MISSING], ids=["whole", "missing"])
def test_classifiers_of_averaged_trees(model: Any, target: str, rows: np.ndarray, answer: Any) -> None:
    # ONNX Runtime adds the trees in order too; what is left is its own rounding of the division.
    hold(copy.deepcopy(model).fit(rows, TARGETS[target]), rows, answer, tolerance=2e-16)


@pytest.mark.parametrize("target", ["number", "pair"])
@pytest.mark.parametrize(
    "model",
    [
        DecisionTreeRegressor(random_state=0),
        ExtraTreeRegressor(random_state=0),
        RandomForestRegressor(9, random_state=0),
        ExtraTreesRegressor(9, random_state=0),
        BaggingRegressor(n_estimators=5, max_features=0.6, random_state=0),
    ],
    ids=lambda model: type(model).__name__,
)
def test_regressors_of_averaged_trees(model: Any, target: str, answer: Any) -> None:
    if target == "pair" and isinstance(model, BaggingRegressor):
        return  # it takes one target
    hold(copy.deepcopy(model).fit(X_MISSING, TARGETS[target]), X_MISSING, answer, tolerance=1e-15)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_gradient_boosting_regression(loss: str, answer: Any) -> None:
    model = GradientBoostingRegressor(loss=loss, n_estimators=12, random_state=0).fit(X, SCORE)
    hold(model, X, answer, tolerance=1e-15)


@pytest.mark.parametrize(
    ("options", "target"),
    [
        ({}, "bool"),
        ({"loss": "exponential"}, "bool"),
        ({"init": "zero"}, "int"),
        ({}, "str"),
        ({"init": "zero", "learning_rate": 0.7}, "bool"),
    ],
)
def test_gradient_boosting_classification(options: dict[str, Any], target: str, answer: Any) -> None:
    model = GradientBoostingClassifier(n_estimators=12, random_state=0, **options).fit(X, TARGETS[target])
    hold(model, X, answer, tolerance=1e-15)


def test_gradient_boosting_answers_one_where_the_score_is_zero() -> None:
    model = GradientBoostingClassifier(n_estimators=3).fit(X, TARGETS["bool"])
    ensemble = read(*export(model))
    assert ensemble is not None
    assert ensemble.label_rule is LabelRule.RAW_NOT_NEGATIVE
    assert not ensemble.admits_missing
    assert not ensemble.admits_infinity


@pytest.mark.parametrize(
    "options", [{}, {"max_features": 0.5}, {"contamination": 0.1, "max_samples": 64}, {"max_samples": 1}]
)
@pytest.mark.parametrize("rows", [X, X_MISSING], ids=["whole", "missing"])
def test_isolation_forest(options: dict[str, Any], rows: np.ndarray, answer: Any) -> None:
    model = IsolationForest(n_estimators=20, random_state=0, **options).fit(rows)
    hold(model, rows, answer, tolerance=1e-14)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "poisson", "gamma", "quantile"])
def test_histogram_regression(loss: str, answer: Any) -> None:
    model = HistGradientBoostingRegressor(loss=loss, quantile=0.3, max_iter=12, random_state=0)
    hold(model.fit(X_MISSING, TARGETS["positive"]), X_MISSING, answer, tolerance=1e-14)


@pytest.mark.parametrize("target", ["bool", "int", "str"])
def test_histogram_classification(target: str, answer: Any) -> None:
    model = HistGradientBoostingClassifier(max_iter=12, random_state=0).fit(X_MISSING, TARGETS[target])
    hold(model, X_MISSING, answer, tolerance=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    n_categories=st.integers(2, 40),
    scale=st.sampled_from([1.0, 1.5, -2.0, 0.1]),
    missing=st.booleans(),
    depth=st.integers(1, 6),
    seed=st.integers(0, 2**16),
)
def test_histogram_categories(
    n_categories: int, scale: float, missing: bool, depth: int, seed: int, rows_on_boundaries: Any
) -> None:
    """Fractional and negative categories, known and unknown, and missing values among them."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(200, 3))
    codes = rng.integers(0, n_categories, 200)
    rows[:, 1] = codes * scale
    rows[rng.random(200) < 0.15 * missing, 1] = np.nan
    target = (codes % 3) + 0.3 * rows[:, 0]
    model = HistGradientBoostingRegressor(
        max_iter=8, max_depth=depth, categorical_features=[1], min_samples_leaf=3, random_state=0
    )
    model.fit(rows, target)
    ensemble = read(*export(model))
    assert ensemble is not None
    tried = rows_on_boundaries(ensemble, rows, count=300)
    assert (raw_scores(ensemble, tried)[:, 0] == model.predict(tried)).all()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    trees=st.integers(1, 12),
    depth=st.integers(1, 9),
    scale=st.sampled_from([1e-30, 1.0, 1e9]),
    rounded=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_forests_of_any_shape(
    trees: int, depth: int, scale: float, rounded: bool, seed: int, answer: Any
) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(120, 4)) * scale
    if rounded:
        rows = np.round(rows / scale) * scale
    labels = rng.integers(0, 4, 120)
    model = RandomForestClassifier(trees, max_depth=depth, random_state=seed).fit(rows, labels)
    hold(model, rows, answer, tolerance=2e-16)


def test_string_categories_are_listed_with_their_codes() -> None:
    import pandas as pd

    kinds = np.array(["red", "green", "blue"])[RNG.integers(0, 3, 240)]
    frame = pd.DataFrame({"a": X[:, 0], "kind": pd.Categorical(kinds), "b": X[:, 1]})
    model = HistGradientBoostingRegressor(max_iter=6, categorical_features="from_dtype")
    ensemble = read(*export(model.fit(frame, SCORE + 3 * (kinds == "red"))))
    assert ensemble is not None
    assert ensemble.feature_names == ("a", "kind", "b")
    assert ensemble.feature_categories == {1: ("blue", "green", "red")}
    assert set(ensemble.set_values) <= {0.0, 1.0, 2.0}


@pytest.mark.parametrize(
    ("model", "target", "reason"),
    [
        (DecisionTreeClassifier(), np.column_stack([SCORE > 0, SCORE > 1]), "2 outputs"),
        (GradientBoostingRegressor(n_estimators=2, init=LinearRegression()), SCORE, "LinearRegression"),
        (AdaBoostClassifier(n_estimators=2), SCORE > 0, "no tree ensemble"),
        (BaggingRegressor(LinearRegression(), n_estimators=2), SCORE, "other than trees"),
        (DecisionTreeClassifier(), np.zeros(240), "single class"),
        (DummyRegressor(), SCORE, "no tree ensemble"),
    ],
)
def test_what_is_no_sum_of_trees_is_named(model: Any, target: np.ndarray, reason: str) -> None:
    header, arrays = export(model.fit(X, target))
    assert header["kind"] == "other"
    assert reason in header["reason"]
    assert not arrays
    assert read(header, arrays) is None


def exported_forest() -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    header, arrays = export(RandomForestClassifier(3, max_depth=3, random_state=0).fit(X, TARGETS["str"]))
    return header, {name: array.copy() for name, array in arrays.items()}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "oracle"),
        ("transform", None),
        ("label_rule", "first"),
        ("n_features", 0),
        ("n_features", True),
        ("n_features", 2),
        ("base_score", [0.0, "x"]),
        ("base_score", [0.0]),
        ("divisor", 0),
        ("divisor", 1e400),
        ("classes", ["a", 1, 2]),
        ("classes", ["a", "b"]),
        ("feature_names", "abcde"),
    ],
)
def test_a_header_that_contradicts_itself_is_refused(name: str, value: Any) -> None:
    header, arrays = exported_forest()
    header[name] = value
    with pytest.raises(ConversionError):
        read(header, arrays)


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("left", 0, 0),
        ("left", 0, 10**6),
        ("right", 0, 1),
        ("feature", 0, 99),
        ("threshold", 0, np.nan),
        ("node_count", 0, 1),
        ("node_count", 1, -3),
        ("target", 0, 5),
        ("value", slice(None), np.inf),
    ],
)
def test_arrays_that_form_no_trees_are_refused(name: str, index: Any, value: Any) -> None:
    header, arrays = exported_forest()
    arrays[name][index] = value
    with pytest.raises(ConversionError):
        read(header, arrays)


@pytest.mark.parametrize("name", ["left", "value", "target", "missing_left", "node_count"])
def test_a_missing_or_short_array_is_refused(name: str) -> None:
    header, arrays = exported_forest()
    with pytest.raises(ConversionError):
        read(header, {key: array for key, array in arrays.items() if key != name})
    with pytest.raises(ConversionError):
        read(header, {**arrays, name: arrays[name][:-1]})
