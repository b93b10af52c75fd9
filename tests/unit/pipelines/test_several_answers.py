"""Models that answer several times for each row: regressors have a place for that, classifiers a remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers, columns_of
from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=list("abc"))
Y = np.column_stack([X["a"] > 0, X["b"] > 0.2]).astype(int)


@pytest.mark.parametrize(
    "model",
    [
        RandomForestClassifier(3),
        KNeighborsClassifier(),
        MLPClassifier((3,), max_iter=5),
        RidgeClassifier(),
        OneVsRestClassifier(LogisticRegression()),
        ClassifierChain(LogisticRegression()),
        MultiOutputClassifier(LogisticRegression()),
        make_pipeline(StandardScaler(), MLPClassifier((3,), max_iter=5)),
    ],
    ids=lambda model: type(getattr(model, "steps", [("", model)])[-1][1]).__name__,
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_classifiers_are_refused_with_the_way_out(model: Any) -> None:
    with pytest.raises(ConversionError, match="several answers for each row") as caught:
        convert_estimator(model.fit(X, Y), columns_of(X))
    assert "`estimators_` in a file of its own" in str(caught.value.hint)
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    assert str(caught.value).startswith(type(last).__name__)


def test_the_way_out_leads_somewhere() -> None:
    for one in MultiOutputClassifier(LogisticRegression()).fit(X, Y).estimators_:
        assert_answers(one, X)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_network_predicts_one_number_or_several(activation: Any) -> None:
    targets = X[["a", "b"]] * 2
    assert_answers(
        MLPRegressor(hidden_layer_sizes=(4, 3), activation=activation, max_iter=5).fit(X, targets), X
    )
    one = MLPRegressor(hidden_layer_sizes=(4,), activation=activation, max_iter=5)
    assert_answers(make_pipeline(StandardScaler(), one).fit(X, targets["a"]), X)


def test_xgboost_says_each_answers_probability_as_a_booster() -> None:
    import xgboost

    from validator.libraries.xgboost.live import LiveXGBoost

    live, model = LiveXGBoost(), xgboost.XGBClassifier(n_estimators=3).fit(X, Y)
    assert live.task(model.get_booster()) == "regression"
    single = xgboost.XGBClassifier(n_estimators=3).fit(X, Y[:, 0])
    assert live.task(single.get_booster()) == "binary"
