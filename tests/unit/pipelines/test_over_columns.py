"""Models over pipelines that choose among columns of several types, and models that transform inside pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers, converted
from validator.errors import ConversionError

RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({
    "age": RNG.integers(18, 90, 300).astype(float), "balance": RNG.normal(0, 100, 300),
    "city": RNG.choice(["Bonn", "Rom", "Wien"], 300), "job": RNG.choice(["a", "b c"], 300),
})  # fmt: skip
NUMBERS = ["age", "balance"]
TWO = ((FRAME.age > 50) ^ (FRAME.city == "Rom")).astype(int).to_numpy()
THREE = np.array(["low", "mid", "top"])[TWO + (FRAME.balance > 0)]
AMOUNT = FRAME.age * 3 + FRAME.balance


def prepared(*last: Any) -> Any:
    columns = make_column_transformer(
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore"), ["city", "job"]),
        sparse_threshold=0,
    )
    return make_pipeline(columns, *last)


def models(forest: Any, plain: Any) -> list[tuple[str, Any]]:
    return [("plain", prepared(plain)), ("forest", prepared(forest))]


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_over_columns(method: str, labels: Any) -> None:
    model = CalibratedClassifierCV(prepared(RandomForestClassifier(5, random_state=0)), cv=2, method=method)
    assert_answers(model.fit(FRAME, labels), FRAME)


@pytest.mark.parametrize("labels", [TWO, THREE], ids=["two", "three"])
@pytest.mark.parametrize("how", ["auto", "decision_function"])
def test_stacked_classifiers_over_columns(how: str, labels: Any) -> None:
    inner = models(RandomForestClassifier(5, random_state=0), LogisticRegression())
    model = StackingClassifier(inner if how == "auto" else inner[:1], cv=2, stack_method=how)
    assert_answers(model.fit(FRAME, labels), FRAME)


def test_stacked_regressors_over_columns() -> None:
    model = StackingRegressor(models(RandomForestRegressor(5, random_state=0), Ridge()), cv=2)
    assert_answers(model.fit(FRAME, AMOUNT), FRAME, tolerance=1e-9)


@pytest.mark.parametrize(
    "over",
    [
        lambda model: CalibratedClassifierCV(model, cv=2),
        lambda model: StackingClassifier([("one", model), ("two", LogisticRegression())], cv=2),
        lambda model: VotingClassifier([("one", model), ("two", model)], voting="soft"),
        lambda model: VotingClassifier([("one", model), ("two", model)]),
        lambda model: TunedThresholdClassifierCV(model, cv=2),
        lambda model: FrozenEstimator(model),
        lambda model: GridSearchCV(model, {}, cv=2),
    ],
    ids=["calibrated", "stacked", "voted", "counted", "tuned", "frozen", "searched"],
)
def test_columns_of_numbers_that_are_chosen_by_name(over: Any) -> None:
    columns = make_column_transformer((StandardScaler(), ["balance"]), ("passthrough", ["age"]))
    inner = make_pipeline(columns, LogisticRegression())
    model = over(inner.fit(FRAME[NUMBERS], TWO)).fit(FRAME[NUMBERS], TWO)
    assert_answers(model, FRAME[NUMBERS])


@pytest.mark.parametrize(
    "params", [{"passthrough": True}, {"stack_method": "predict"}], ids=["beside", "labels"]
)
def test_what_is_not_stacked_is_named(params: dict[str, Any]) -> None:
    inner = [
        ("plain", make_pipeline(make_column_transformer((StandardScaler(), NUMBERS)), LogisticRegression()))
    ]
    frame = FRAME[[*NUMBERS, "city"]].assign(city=1) if "passthrough" in params else FRAME
    model = StackingClassifier(inner, cv=2, **params).fit(frame, TWO)
    with pytest.raises(ConversionError, match="over columns of several types cannot be converted with"):
        converted(model, frame)


@pytest.mark.parametrize(
    "step",
    [
        KMeans(3, n_init=1, random_state=0),
        LinearDiscriminantAnalysis(),
        LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5),
        make_pipeline(StandardScaler(), KMeans(2, n_init=1, random_state=0)),
        FeatureUnion(
            [("lda", LinearDiscriminantAnalysis()), ("clusters", KMeans(2, n_init=1, random_state=0))]
        ),
    ],
    ids=["clusters", "discriminant", "eigen", "nested", "union"],
)
def test_a_model_in_the_middle_transforms(step: Any) -> None:
    model = prepared(StandardScaler(), step, LogisticRegression()).fit(FRAME, THREE)
    assert_answers(model, FRAME)


def test_clusters_of_some_columns() -> None:
    columns = make_column_transformer(
        (KMeans(3, n_init=1, random_state=0), NUMBERS), (OneHotEncoder(), ["city"])
    )
    assert_answers(
        make_pipeline(columns, LogisticRegression(max_iter=5_000)).fit(FRAME, TWO), FRAME, tolerance=1e-10
    )


def test_a_discriminant_analysis_that_cannot_transform_is_named() -> None:
    model = prepared(LinearDiscriminantAnalysis(), LogisticRegression()).fit(FRAME, TWO)
    del model[1].scalings_
    with pytest.raises(ConversionError, match="does not transform"):
        converted(model, FRAME)


def test_the_last_step_predicts() -> None:
    assert_answers(prepared(LinearDiscriminantAnalysis()).fit(FRAME, THREE), FRAME, tolerance=1e-10)
