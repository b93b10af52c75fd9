"""Encoders of categories: numbers between categories, missing, rare and unseen ones, dropped ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

_RNG = np.random.default_rng(0)
_N = 240


def _sample(missing: bool) -> pd.DataFrame:
    cities = np.array(["Oslo", "Bern", "Rome", "Nuuk", "Lima"], dtype=object)
    frame = pd.DataFrame(
        {
            "rooms": _RNG.choice([1.0, 2.0, 3.5, 7.0], _N, p=[0.5, 0.4, 0.06, 0.04]),
            "city": _RNG.choice(cities, _N, p=[0.5, 0.3, 0.1, 0.06, 0.04]),
            "size": _RNG.normal(size=_N),
        }
    )
    if missing:
        frame.loc[::7, "rooms"] = np.nan
        frame.loc[::9, "city"] = np.nan
    return frame


def _odd(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows, some with numbers next to a category and some with categories that training never saw."""
    odd = frame.copy()
    for row, value in enumerate([np.nextafter(2.0, 0), np.nextafter(2.0, 3), 1.5, -1.0, 99.0, 2.0 + 1e-9]):
        odd.loc[row, "rooms"] = value
    odd.loc[4:9, "city"] = "Atlantis"
    return odd


def _answers(model: Any, rows: pd.DataFrame, output: int = 0) -> np.ndarray:
    import onnxruntime

    found = convert_estimator(model, [("rooms", "float64"), ("city", "string"), ("size", "float64")])
    assert found.input_dtype == "float64"
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    text = rows["city"].astype(object).where(rows["city"].notna(), "").to_numpy(object)[:, None]
    given = {"city": text, **{name: rows[[name]].to_numpy(np.float64) for name in ("rooms", "size")}}
    answer: np.ndarray = session.run(None, given)[output]
    return answer


_ENCODERS = [
    OneHotEncoder(handle_unknown="ignore"),
    OneHotEncoder(handle_unknown="ignore", drop="first", sparse_output=False),
    OneHotEncoder(handle_unknown="ignore", drop="if_binary", dtype=int),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30),
    OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.045),
    OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3, drop="first"),
    OneHotEncoder(handle_unknown="ignore", min_frequency=30),
    OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
    OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=50, encoded_missing_value=-2, min_frequency=30
    ),
    TargetEncoder(),
    TargetEncoder(smooth=3.0),
]


@pytest.mark.parametrize("missing", [False, True], ids=["whole", "missing"])
@pytest.mark.parametrize("encoder", _ENCODERS, ids=repr)
@pytest.mark.filterwarnings("ignore:Found unknown categories")
def test_encoders_answer_as_scikit_learn_does(encoder: Any, missing: bool) -> None:
    frame = _sample(missing)
    chosen = ColumnTransformer([("codes", encoder, ["rooms", "city"]), ("plain", "passthrough", ["size"])])
    target = frame["size"] + frame["rooms"].fillna(5) * 2 + (frame["city"] == "Bern")
    model = make_pipeline(chosen, LinearRegression()).fit(frame, target)
    for rows in (frame, _odd(frame)):
        assert np.abs(_answers(model, rows).ravel() - model.predict(rows)).max() < 1e-9


@pytest.mark.parametrize("classes", [2, 3])
def test_target_encoders_know_a_mean_for_each_class(classes: int) -> None:
    frame = _sample(missing=True)
    labels = np.digitize(frame["size"] + (frame["city"] == "Bern"), [0.0, 1.0][: classes - 1])
    chosen = ColumnTransformer([("means", TargetEncoder(), ["rooms", "city"])])
    model = make_pipeline(chosen, LogisticRegression()).fit(frame, labels)
    for rows in (frame, _odd(frame)):
        assert np.abs(_answers(model, rows, output=1) - model.predict_proba(rows)).max() < 1e-9


def test_a_missing_text_beside_an_empty_one_is_refused() -> None:
    frame = _sample(missing=True)
    frame.loc[::5, "city"] = ""
    chosen = ColumnTransformer([("codes", OneHotEncoder(), ["city"]), ("plain", "passthrough", ["size"])])
    model = make_pipeline(chosen, LinearRegression()).fit(frame, frame["size"])
    with pytest.raises(ConversionError, match="a missing and an empty one"):
        _answers(model, frame)
