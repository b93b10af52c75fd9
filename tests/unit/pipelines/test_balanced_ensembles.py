"""imbalanced-learn's ensembles answer as the scikit-learn classes that they extend, and are converted as those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from tests.unit.pipelines.by_onnx import assert_answers, columns_of
from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

X = pd.DataFrame(np.random.default_rng(0).normal(size=(80, 3)), columns=list("abc"))
Y = (X["a"] > 0.3).astype(int)


def of_imblearn(name: str, parent: type) -> Any:
    """A class of that name as imbalanced-learn has it, which is not among what tests install."""
    return type(name, (parent,), {"__module__": "imblearn.ensemble._stand_in"})


@pytest.mark.parametrize(
    ("name", "parent", "settings"),
    [
        ("BalancedRandomForestClassifier", RandomForestClassifier, {"n_estimators": 4}),
        (
            "BalancedBaggingClassifier",
            BaggingClassifier,
            {"estimator": LogisticRegression(), "n_estimators": 3},
        ),
    ],
)
def test_converted_as_the_class_that_they_extend(name: str, parent: type, settings: dict[str, Any]) -> None:
    kind = of_imblearn(name, parent)
    model = kind(random_state=0, **settings).fit(X, Y)
    file = assert_answers(model, X)
    assert file.hazards[0].id == "samplers"
    assert f"converted as the {parent.__name__}" in file.hazards[0].message
    assert type(model) is kind, "the model itself was changed"


def test_others_are_refused_by_name() -> None:
    model = of_imblearn("TwistedClassifier", RandomForestClassifier)(2).fit(X, Y)
    with pytest.raises(ConversionError, match="TwistedClassifier of imbalanced-learn") as caught:
        convert_estimator(model, columns_of(X))
    assert "BalancedRandomForestClassifier" in str(caught.value.hint)
