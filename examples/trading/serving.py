"""The wrapper of `serving_unchecked.py`, mended: checks what goes in and what comes out, times every call, knows
its version. The methods and what they return are the same.

It runs the pickled model in its own library, as one does who does not want the ONNX artifact; whoever does needs no
wrapper, since `validator.Deployment` keeps all these promises.
"""

from __future__ import annotations

import difflib
import hashlib
import math
import numbers
import pickle
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

_KEPT_CALLS = 10_000
_TOLERANCE = 1e-6


class ModelNotLoadedError(RuntimeError):
    """`load_model` was not called, or failed."""


class TradingModelDeployment:
    """Tomorrow's direction of the market from ten features of today: probabilities of [down, up]."""

    def __init__(self) -> None:
        self._model: Any = None
        self._features: tuple[str, ...] = ()
        self._metadata: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._recent: deque[int] = deque(maxlen=_KEPT_CALLS)
        self._calls = 0

    def load_model(self, path: str) -> None:
        """Load the pickled classifier. Trust its source: loading a pickle runs code.

        Raises FileNotFoundError when there is no such file, ValueError when it holds no usable model.
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"there is no model file {path}")
        content = file.read_bytes()
        try:
            model = pickle.loads(content)
        except Exception as error:  # a damaged pickle raises whatever its opcodes lead to
            raise ValueError(f"{path} is truncated or damaged: {error!r}") from error
        names = getattr(model, "feature_name_", None)
        if not callable(getattr(model, "predict_proba", None)) or not names:
            raise ValueError(
                f"{path} holds a {type(model).__name__}, not a classifier that knows its features"
            )
        sha256 = hashlib.sha256(content).hexdigest()
        changed = datetime.fromtimestamp(int(file.stat().st_mtime), tz=UTC)
        self._metadata = {
            "version": f"v_{changed:%Y%m%dT%H%M%SZ}_{sha256[:8]}",
            "sha256": sha256,
            "loaded_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
            "features": list(names),
        }
        self._features = tuple(names)
        self._model = model

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Probabilities [N, 2] for a table whose columns are matched by name.

        Raises KeyError for missing or unknown columns, TypeError for what is no number or no table, ValueError for
        NaN, infinity, no rows, and answers that are no probabilities.
        """
        started = time.perf_counter_ns()
        if not isinstance(features, pd.DataFrame):
            raise TypeError(f"predict takes a DataFrame, not {type(features).__name__}")
        self._check_names(list(features.columns))
        columns = [self._column(name, features[name]) for name in self._features]
        return self._answer(np.column_stack(columns), started)

    def predict_single(self, features: Mapping[str, float]) -> np.ndarray:
        """Probabilities [2] for one row. Raises as `predict` does."""
        started = time.perf_counter_ns()
        return self._answer(np.array([self._row(features)]), started)[0]

    def batch_predict(self, rows: Sequence[Mapping[str, float]]) -> np.ndarray:
        """Probabilities [N, 2] for a list of rows. Raises as `predict` does."""
        started = time.perf_counter_ns()
        if not isinstance(rows, (list, tuple)):
            raise TypeError(f"batch_predict takes a list of mappings, not {type(rows).__name__}")
        self._require_model()
        matrix = np.array([self._row(row) for row in rows], dtype=np.float64).reshape(-1, len(self._features))
        return self._answer(matrix, started)

    def latency_stats(self) -> dict[str, float]:
        """Milliseconds of the last 10,000 answered calls, and how many there were in all."""
        with self._lock:
            recent, calls = list(self._recent), self._calls
        if not recent:
            return {"count": 0}
        p50, p95, p99 = np.quantile(recent, [0.5, 0.95, 0.99]) / 1e6
        return {
            "count": calls,
            "mean_ms": float(np.mean(recent)) / 1e6,
            "p50_ms": float(p50),
            "p95_ms": float(p95),
            "p99_ms": float(p99),
            "max_ms": max(recent) / 1e6,
        }

    def metadata(self) -> dict[str, Any]:
        """Version, hash, time of loading and features of the model that answers."""
        self._require_model()
        return dict(self._metadata)

    def _require_model(self) -> None:
        if self._model is None:
            raise ModelNotLoadedError("call load_model first")

    def _check_names(self, given: list[Any]) -> None:
        self._require_model()
        missing = [name for name in self._features if name not in given]
        unknown = [name for name in given if name not in self._features]
        if missing:
            near = difflib.get_close_matches(missing[0], [str(name) for name in unknown], n=1)
            advice = f" (is {near[0]!r} meant?)" if near else ""
            raise KeyError(f"missing features: {', '.join(missing)}{advice}")
        if unknown or len(set(given)) != len(given):
            raise KeyError(f"unknown or repeated features: {', '.join(map(str, unknown or given))}")

    def _column(self, name: str, values: pd.Series) -> np.ndarray:
        if values.dtype.kind not in "fiu":
            raise TypeError(f"feature {name!r} is {values.dtype}, not a number")
        column = values.to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(column).all():
            raise ValueError(
                f"feature {name!r} is NaN or infinite in row {int(np.argmin(np.isfinite(column)))}"
            )
        return column

    def _row(self, row: Mapping[str, float]) -> list[float]:
        if not isinstance(row, Mapping):
            raise TypeError(f"a row is a mapping from feature to number, not {type(row).__name__}")
        self._check_names(list(row))
        values = [row[name] for name in self._features]
        for name, value in zip(self._features, values, strict=True):
            if value is None:
                raise ValueError(f"feature {name!r} has no value")
            if isinstance(value, bool) or not isinstance(value, numbers.Real):
                raise TypeError(
                    f"feature {name!r} is {type(value).__name__} {str(value)[:40]!r}, not a number"
                )
            if not math.isfinite(value):
                raise ValueError(f"feature {name!r} is {value}")
        return [float(value) for value in values]

    def _answer(self, matrix: np.ndarray, started: int) -> np.ndarray:
        """Ask the model, hold its answer to what probabilities are, and note how long the whole call took."""
        if len(matrix) == 0:
            raise ValueError("there are no rows to answer")
        # The columns are in the model's order by now; names would only cost time.
        answer = np.asarray(self._model.booster_.predict(matrix, num_threads=1), dtype=np.float64)
        if answer.shape != (len(matrix),) or not np.isfinite(answer).all():
            raise ValueError(f"the model answered {answer.shape} for {len(matrix)} rows, or NaN")
        if answer.min() < -_TOLERANCE or answer.max() > 1 + _TOLERANCE:
            raise ValueError(f"the model answered {answer.min()} to {answer.max()}, no probabilities")
        elapsed = time.perf_counter_ns() - started
        with self._lock:
            self._recent.append(elapsed)
            self._calls += 1
        return np.column_stack([1 - answer, answer])
