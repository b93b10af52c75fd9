"""Under a foreign interpreter everything that is installed there runs behind the lockdown only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from validator.environments import interpreter
from validator.errors import UsageError, WorkerError
from validator.sandbox.worker_pool import Raised, WorkerLimits, WorkerPool

BASE = getattr(sys, "_base_executable", sys.executable)
LIMITS = WorkerLimits(memory_bytes=2**30, timeout_s=60)


@pytest.fixture
def environment(tmp_path) -> Path:
    """A bare virtual environment of the Python that we run under."""
    folder = tmp_path / "environment"
    subprocess.run([BASE, "-I", "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder


def _site_packages(environment: Path) -> Path:
    return next((environment / "lib").glob("python*/site-packages"))


def _look(environment: Path, *modules: str) -> dict:
    python = interpreter.examine(str(environment / "bin" / "python"))
    with WorkerPool(limits=LIMITS) as pool:
        worker = pool.start("environment", role="native", python=python)
        assert worker.contained or sys.platform != "linux"
        return worker.call("look", modules=list(modules), distributions=["scikit-learn", "hostile"]).result


def test_what_is_installed_there_is_found_and_what_is_ours_is_not(environment):
    (_site_packages(environment) / "theirs.py").write_text("HERE = 1\n")
    found = _look(environment, "theirs", "numpy", "pydantic")
    assert set(found["failed"]) == {"numpy", "pydantic"}
    assert found["python"] == sys.version.split()[0]
    assert found["versions"] == {}


def test_start_up_code_of_an_installed_package_runs_locked_down(environment, tmp_path):
    site, mark = _site_packages(environment), tmp_path / "mark"
    (site / "hostile.pth").write_text("import hostile_start\n")
    (site / "hostile_start.py").write_text(
        "import sys, types\n"
        "sys.modules['it_ran'] = types.ModuleType('it_ran')\n"
        f"try:\n    open({str(mark)!r}, 'w').close()\nexcept OSError:\n    pass\n"
        f"try:\n    open({__file__!r}).read()\n"
        "except OSError:\n    sys.modules['it_was_held'] = sys.modules['it_ran']\n"
    )
    (site / "sitecustomize.py").write_text(f"open({str(mark)!r}, 'w').close()\n")
    found = _look(environment, "it_ran", "it_was_held")
    assert found["failed"] == {}
    assert not mark.exists()


def test_a_module_that_ends_the_process_is_told_of(environment):
    (_site_packages(environment) / "rude.py").write_text("raise SystemExit(3)\n")
    with pytest.raises((Raised, WorkerError)):
        _look(environment, "rude")


def test_an_interpreter_that_vanished_is_a_usage_error(tmp_path):
    gone = interpreter.Interpreter(path=str(tmp_path / "python"), version=(3, 9, 0))
    with WorkerPool(limits=LIMITS) as pool, pytest.raises(UsageError, match="cannot run"):
        pool.start("environment", role="native", python=gone)
