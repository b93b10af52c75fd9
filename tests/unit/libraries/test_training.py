"""What a fitted model still knows of the columns that it was trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from validator.libraries.training import trained_on

RNG = np.random.default_rng(5)
ROWS = 240
FRAME = pd.DataFrame(
    {
        "city": RNG.choice(["Oslo", "Paris", "Bern"], ROWS),
        "spend": RNG.normal(size=ROWS),
        "plan": RNG.choice(["a", "b"], ROWS),
        "visits": RNG.integers(0, 4, ROWS),
    }
)
ANSWER = (FRAME["visits"] > 1).to_numpy().astype(int)
CITIES = ["Bern", "Oslo", "Paris"]


def told(model: Any) -> dict[int, Any]:
    return {
        one["column"]: (one["values"], one["missing"], one["answers_others"])
        for one in trained_on(model)
        if (one["values"], one["missing"]) != (None, None)
    }


@pytest.mark.parametrize(
    ("chosen", "place"),
    [(["city"], 0), ([0], 0), (slice(0, 1), 0), (slice("city", "city"), 0), ([-2], 2), ("mask", 2)],
)
@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder(), TargetEncoder(cv=2)])
def test_categories_are_found_behind_column_transformers(encoder: Any, chosen: Any, place: int) -> None:
    chosen = [False, False, True, False] if chosen == "mask" else chosen
    parts = ColumnTransformer([("c", encoder, chosen), ("n", StandardScaler(), ["spend"])])
    found = told(make_pipeline(parts, LogisticRegression()).fit(FRAME, ANSWER))
    values = CITIES if place == 0 else ["a", "b"]
    assert found == {place: (values, None, isinstance(encoder, TargetEncoder))}


def test_imputers_take_missing_values_and_lead_on_to_the_encoder() -> None:
    filled = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder())
    counted = make_pipeline(SimpleImputer(missing_values=-1), StandardScaler())
    parts = ColumnTransformer(
        [("c", filled, ["plan"]), ("n", SimpleImputer(), ["spend"]), ("v", counted, ["visits"])]
    )
    frame = FRAME.mask(RNG.random(FRAME.shape) < 0.1).assign(visits=FRAME["visits"])
    found = told(make_pipeline(parts, LogisticRegression()).fit(frame, ANSWER))
    assert found == {2: (["a", "b", "none"], True, False), 1: (None, True, True)}


def test_a_category_of_its_own_for_what_is_missing() -> None:
    frame = FRAME[["plan"]].mask(RNG.random((ROWS, 1)) < 0.1)
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(frame, ANSWER)
    assert told(model) == {0: (["a", "b"], True, True)}


def test_behind_a_step_that_mixes_columns_nothing_is_told() -> None:
    union = FeatureUnion([("a", OneHotEncoder()), ("b", OrdinalEncoder())])
    model = make_pipeline(union, LogisticRegression()).fit(FRAME[["plan"]], ANSWER)
    assert told(model) == {0: (["a", "b"], None, False)}
    scaled = make_pipeline(StandardScaler(), OrdinalEncoder(), LogisticRegression())
    assert told(scaled.fit(FRAME[["visits"]], ANSWER)) == {}


def test_boosting_over_categories_holds_an_encoder_of_its_own() -> None:
    frame = FRAME.astype({"city": "category"})[["spend", "city"]]
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=3).fit(frame, ANSWER)
    assert told(model) == {1: (CITIES, None, True)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, {0: True, 1: False}), ({"use_missing": False}, {}), ({"zero_as_missing": True}, {})],
)
def test_lightgbm_tells_by_its_splits_what_was_missing(options: Any, expected: dict[int, bool]) -> None:
    import lightgbm as lgb

    frame = FRAME[["spend", "visits"]].assign(idle=1.0)
    frame.loc[::7, "spend"] = np.nan
    answer = np.where(frame["spend"].isna(), 1, ANSWER)
    model = lgb.LGBMClassifier(n_estimators=6, n_jobs=1, verbosity=-1, min_child_samples=5, **options)
    found = told(model.fit(frame, answer))
    assert {column: missing for column, (_, missing, _) in found.items()} == expected


def test_catboost_tells_what_was_missing() -> None:
    import catboost

    frame = FRAME[["spend", "visits"]].copy()
    frame.loc[::7, "spend"] = np.nan
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, thread_count=1)
    assert told(model.fit(frame, ANSWER)) == {0: (None, True, True), 1: (None, False, True)}


WHOLE = pd.DataFrame(
    {"a": RNG.integers(-9, 9, ROWS), "b": RNG.integers(0, 400, ROWS), "yes": RNG.integers(0, 2, ROWS) > 0}
)
PART = WHOLE.astype({"a": float, "b": float}).assign(b=lambda one: one["b"] * 0.731)
WHOLE_ANSWER = (WHOLE["a"] + WHOLE["b"] / 50 > 3).to_numpy().astype(int)


def numbers(model: Any) -> dict[int, str]:
    return {one["column"]: one["numbers"] for one in trained_on(model) if one["numbers"]}


def trees_and_scalers() -> list[Any]:
    quiet = {"verbose": 0, "allow_writing_files": False}
    return [
        LGBMClassifier(n_estimators=3, verbosity=-1),
        CatBoostClassifier(iterations=5, **quiet),
        CatBoostClassifier(iterations=5, feature_border_type="Uniform", **quiet),
        DecisionTreeClassifier(max_depth=5),
        RandomForestClassifier(5),
        ExtraTreesClassifier(5),
        IsolationForest(n_estimators=5),
        BaggingClassifier(n_estimators=5, max_features=2, bootstrap_features=True),
        GradientBoostingClassifier(n_estimators=5),
        HistGradientBoostingClassifier(max_iter=5),
        *(
            make_pipeline(one, LogisticRegression())
            for one in (StandardScaler(), MinMaxScaler(), MaxAbsScaler())
        ),
        make_pipeline(SimpleImputer(), LGBMClassifier(n_estimators=3, verbosity=-1)),
    ]


@pytest.mark.parametrize("model", trees_and_scalers(), ids=lambda one: str(one)[:60])
def test_a_model_tells_of_fractions_in_training_and_of_none_where_there_were_none(model: Any) -> None:
    assert numbers(model.fit(WHOLE, WHOLE_ANSWER)) == {}
    silent = ("feature_border_type", "ExtraTrees", "Isolation", "Bagging", "SimpleImputer")
    expected = {} if any(word in str(model) or _set(model) == word for word in silent) else {1: "float"}
    assert numbers(model.fit(PART, WHOLE_ANSWER)) == expected


def _set(model: Any) -> str:
    found = model.get_params().get("feature_border_type") if isinstance(model, CatBoostClassifier) else None
    return "feature_border_type" if found else ""


def test_xgboost_tells_the_types_of_a_frames_columns_and_none_of_a_matrix() -> None:
    model = XGBClassifier(n_estimators=3, max_depth=2)
    assert numbers(model.fit(PART.assign(a=WHOLE["a"]), WHOLE_ANSWER)) == {
        0: "integer",
        1: "float",
        2: "bool",
    }
    assert numbers(model.get_booster()) == {0: "integer", 1: "float", 2: "bool"}
    assert numbers(XGBClassifier(n_estimators=3).fit(PART.to_numpy(dtype=float), WHOLE_ANSWER)) == {}
