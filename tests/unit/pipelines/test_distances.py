"""Envelopes and codes: scikit-learn's labels and scores, beside the border too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.covariance import EllipticEnvelope
from sklearn.datasets import load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from tests.unit.pipelines.by_onnx import assert_answers, converted

X, Y = load_wine(return_X_y=True, as_frame=True)
X = X.iloc[:, :4].set_axis(list("abcd"), axis=1)
ROWS = pd.concat([X, X * 1.5, X * -1]).reset_index(drop=True)


@pytest.mark.parametrize("contamination", [0.1, 0.4])
def test_an_envelope_parts_rows_where_scikit_learn_does(contamination: float) -> None:
    model = EllipticEnvelope(contamination=contamination, random_state=0).fit(X)
    _, found = converted(model, ROWS)
    expected = model.decision_function(ROWS)
    assert found["label"].tolist() == model.predict(ROWS).tolist()
    assert set(found["label"]) == {1, -1}
    assert np.abs(found["score"] - expected).max() <= 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize(
    "inner",
    [
        LogisticRegression(),
        DecisionTreeClassifier(max_depth=3, random_state=0),
        LinearSVC(random_state=0),
    ],
    ids=lambda inner: type(inner).__name__,
)
@pytest.mark.parametrize("labels", [None, np.array(["red", "white", "rose"])], ids=["numbers", "words"])
def test_codes_are_read_as_scikit_learn_does(inner: Any, labels: Any) -> None:
    answers = Y if labels is None else labels[Y]
    coded = OutputCodeClassifier(inner, code_size=2.5, random_state=0)
    assert_answers(make_pipeline(StandardScaler(), coded).fit(X, answers), ROWS)
