"""Which columns a model looks at, and what it knows of those with text: told by the fitted transformer alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers
from validator.checks.load.sample import _judge_order
from validator.libraries.adapter import Adapter
from validator.libraries.description import describe
from validator.model.contract import Observer
from validator.settings.table import Settings
from validator.table import Column, Table

RNG = np.random.default_rng(5)
FRAME = pd.DataFrame(
    {
        "day": pd.date_range("2020-01-01", periods=200),
        "a": RNG.normal(size=200),
        "gone": 1.0,
        "b": RNG.normal(size=200),
        "city": RNG.choice(["Rome", "Oslo", "Lima"], 200),
        "words": RNG.choice(["one two", "three four", "two four"], 200),
    }
)
ANSWERS = (FRAME["a"] > 0).astype(int)
ENCODED = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))


@pytest.mark.parametrize(
    "branches",
    [
        [("c", ENCODED, ["city"]), ("n", StandardScaler(), ["a", "b"]), ("x", "drop", ["gone"])],
        [("c", ENCODED, [4]), ("n", StandardScaler(), [1, 3])],
        [("n", StandardScaler(), slice("a", "b")), ("c", ENCODED, lambda frame: frame.columns == "city")],
    ],
)
@pytest.mark.parametrize("searched", [False, True])
def test_dropped_columns_are_no_features(branches: Any, searched: bool) -> None:
    model = make_pipeline(ColumnTransformer(branches), LogisticRegression())
    if searched:
        model = GridSearchCV(model, {"logisticregression__C": [1.0, 2.0]}, cv=2)
    model.fit(FRAME.drop(columns="gone") if isinstance(branches[0][2], slice) else FRAME, ANSWERS)
    adapter = Adapter(model)
    assert adapter.feature_names == ["a", "b", "city"]
    assert set(adapter.unused) >= {"day", "words"}
    told = {one["column"]: one["values"] for one in describe(model)["trained_on"]}
    assert told[2] == ["Lima", "Oslo", "Rome"]
    assert adapter.facts["free_texts"] == []
    assert_answers(model, FRAME[["a", "b", "city"]])


def test_a_column_that_goes_on_untouched_is_a_feature() -> None:
    columns = ColumnTransformer([("x", "drop", ["day", "words", "city"])], remainder="passthrough")
    adapter = Adapter(make_pipeline(columns, LogisticRegression()).fit(FRAME, ANSWERS))
    assert adapter.feature_names == ["a", "gone", "b"]


def test_what_a_vectoriser_reads_is_free_text() -> None:
    columns = ColumnTransformer(
        [("t", TfidfVectorizer(), "words"), ("c", OneHotEncoder(), ["city", "words"])]
    )
    adapter = Adapter(make_pipeline(columns, LogisticRegression()).fit(FRAME, ANSWERS))
    assert adapter.facts["free_texts"] == ["words"]


def test_the_contract_lists_every_text_of_an_encoder_and_none_of_a_vectoriser() -> None:
    many = [f"u{i:05}" for i in range(1_500)]
    observer = Observer(free=["note"], listed=["user"])
    for start in (0, 700):
        texts = np.array([*many[start : start + 800], None], dtype=object)
        notes = np.array(["a"] * 801, dtype=object)
        observer.observe(Table.of([Column("user", texts), Column("note", notes), Column("other", texts)]))
    user, note, other = observer.features
    assert sorted(map(str, user.categories or ())) == many
    assert user.missing
    assert note.categories is None
    assert other.categories is None


@pytest.mark.parametrize(
    ("names", "column_order", "status"),
    [
        (["age", "height"], "auto", "fail"),
        (["age", "height"], "sample", "pass"),
        (["age"], "auto", "pass"),
        (["0", "1", "2"], "auto", "pass"),
        (["f1", "f2", "f10"], "auto", "pass"),
        (["f1", "f10", "f2"], "auto", "fail"),
        (["f0", "g1"], "auto", "fail"),
    ],
)
def test_columns_of_a_model_without_names_need_an_order(
    names: list[str], column_order: Any, status: str
) -> None:
    sample: Any = SimpleNamespace(names=names)
    settings = Settings(column_order=column_order)
    found = _judge_order(settings, sample, names, None, 500)
    assert found.status == status
    assert status == "pass" or "column_order" in found.hint
    assert _judge_order(settings, sample, names, names, 500).status == "pass"
