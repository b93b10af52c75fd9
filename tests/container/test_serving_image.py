"""The image that serves: small, without root, without a writable file system, and it answers."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.serving.conftest import make_artifact, row

__all__ = ["make_artifact", "row"]  # fixtures

ROOT = Path(__file__).parents[2]
IMAGE = "model-preflight:serve-test"
#: Mebibytes, unpacked: less than 120 MB as pulled.
LARGEST = 320


@pytest.fixture(scope="module")
def image(docker: str) -> str:
    flags = shlex.split(os.environ.get("DOCKER_BUILD_FLAGS", ""))
    command = [docker, "build", "--progress=plain", *flags, "--target", "serve", "--tag", IMAGE, str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr[-4_000:]
    return IMAGE


def test_it_is_small_and_runs_as_nobody(docker: str, image: str) -> None:
    shown = subprocess.run([docker, "image", "inspect", image], capture_output=True, text=True, check=True)
    (found,) = json.loads(shown.stdout)
    assert found["Size"] < LARGEST * 1024**2
    assert found["Config"]["User"] == "65532:65532"


def test_it_serves_from_a_read_only_root_and_ends_by_a_signal(
    docker: str, image: str, make_artifact: Callable[..., Path], row: dict[str, float]
) -> None:
    folder = make_artifact()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    flags = ["--read-only", "--cap-drop=ALL", "-p", "127.0.0.1::8080", "-v", f"{folder}:/model:ro"]
    flags += ["--tmpfs", "/log:uid=65532"]
    run = [docker, "run", "-d", *flags, image, "/model", "--log", "/log", "--drain", "0s"]
    started = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    try:
        shown = subprocess.run([docker, "port", started, "8080"], capture_output=True, text=True, check=True)
        url = f"http://{shown.stdout.split()[0]}"
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        body = json.dumps({"rows": [row]}).encode()
        with urllib.request.urlopen(f"{url}/predict", body, timeout=10) as answer:
            assert json.load(answer)["predictions"][0]["label"] == 1
        subprocess.run([docker, "stop", "--time", "30", started], check=True, capture_output=True)
        state = subprocess.run(
            [docker, "inspect", "-f", "{{.State.ExitCode}}", started],
            capture_output=True,
            text=True,
            check=True,
        )
        assert state.stdout.strip() == "0"
    finally:
        subprocess.run([docker, "rm", "-f", started], check=False, capture_output=True)
