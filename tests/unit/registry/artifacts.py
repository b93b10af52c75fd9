"""Artifacts that the gate might have written: small ones, as many versions as are asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.unit.artifact.conftest import build_result
from validator.artifact.write import write_artifact
from validator.results import ModelInfo


def artifact(folder: Path, number: int = 1, *, name: str = "churn", **changes: Any) -> Path:
    """The folder of version `number`, a day later each."""
    sha = hashlib.sha256(f"model {number}".encode()).hexdigest()
    model = ModelInfo(path="m.pkl", name=name, format="pickle", sha256=sha, size_bytes=10)
    result = build_result(**({"version": version(number), "model": model} | changes))
    onnx = f"an ONNX file, number {number}".encode() * 1000
    written = write_artifact(folder, result=result, onnx=onnx, report_md="# Report\n")
    return Path(written.path)


def version(number: int) -> str:
    """The version's name."""
    sha = hashlib.sha256(f"model {number}".encode()).hexdigest()
    return f"v_2025{number // 28 % 12 + 1:02}{number % 28 + 1:02}T{number // 336:02}3000Z_{sha[:8]}"
