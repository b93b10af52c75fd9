"""The wrapper that teams write first: it loads, it answers, and it checks nothing. Do not deploy it.

What it leaves out is what `serving.py` beside it adds: it takes columns by position and under any name, answers
NaN and infinity, cannot say which model it runs, never looks at what the model answers, measures no call, and fails
with whatever error its libraries happen to raise.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


class TradingModelDeployment:
    """Tomorrow's direction of the market from ten features of today."""

    def __init__(self) -> None:
        self.model: Any = None

    def load_model(self, path: str) -> None:
        with open(path, "rb") as file:  # noqa: PTH123 -- as it was written
            self.model = pickle.load(file)

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        return self.model.predict_proba(np.asarray(features))

    def predict_single(self, features: Mapping[str, float]) -> np.ndarray:
        return self.predict(pd.DataFrame([features]))[0]

    def batch_predict(self, rows: Sequence[Mapping[str, float]]) -> np.ndarray:
        return np.array([self.predict_single(row) for row in rows])
