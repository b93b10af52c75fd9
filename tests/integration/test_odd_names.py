"""Columns are named by people: as survey questions, with quotes, with blanks that cannot be seen."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from tests.integration.command import judge, unhurried

NAMES = [
    "How satisfied were you, over the last twelve months, with the service in branches",
    "How satisfied were you, over the last twelve months, with the service by telephone",
    'a "quoted" name and it\'s \\ back',
    "blank\N{NO-BREAK SPACE}and\ttab",
    "x" * 300,
]


def test_a_model_with_odd_names_passes(tmp_path):
    """The last one is left out, misspelt and so on: the deployment's error must be seen to name it."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(200, len(NAMES))), columns=NAMES)
    truth = (table.to_numpy()[:, 0] > 0).astype(int)
    for number, order in enumerate((NAMES, NAMES[::-1])):
        joblib.dump(LogisticRegression().fit(table[order], truth), tmp_path / f"m{number}.joblib")
    table.to_parquet(tmp_path / "sample.parquet")
    unhurried(tmp_path)
    done = judge(
        "validate", "m0.joblib", "m1.joblib", "--data", "sample.parquet", "--latency-budget-s", "0.3",
        "--boundary-rows", "200", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.out


def test_half_a_character_in_a_name_is_one_failed_check(tmp_path):
    """A lone surrogate, which no UTF-8 holds, among the columns or the classes."""
    rng = np.random.default_rng(5)
    table = pd.DataFrame(rng.normal(size=(60, 2)), columns=["a", "b"])
    truth = (table["a"] > 0).astype(int)
    table.to_csv(tmp_path / "sample.csv", index=False)
    named = LogisticRegression().fit(table, truth)
    named.feature_names_in_ = np.array(["a", "b\ud800"], dtype=object)
    joblib.dump(named, tmp_path / "columns.joblib")
    joblib.dump(LogisticRegression().fit(table, np.where(truth, "y\udfff", "n")), tmp_path / "classes.joblib")
    for name in ("columns", "classes"):
        done = judge(
            "validate", f"{name}.joblib", "--data", "sample.csv", "--boundary-rows", "100", cwd=tmp_path
        )
        assert done.code == 1, done.out
        assert "half of a character" in done.out
        assert "Traceback" not in done.out + done.err
