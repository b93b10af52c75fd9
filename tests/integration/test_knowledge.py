"""A pipeline that knows Paris, and a sample that has no row from there."""

from __future__ import annotations

import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.integration.command import judge, unhurried
from validator import Deployment


def _trained(tmp_path: Path) -> Any:
    """A model that knows Paris and missing values, beside a sample without either."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "city": rng.choice(["Oslo", "Paris", "Bern"], 600),
            "plan": rng.choice(["a", "b"], 600),
            "spend": np.where(rng.random(600) < 0.1, np.nan, rng.normal(size=600)),
        }
    )
    answer = (frame["city"] == "Paris") ^ (frame["spend"] > 0)
    parts = ColumnTransformer(
        [
            ("c", OneHotEncoder(handle_unknown="ignore"), ["city"]),
            ("p", OneHotEncoder(), ["plan"]),
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["spend"]),
        ]
    )
    model = make_pipeline(parts, LogisticRegression()).fit(frame, answer.astype(int))
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    frame[frame["city"] != "Paris"].dropna().to_parquet(tmp_path / "s.parquet", index=False)
    unhurried(tmp_path)
    return model


def test_the_deployment_answers_what_the_model_was_trained_on(tmp_path: Path) -> None:
    model = _trained(tmp_path)

    ran = judge("validate", "m.pkl", "--data", "s.parquet", "--boundary-rows", 500, cwd=tmp_path)

    assert ran.code == 0, ran.out + ran.err
    checks = {check["id"]: check for check in ran.result["checks"] if not check["runtime"]}
    assert "'Paris' in 'city'; missing values in 'spend'" in checks["load.knowledge"]["message"]
    assert "rows with missing values agree" in checks["parity.missing"]["message"]
    (artifact,) = (tmp_path / "preflight/artifact/m").glob("v_*")
    served = Deployment.load(artifact)
    for row in ({"city": "Paris", "plan": "a", "spend": 0.3}, {"city": "Paris", "plan": "b", "spend": None}):
        wanted = model.predict_proba(pd.DataFrame([row]).astype({"spend": "float64"}))[0]
        assert np.allclose(served.predict_single(row).probabilities, wanted, rtol=0, atol=1e-6)


@pytest.mark.long
def test_init_writes_what_the_model_knows(tmp_path: Path) -> None:
    _trained(tmp_path)
    ran = judge("init", "m.pkl", "--data", "s.parquet", "--output", "written.toml", cwd=tmp_path)
    assert ran.code == 0, ran.err
    features = tomllib.loads((tmp_path / "written.toml").read_text())["contract"]["features"]
    assert {one["name"]: (one["dtype"], one["missing"], one.get("categories")) for one in features} == {
        "city": ("string", False, ["Bern", "Oslo", "Paris"]),
        "plan": ("string", False, ["a", "b"]),
        "spend": ("float64", True, None),
    }
