"""What is in the image and how it runs: as root or not, read-only, without a network, beside a hostile checkout."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.container.conftest import Container

SITE = "/opt/preflight/lib/python3.13/site-packages"
PYTHON = "/opt/preflight/bin/python3"
QUICK = ("--latency-budget-s", "1", "--baseline", "none")
#: Mebibytes, unpacked. docs/image.md says where they go.
LARGEST = 600


def inspect(container: Container) -> dict[str, Any]:
    shown = subprocess.run(
        [container.docker, "image", "inspect", container.image], capture_output=True, text=True, check=True
    )
    found: dict[str, Any] = json.loads(shown.stdout)[0]
    return found


def test_the_configuration_is_what_an_action_needs(container: Container) -> None:
    image = inspect(container)
    config = image["Config"]
    assert config["Entrypoint"] == [PYTHON, "-I", "-B", "-m", "validator.cli"]
    assert config["User"] == ""
    assert {"LANG=en_US.UTF-8", "PYTHONDONTWRITEBYTECODE=1", "ORT_DISABLE_TELEMETRY=1"} <= set(config["Env"])
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert {"title", "description", "licenses", "version", "revision", "source", "base.name"} <= set(labels)
    assert labels["licenses"] == "Apache-2.0"
    assert container.run("--version").stdout.split() == ["model-preflight", labels["version"]]


def test_it_is_no_larger_than_promised(container: Container) -> None:
    assert inspect(container)["Size"] < LARGEST * 1024**2


def test_no_compiler_tests_or_caches(container: Container) -> None:
    unwanted = container.shell(f"""
        for tool in gcc cc g++ clang ld as make strip; do command -v $tool || true; done
        find {SITE} -type d \\( -name tests -o -name test \\)
        find {SITE} /build -name '*.a' -o -name '*.h' -o -name '*.pyx' 2>/dev/null || true
        find /root/.cache /tmp /build /var/cache/apt/archives /var/lib/apt/lists -type f 2>/dev/null || true
    """)
    assert unwanted == ""


def test_what_a_run_imports_is_compiled(container: Container) -> None:
    """Else each start would compile it anew, for nothing may be written at run time."""
    code = """
import importlib.util, pathlib, sys
import lightgbm, onnx, onnxruntime, pandas, pyarrow.parquet, skl2onnx, sklearn.ensemble, validator.gate.validate
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
sources = [file for file in files if file.endswith(".py")]
assert len(sources) > 1000
print(*(file for file in sources if not pathlib.Path(importlib.util.cache_from_source(file)).exists()), sep="\\n")
"""
    assert container.shell(f"{PYTHON} -I -B -c '{code}'").split() == []


def test_the_locale_is_there(container: Container) -> None:
    code = 'import locale; locale.setlocale(locale.LC_ALL, ""); print(locale.getlocale())'
    assert container.shell(f"{PYTHON} -I -c '{code}'").strip() == "('en_US', 'UTF-8')"


def test_the_bill_of_materials_names_what_is_installed(container: Container) -> None:
    bill = json.loads(container.shell("cat /opt/preflight/share/sbom.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {component["purl"].partition("?")[0] for component in bill["components"]}
    code = (
        "import importlib.metadata as m; "
        'print(*(f"pkg:pypi/{d.name.lower().replace(chr(95), chr(45))}@{d.version}" for d in m.distributions()))'
    )
    installed = container.shell(f"{PYTHON} -I -c '{code}'").split()
    assert len(installed) > 30
    assert set(installed) <= named
    assert any(purl.startswith("pkg:deb/debian/libgomp1@") for purl in named)
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references))


@pytest.mark.parametrize(
    "flags",
    [("--network=none",), ("--user=1234:1234", "--read-only", "--tmpfs=/tmp", "--network=none")],
    ids=["root", "another user, read-only"],
)
def test_the_trading_example_passes(container: Container, workspace: Path, flags: tuple[str, ...]) -> None:
    done = container.run(
        "validate",
        "trading/model.pkl",
        "--data",
        "trading/sample.parquet",
        *QUICK,
        flags=(f"--volume={workspace}:/work", *flags),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((workspace / "preflight" / "result.json").read_text())
    assert result["verdict"] == "pass"
    assert list((workspace / "preflight" / "artifact").rglob("model.onnx"))
    if os.geteuid() == 0:
        written = [path for path in workspace.rglob("*") if path.stat().st_uid != 1234]
        assert not written, "what the container leaves belongs to the workspace's owner"
    assert not list(workspace.rglob("__pycache__"))


@pytest.mark.parametrize("flag", ["--cap-drop=ALL", "--user=4321:4321"])
def test_whoever_may_not_touch_the_files_is_told_how_to(
    container: Container, workspace: Path, flag: str
) -> None:
    for mode in (0o700, 0o755):  # it may not even look, or not write
        workspace.chmod(mode)
        done = container.run(
            "validate", "trading/model.pkl", "--data", "trading/sample.parquet", *QUICK,
            flags=(f"--volume={workspace}:/work", flag),
        )  # fmt: skip
        assert done.returncode == 2
        assert f"belongs to user {workspace.stat().st_uid}" in done.stderr
        assert "--user $(id -u):$(id -g)" in done.stderr
        assert not (workspace / "preflight").exists()


def test_nothing_is_imported_from_the_checkout(container: Container, workspace: Path) -> None:
    trap = "import pathlib\npathlib.Path('/work/imported').write_text(__name__)\n"
    for name in ("json", "sitecustomize", "usercustomize", "numpy", "pydantic", "validator", "argparse"):
        (workspace / f"{name}.py").write_text(trap)
    flags = (f"--volume={workspace}:/work", "--env=PYTHONPATH=/work", "--env=PYTHONSTARTUP=/work/json.py")
    assert container.run("--help", flags=flags).returncode == 0
    assert container.run("inspect", "trading/model.pkl", flags=flags).returncode == 0
    container.run("validate", "trading/model.pkl", "--data", "trading/sample.parquet", *QUICK, flags=flags)
    assert (workspace / "preflight" / "result.json").exists()
    assert not (workspace / "imported").exists()


def test_an_interrupt_ends_it_and_leaves_no_half_artifact(container: Container, workspace: Path) -> None:
    """As process 1, which gets no default handlers: `docker stop` must not have to wait and kill."""
    name = f"preflight-{uuid.uuid4().hex[:12]}"
    process = subprocess.Popen(
        [container.docker, "run", "--rm", f"--name={name}", "--network=none", f"--volume={workspace}:/work",
         container.image, "validate", "trading/model.pkl", "--data", "trading/sample.parquet"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if "load native" in line or "convert" in line:
            break
    subprocess.run([container.docker, "stop", "--time=120", name], check=True, capture_output=True)
    process.communicate(timeout=30)
    assert process.returncode not in (0, 1, 137), "137: it had to be killed"
    assert not (workspace / "preflight" / "result.json").exists()
    assert not list(workspace.rglob("model.onnx"))
