"""The lockdown leaves honest work alone: every library that a model may need, with its threads."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).with_name("lockdown_libraries.py")
_LIBRARIES = [
    "standard_library",
    *("numpy", "pandas", "pyarrow", "joblib", "sklearn", "lightgbm", "xgboost", "catboost"),
    *("onnx", "onnxruntime", "skl2onnx"),
]


def _run(mode: str, names: list[str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(_SCRIPT), mode, *names], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    return {row["library"]: row for row in map(json.loads, done.stdout.splitlines())}


def _available() -> list[str]:
    return [name for name in _LIBRARIES if name == "standard_library" or find_spec(name)]


@pytest.fixture(scope="module")
def preloaded() -> dict[str, Any]:
    return _run("preloaded", _available())


@pytest.fixture(scope="module")
def lazy() -> dict[str, Any]:
    return _run("lazy", _available())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Landlock and seccomp")
@pytest.mark.parametrize("mode", ["preloaded", pytest.param("lazy", marks=pytest.mark.long)])
@pytest.mark.parametrize("name", _LIBRARIES)
def test_library_works_under_lockdown(name: str, mode: str, request: pytest.FixtureRequest) -> None:
    if name not in _available():
        pytest.skip(f"{name} is not installed")
    row = request.getfixturevalue(mode)[name]
    assert row == {"library": name, "status": 0, "contained": True, "done": True, "warnings": []}
