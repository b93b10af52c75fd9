"""What is said of a file that holds no model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from validator.libraries.adapter import Adapter, NotAModelError
from validator.libraries.contents import describe, remedy

X = np.eye(4)
MODEL = LogisticRegression().fit(X, [0, 1, 0, 1])
SCALER = StandardScaler().fit(X)


def test_keys_types_and_widths_are_told_two_levels_deep() -> None:
    saved = {"scaler": SCALER, "model": MODEL, "about": {"auc": 0.9, "parts": [MODEL]}, "names": ["a"] * 4}
    assert describe(saved) == (
        "the file holds a dictionary ('scaler': StandardScaler of 4 features, 'model': LogisticRegression of 4 "
        "features, 'about': dict of ('auc': 0.9, 'parts': list of 1), 'names': list of 4), not a model"
    )


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"scaler": SCALER, "model": MODEL}, "make_pipeline(saved['scaler'], saved['model'])"),
        ((SCALER, MODEL), "make_pipeline(saved[0], saved[1])"),
        ({"model": MODEL, "auc": 0.9}, "save saved['model'] alone, the LogisticRegression"),
        ([MODEL, MODEL], "each model in a file of its own: saved[0], saved[1]"),
        (SCALER, "with the StandardScaler as a step"),
        (X, "save the fitted estimator itself"),
        ({}, "save the fitted estimator itself"),
    ],
    ids=["dictionary", "tuple", "alone", "several", "transformer", "array", "empty"],
)
def test_the_remedy_is_in_terms_of_what_is_there(saved: Any, said: str) -> None:
    assert said in remedy(saved)
    with pytest.raises(NotAModelError, match="the file holds a ") as caught:
        Adapter(saved)
    assert caught.value.hint == remedy(saved)


def test_a_container_that_holds_itself_comes_to_an_end() -> None:
    endless: dict[str, Any] = {}
    endless["self"] = endless
    assert (
        describe(endless) == "the file holds a dictionary ('self': dict of ('self': dict of 1)), not a model"
    )


def test_long_containers_and_keys_are_cut() -> None:
    saved = {f"{i}" * 100: i for i in range(50)}
    said = describe(saved)
    assert "and 38 more" in said
    assert len(said) < 1_000


def test_what_was_never_fitted_is_told_as_such() -> None:
    import lightgbm
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    searched = GridSearchCV(LogisticRegression(), {"C": [1.0]})
    piped = make_pipeline(StandardScaler(), LogisticRegression())
    for model in (LogisticRegression(), piped, searched, lightgbm.LGBMClassifier()):
        with pytest.raises(NotAModelError, match=f"{type(model).__name__} that was never fitted") as caught:
            Adapter(model)
        assert caught.value.hint.startswith("call fit before saving it")
    Adapter(make_pipeline(StandardScaler(), LogisticRegression()).fit(X, [0, 1, 0, 1]))
