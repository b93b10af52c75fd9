"""Missing text is filled in before it is encoded, as in scikit-learn's own guide to mixed tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from validator.pipelines.fallback import convert_estimator

_RNG = np.random.default_rng(0)
_N = 200


@pytest.mark.parametrize("columns", [["city"], ["city", "kind"]], ids=["one", "two"])
@pytest.mark.parametrize(
    "imputer",
    [SimpleImputer(strategy="most_frequent"), SimpleImputer(strategy="constant", fill_value="none")],
)
def test_missing_text_is_filled_in(imputer: Any, columns: list[str]) -> None:
    frame = pd.DataFrame(
        {
            "size": _RNG.normal(size=_N),
            "city": _RNG.choice(["Oslo", "Bern", "Rome"], _N, p=[0.6, 0.3, 0.1]),
            "kind": _RNG.choice(["x", "y"], _N),
        }
    )
    frame.loc[::7, "city"] = np.nan
    frame.loc[::5, "kind"] = np.nan
    text = make_pipeline(imputer, OneHotEncoder(handle_unknown="ignore"))
    chosen = ColumnTransformer([("t", text, columns), ("n", StandardScaler(), ["size"])])
    target = (frame["size"] + frame["city"].isna() + (frame["kind"] == "x") > 0.5).astype(int)
    model = make_pipeline(chosen, LogisticRegression()).fit(frame, target)

    import onnxruntime

    kinds = [("size", "float64"), ("city", "string"), ("kind", "string")]
    found = convert_estimator(model, kinds)
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    given = {
        name: frame[[name]].fillna("").to_numpy(object) if kind == "string" else frame[[name]].to_numpy()
        for name, kind in kinds
    }
    asked = {value.name for value in session.get_inputs()}
    label, probabilities = session.run(None, {name: value for name, value in given.items() if name in asked})
    assert label.tolist() == model.predict(frame).tolist()
    assert np.abs(probabilities - model.predict_proba(frame)).max() < 1e-12
