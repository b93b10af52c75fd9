"""What `pip install model-preflight` brings: the wheel itself is looked at and run, not the checkout."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.unit.serving.conftest import make_artifact, row

__all__ = ["make_artifact", "row"]  # fixtures

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
#: What numpy and onnxruntime import of other distributions.
_CORE = ("numpy", "onnxruntime", "flatbuffers", "google", "packaging", "sympy", "mpmath", "ml_dtypes")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[; ]", item, maxsplit=1)[0] for item in requirements}


def test_two_packages_serve_a_model(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    always = [item for item in metadata.get_all("Requires-Dist") or () if "extra ==" not in item]
    assert _names(always) == {"numpy", "onnxruntime"}
    assert set(metadata.get_all("Provides-Extra") or ()) == set(PROJECT["optional-dependencies"])


def test_all_is_every_extra():
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    named = everything.removeprefix("model-preflight[").removesuffix("]").split(",")
    assert set(named) == set(extras) - {"all"}


def test_what_the_container_installs_is_allowed_by_the_metadata():
    """The container's list and the extras are written twice, since one is compiled to pins: they say the same."""
    pinned = (ROOT / "requirements" / "runtime.in").read_text(encoding="utf-8").splitlines()
    extras = PROJECT["optional-dependencies"]
    said = {*PROJECT["dependencies"], *extras["gate"], *extras["xgboost"], *extras["serve"]}
    said -= {"model-preflight[gate]"}
    assert {line for line in pinned if line and not line.startswith("#")} <= said


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0] for name in names} == {
        "validator",
        f"model_preflight-{PROJECT['version']}.dist-info",
    }
    held = {name for name in names if name.startswith("validator/")}
    assert not [name for name in held if "__pycache__" in name or name.endswith(".pyc")]
    wanted = {path.relative_to(ROOT).as_posix() for path in (ROOT / "validator").rglob("*.py")}
    assert wanted <= held
    data = {path.relative_to(ROOT).as_posix() for path in (ROOT / "validator").rglob("*.txt")}
    data |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "validator/serving/server/web").iterdir()}
    data |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "validator/report/templates").rglob("*.*")}
    assert len(data) > 5
    assert data <= held
    assert "validator/py.typed" in held


def test_the_source_distribution_can_be_tested(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {"/".join(name.split("/")[1:]) for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "CHANGELOG.md",
        "validator/__init__.py",
        "tests/conftest.py",
    } <= names
    assert not [name for name in names if name.startswith((".venv", "preflight/", ".git/"))]


def _run(installed: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code that can import the wheel, the standard library, numpy and onnxruntime, as a plain install can."""
    program = textwrap.dedent(f"""
        import importlib.abc, json, sys
        from pathlib import Path

        class Absent(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                top = name.split(".")[0]
                if top in sys.stdlib_module_names or top in {(*_CORE, "validator")!r}:
                    return None
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

        sys.path.insert(0, {str(installed)!r})
        sys.meta_path.insert(0, Absent())
        import validator
        assert Path(validator.__file__).is_relative_to({str(installed)!r})
        """)
    return subprocess.run(
        [sys.executable, "-I", "-c", program + textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        cwd=installed,
        check=False,
    )


def test_a_plain_installation_serves(installed, make_artifact, row):
    done = _run(
        installed,
        """
        from validator import Deployment
        served = Deployment.load(sys.argv[1])
        print(json.dumps(int(served.predict_single(json.loads(sys.argv[2])).label)))
        """,
        str(make_artifact()),
        json.dumps(row),
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == 1


@pytest.mark.parametrize("arguments", [["validate", "model.pkl"], ["--help"], ["inspect", "model.pkl"]])
def test_a_command_without_its_extra_names_the_line_to_run(installed, arguments):
    done = _run(installed, "from validator.cli.main import main; sys.exit(main(sys.argv[1:]))", *arguments)
    assert done.returncode == 2
    assert "pip install 'model-preflight[gate]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_serving_without_its_extra_names_the_line_to_run(installed, make_artifact):
    code = "from validator.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = _run(installed, code, "serve", str(make_artifact()), "--port", "0")
    assert done.returncode == 2
    assert "pip install 'model-preflight[serve]'" in done.stderr
    asked = _run(installed, code, "serve", "--help-all")
    assert (asked.returncode, "--lease" in asked.stdout) == (0, True)


def test_what_the_serving_container_installs_is_allowed_by_the_metadata():
    pinned = (ROOT / "requirements" / "serve.in").read_text(encoding="utf-8").replace('"', "'").splitlines()
    extras = PROJECT["optional-dependencies"]
    said = {*PROJECT["dependencies"], *extras["serve"], *extras["gate"]}
    assert {line for line in pinned if line and not line.startswith("#")} <= said


def test_every_installation_line_names_an_extra_that_exists():
    known = set(PROJECT["optional-dependencies"])
    places = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "validator").rglob("*.py")]
    named = {
        extra
        for place in places
        for group in re.findall(r"model-preflight\[([a-z,]+)\]", place.read_text(encoding="utf-8"))
        for extra in group.split(",")
    }
    assert named
    assert named <= known
