"""Text beside numbers of double size: nothing is rounded on the way, and words are weighed as scikit-learn does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import IsolationForest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers, converted

RNG = np.random.default_rng(3)
WORDS = ["alpha", "beta", "gamma", "delta", "eta", "theta"]
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Rome", "Oslo", "Lima"], 300),
        "words": [" ".join(RNG.choice(WORDS, RNG.integers(1, 9))) for _ in range(299)] + ["nothing"],
        "when": 1.7e9 + RNG.normal(size=300) * 50,
    }
)
ANSWERS = ((FRAME["when"] > 1.7e9) ^ (FRAME["city"] == "Oslo")).astype(int)


@pytest.mark.parametrize(
    "step",
    [
        OneHotEncoder(),
        CountVectorizer(),
        CountVectorizer(binary=True, ngram_range=(1, 2)),
        TfidfVectorizer(),
        TfidfVectorizer(sublinear_tf=True, norm="l1"),
        TfidfVectorizer(norm=None, smooth_idf=False),
        make_pipeline(CountVectorizer(), TfidfTransformer(sublinear_tf=True)),
    ],
)
@pytest.mark.parametrize("text_first", [True, False])
def test_numbers_beside_text_stay_double(step: Any, text_first: bool) -> None:
    text = ("text", step, ["city"] if isinstance(step, OneHotEncoder) else "words")
    number = ("number", StandardScaler(), ["when"])
    both = ColumnTransformer([text, number] if text_first else [number, text])
    for last in (LogisticRegression(), LGBMClassifier(n_estimators=4, verbose=-1, n_jobs=1)):
        assert_answers(make_pipeline(both, last).fit(FRAME, ANSWERS), FRAME, tolerance=1e-11)


def test_a_graph_in_float32_says_what_double_lacked() -> None:
    frame = FRAME[["when"]] - 1.7e9
    model = IsolationForest(n_estimators=5, random_state=0).fit(frame)
    file, _ = converted(model, frame)
    assert file.input_dtype == "float32"
    assert file.reason.startswith("in float32, since")
    assert "DoubleTensorType" in file.reason
