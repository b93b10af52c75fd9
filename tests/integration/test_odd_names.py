"""Columns are named by people: as survey questions, with quotes, with blanks that cannot be seen."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from tests.integration.command import run, unhurried

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
    done = run(
        "validate", "m0.joblib", "m1.joblib", "--data", "sample.parquet", "--latency-budget-s", "0.3",
        "--boundary-rows", "200", cwd=tmp_path,
    )  # fmt: skip
    assert done.code == 0, done.out
