from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from validator.results import (
    CheckResult,
    Contract,
    Conversion,
    Environment,
    FeatureSpec,
    GateResult,
    Latency,
    ModelInfo,
    Parity,
)

MODEL_SHA = hashlib.sha256(b"the pickle").hexdigest()


def build_result(**changes: Any) -> GateResult:
    """A passing result of a model with two features."""
    fields: dict[str, Any] = {
        "tool_version": "0.1.0",
        "verdict": "pass",
        "reason": "all checks passed",
        "version": f"v_20251105T093000Z_{MODEL_SHA[:8]}",
        "created_at": "2026-11-24T20:00:00Z",
        "model": ModelInfo(
            path="models/churn.pkl", name="churn", format="pickle", sha256=MODEL_SHA, size_bytes=10
        ),
        "contract": Contract(
            features=(
                FeatureSpec(name="age", dtype="float64", minimum=0.0, maximum=float("inf")),
                FeatureSpec(name="plan", dtype="category", categories=("a", "b")),
            ),
            task="binary",
            classes=(0, 1),
        ),
        "conversion": Conversion(method="exact", seconds=1.25, input_dtype="float64"),
        "parity": Parity(level="proved", bound=1e-12, max_abs_diff=0.0),
        "latency": Latency(),
        "checks": (
            CheckResult(id="load.native", category="load", status="pass", title="Loads", message="it loads"),
        ),
        "environment": Environment(
            python="3.11.7", platform="Linux", cpus=2, packages={"numpy": "2.4.6"}, git_commit="ab" * 20
        ),
        "timings": {"convert": 0.123},
    }
    return GateResult(**(fields | changes))


@pytest.fixture
def make_result() -> Callable[..., GateResult]:
    return build_result
