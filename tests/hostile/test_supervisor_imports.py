"""The supervisor judges a model without any machine-learning library in its own process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_NEVER = {
    "sklearn",
    "lightgbm",
    "onnxruntime",
    "onnx",
    "skl2onnx",
    "pandas",
    "xgboost",
    "catboost",
    "joblib",
    "pyarrow",
}
_PROGRAM = """
import json, sys
from validator.cli.main import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.split(".")[0] for name in sys.modules})]))
"""


def test_no_library_of_models_is_imported_beside_the_token(tmp_path: Path) -> None:
    flags = ["--latency-budget-s", "0.3", "--baseline", "none", "--out", str(tmp_path / "out")]
    model = _ROOT / "examples" / "trading" / "model.pkl"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, "validate", str(model), *flags],
        cwd=_ROOT / "examples" / "trading",
        env={**os.environ, "PYTHONPATH": str(_ROOT), "GITHUB_ACTIONS": ""},
        capture_output=True,
        text=True,
        timeout=240,
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert (tmp_path / "out" / "result.json").exists(), done.stderr
    assert code in (0, 1)
    assert "numpy" in modules
    assert not _NEVER & set(modules)
