"""Classifiers with a threshold of their own: scikit-learn's labels, on the threshold itself too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from tests.unit.pipelines.by_onnx import assert_answers

X, Y = load_breast_cancer(return_X_y=True, as_frame=True)
X = X.iloc[:, :4]
WORDS = np.where(Y == 1, "yes", "no")


def scaled(model: Any) -> Any:
    return make_pipeline(StandardScaler(), model)


@pytest.mark.parametrize(
    "model",
    [
        TunedThresholdClassifierCV(HistGradientBoostingClassifier(max_iter=5), cv=3),
        TunedThresholdClassifierCV(scaled(LogisticRegression()), cv=3),
        FixedThresholdClassifier(scaled(LogisticRegression()), threshold=0.8),
        FixedThresholdClassifier(scaled(LogisticRegression()), threshold=0.8, pos_label="no"),
        FixedThresholdClassifier(scaled(LogisticRegression()), threshold=0.7, response_method="decision_function"),
        FixedThresholdClassifier(scaled(LinearSVC()), threshold=0.1),
        FixedThresholdClassifier(scaled(SVC()), threshold=0.3, pos_label="no"),
        scaled(FixedThresholdClassifier(LogisticRegression())),
        GridSearchCV(FixedThresholdClassifier(scaled(LogisticRegression())), {"threshold": [0.2, 0.8]}, cv=2),
    ],
)  # fmt: skip
def test_labels_are_by_the_models_own_threshold(model: Any) -> None:
    assert_answers(model.fit(X, WORDS), X, tolerance=1e-11)


def test_a_tie_is_the_class_that_the_threshold_is_about() -> None:
    rows = X.round(0)
    for label in (0, 1):
        forest = RandomForestClassifier(10, max_depth=2, random_state=0, bootstrap=False, max_features=1)
        model = FixedThresholdClassifier(forest, pos_label=label).fit(rows, Y)
        chances = model.predict_proba(rows)[:, label]
        model.threshold = float(np.sort(chances)[len(chances) // 2])
        assert (chances == model.threshold).any()
        assert_answers(model, rows, tolerance=0.0)


def test_the_answers_of_both_kinds_may_be_asked_of_one_model() -> None:
    frame = pd.DataFrame({"a": np.linspace(-3, 3, 50)})
    model = FixedThresholdClassifier(
        LogisticRegression(), threshold=-1.0, response_method="decision_function"
    ).fit(frame, np.arange(50) > 30)
    labels = np.array(model.predict(frame), dtype=int)
    assert labels.sum() > model.estimator_.predict(frame).sum()
    assert_answers(model, frame)
