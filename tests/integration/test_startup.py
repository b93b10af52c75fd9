"""What answers at once must not import what takes long: held by the modules that a process has, not by seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.integration.command import ROOT, TRADING

HEAVY = (
    "catboost", "dulwich", "httpx", "lightgbm", "numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scipy",
    "skl2onnx", "sklearn", "xgboost",
)  # fmt: skip
MODEL = TRADING / "model.pkl"


def imported(code):
    """Which heavy modules a process holds after it ran this code."""
    ending = f"import sys; print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{ending}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stderr.split()


@pytest.mark.parametrize(
    "code",
    [
        "from validator.cli.main import build_parser; build_parser().format_help()",
        f"from validator.cli.main import main; main(['inspect', {str(MODEL)!r}])",
        "import validator.cli.validate, validator.gate.validate",
    ],
    ids=["help", "inspect", "the gate's own modules"],
)
def test_nothing_heavy_is_imported(code):
    assert imported(code) == []


def test_the_command_itself_never_imports_the_models_libraries():
    """The supervisor holds the token: whatever it judges, the model's libraries stay in the workers."""
    held = imported(
        f"from validator.cli.main import main; import tempfile; folder = tempfile.mkdtemp(); "
        f"main(['validate', {str(MODEL)!r}, '--quiet', '--out', folder, '--latency-budget-s', '0.2', "
        f"'--boundary-rows', '100'])"
    )
    # SciPy alone for a quantile in the profile, from counts that are the supervisor's own.
    assert set(held) <= {"numpy", "dulwich", "httpx", "scipy"}


@pytest.mark.parametrize("missing", ["pydantic", "httpx"])
def test_an_installation_for_serving_alone_is_told_what_the_command_needs(missing):
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from validator.cli.main import main; "
        f"sys.exit(main(['publish', 'x']))"
    )
    here = {"GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "PREFLIGHT_GITHUB_TOKEN": "t"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env=here
    )
    assert done.returncode == 2
    assert f"needs the module {missing}, which is not installed" in done.stderr
    assert "Traceback" not in done.stderr
