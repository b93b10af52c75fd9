"""The native library as the oracle: rows on a model's own boundaries, answered by it, by the trees and by ONNX."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from validator.trees.ensemble import BranchMode, TreeEnsemble

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def boundary_rows(ensemble: TreeEnsemble, base: np.ndarray, *, count: int, seed: int = 0) -> np.ndarray:
    """Real rows [count, F] with several values moved onto thresholds, one ulp to a side, or onto categories."""
    rng = np.random.default_rng(seed)
    rows = np.array(base, dtype=np.float64)[rng.integers(0, len(base), count)]
    kind = np.dtype(ensemble.comparison_dtype).type
    for row in range(count if ensemble.n_nodes else 0):
        for node in rng.integers(0, ensemble.n_nodes, 4):
            if ensemble.comparison[node] == BranchMode.MEMBER:
                others = [-1.0, -0.5, 0.5, 97.0, np.nan]
                value = rng.choice(np.concatenate([ensemble.category_members(int(node)), others]))
            else:
                cut = kind(ensemble.threshold[node])
                with np.errstate(over="ignore"):
                    value = np.nextafter(cut, kind((-np.inf, cut, np.inf)[rng.integers(3)]))
            if np.isfinite(value):
                rows[row, ensemble.feature[node]] = value
    if ensemble.admits_missing:
        rows[rng.random(rows.shape) < 0.05] = np.nan
    return rows


def run_onnx(ensemble: TreeEnsemble, rows: np.ndarray, input_dtype: str = "float64") -> dict[str, np.ndarray]:
    """The ONNX file's outputs by name."""
    import onnxruntime

    from validator.trees.writer import write

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        write(ensemble, input_dtype=input_dtype), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows.astype(input_dtype)}), strict=True))


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One model's boundary rows with everything that was answered to them."""

    ensemble: TreeEnsemble
    rows: np.ndarray
    raw: np.ndarray
    onnx: dict[str, np.ndarray]

    @property
    def numbers(self) -> np.ndarray:
        """Probabilities, predictions or scores as [N, K]."""
        found = next(
            self.onnx[name] for name in ("probabilities", "prediction", "score") if name in self.onnx
        )
        return found.reshape(len(self.rows), -1)


def through_json(header: dict[str, Any]) -> dict[str, Any]:
    """The header as another process gets it; fails on what JSON cannot carry."""
    received: dict[str, Any] = json.loads(json.dumps(header, allow_nan=False))
    return received


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """OpenMP's threads spin while they wait for each other: on busy cores small fits take seconds."""
    import sklearn.ensemble  # noqa: F401 - its OpenMP must be loaded before it can be limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="openmp"):
        yield


@pytest.fixture(scope="session")
def rows_on_boundaries() -> Callable[..., np.ndarray]:
    return boundary_rows


@pytest.fixture(scope="session")
def answer() -> Callable[..., Answered]:
    """Exports a live model, reads it, and answers boundary rows by the trees and by ONNX Runtime."""

    def run(model: Any, base: np.ndarray, *, count: int = 300, round_to: str = "float64") -> Answered:
        from validator.libraries.export import export
        from validator.libraries.read import read
        from validator.trees.walk import raw_scores

        header, arrays = export(model)
        ensemble = read(through_json(header), arrays)
        assert ensemble is not None, header
        rows = boundary_rows(ensemble, base, count=count).astype(round_to).astype(np.float64)
        return Answered(
            ensemble=ensemble, rows=rows, raw=raw_scores(ensemble, rows), onnx=run_onnx(ensemble, rows)
        )

    return run
