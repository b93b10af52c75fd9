"""XGBoost behind steps that give sparse matrices: what those do not store is missing to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MaxAbsScaler, OneHotEncoder

from tests.unit.pipelines.by_onnx import assert_answers
from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

RNG = np.random.default_rng(0)
ROWS = 300
FRAME = pd.DataFrame(
    {
        "a": RNG.normal(size=ROWS),
        "b": RNG.integers(0, 4, ROWS).astype(float),
        "city": RNG.choice(["Rome", "Oslo", "Lima"], ROWS),
        "words": [
            " ".join(RNG.choice(["a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"], 2)) for _ in range(ROWS)
        ],
    }
)
ANSWERS = ((FRAME["a"] > 0) ^ (FRAME["city"] == "Oslo") ^ FRAME["words"].str.contains("a1")).astype(int)


def boosted(**params: Any) -> Any:
    return xgboost.XGBClassifier(n_estimators=5, max_depth=4, n_jobs=1, **params)


def columns(*steps: Any) -> Any:
    return ColumnTransformer(list(steps), sparse_threshold=1.0)


CITY = ("city", OneHotEncoder(handle_unknown="ignore"), ["city"])
BINS = KBinsDiscretizer(3, quantile_method="averaged_inverted_cdf")
NUMBERS = ("numbers", "passthrough", ["a", "b"])


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(columns(CITY, NUMBERS), boosted()),
        make_pipeline(columns(CITY, ("t", TfidfVectorizer(), "words")), boosted()),
        make_pipeline(columns(("t", CountVectorizer(), "words"), NUMBERS), MaxAbsScaler(), boosted()),
        make_pipeline(columns(CITY, NUMBERS), SelectKBest(f_classif, k=3), boosted()),
        make_pipeline(columns(("bins", BINS, ["a"]), CITY), boosted()),
        make_pipeline(columns(CITY, NUMBERS), FeatureUnion([("k", SelectKBest(k=2))]), boosted()),
        make_pipeline(columns(CITY, NUMBERS), VotingClassifier([("x", boosted())], voting="soft")),
        make_pipeline(columns(CITY, NUMBERS), StackingClassifier([("x", boosted())], LogisticRegression(), cv=2)),
    ],
)  # fmt: skip
def test_zeros_that_are_not_stored_are_missing(model: Any) -> None:
    file = assert_answers(model.fit(FRAME, ANSWERS), FRAME, tolerance=1e-6)
    assert "sparse-zeros" in [hazard.id for hazard in file.hazards]


def test_a_dense_matrix_keeps_its_zeros() -> None:
    dense = ColumnTransformer([CITY, NUMBERS], sparse_threshold=0)
    file = assert_answers(make_pipeline(dense, boosted()).fit(FRAME, ANSWERS), FRAME, tolerance=1e-6)
    assert file.hazards == ()


def test_a_number_that_is_missing_beside_zeros_is_refused_with_the_remedy() -> None:
    model = make_pipeline(columns(CITY, NUMBERS), boosted(missing=-1.0)).fit(FRAME, ANSWERS)
    kinds = [("a", "float64"), ("b", "float64"), ("city", "string"), ("words", "string")]
    with pytest.raises(ConversionError, match="every zero of the sparse matrix") as caught:
        convert_estimator(model, kinds)
    assert "sparse_output=False" in str(caught.value.hint)
