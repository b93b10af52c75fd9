from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from validator.results import (
    CheckResult,
    Conversion,
    Environment,
    GateResult,
    Latency,
    ModelInfo,
    Parity,
)


def _check(status: str, **changes: Any) -> CheckResult:
    fields = {
        "id": "smoke.nan",
        "runtime": "onnx",
        "category": "smoke",
        "status": status,
        "title": "No NaN, no Inf",
        "message": "3 of 100 rows gave NaN, 0 are allowed",
    }
    return CheckResult.model_validate(fields | changes)


@pytest.fixture(scope="session")
def make_check() -> Callable[..., CheckResult]:
    return _check


@pytest.fixture(scope="session")
def make_result() -> Callable[..., GateResult]:
    """Builds results: `make_result("fail")`, with other fields of GateResult as keywords."""

    def make(verdict: str = "pass", *, name: str = "churn", path: str = "", **changes: Any) -> GateResult:
        fields: dict[str, Any] = {
            "tool_version": "0.1.0",
            "verdict": verdict,
            "reason": "because",
            "version": "v_20251105T093000Z_0a1b2c3d",
            "created_at": "2025-11-05T09:30:00Z",
            "model": ModelInfo(
                path=path or f"models/{name}.pkl",
                name=name,
                format="pickle",
                sha256="0a1b2c3d" * 8,
                size_bytes=10,
            ),
            "conversion": Conversion(method="exact", input_dtype="float64"),
            "parity": Parity(level="proved"),
            "latency": Latency(),
            "checks": (_check(verdict),),
            "environment": Environment(python="3.11", platform="Linux", cpus=2),
        }
        return GateResult.model_validate(fields | changes)

    return make
