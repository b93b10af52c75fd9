"""An artifact in a real registry: what Docker makes of it, as docs/registry.md says, and the image that serves it."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.container.conftest import Container, ready, running
from tests.registry.real import Real, registry
from tests.unit.serving.conftest import make_artifact, row
from validator.integration.rehearsal import free_ports

__all__ = ["make_artifact", "row"]  # fixtures


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Real]:
    if shutil.which("docker-registry") is None:
        pytest.skip("there is no docker-registry on this machine")
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as one:
        yield one


@pytest.fixture
def artifact(make_artifact: Callable[..., Path]) -> Path:
    return make_artifact()


def pushed(container: Container, real: Real, artifact: Path) -> str:
    """Push it with the image's own command, as an action does: the reference by digest."""
    done = container.run(
        "registry", "push", "/artifacts/" + artifact.name, real.place, "--json",
        flags=("--network=host", f"--volume={artifact.parent}:/artifacts:ro"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    digest = json.loads(done.stdout)["digest"]
    return f"{real.host}/models/churn@{digest}"


def docker_says(docker: str, *arguments: str | Path) -> str:
    done = subprocess.run([docker, *arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_docker_takes_the_files_out_as_they_were(
    container: Container, docker: str, real: Real, artifact: Path, tmp_path: Path
) -> None:
    image = pushed(container, real, artifact)
    assert image.partition("@")[2] in docker_says(docker, "pull", image)
    name = docker_says(docker, "create", image, "none").strip()
    try:
        docker_says(docker, "cp", f"{name}:/models/.", tmp_path / "models")
    finally:
        docker_says(docker, "rm", name)
        docker_says(docker, "rmi", image)
    assert files(tmp_path / "models") == files(artifact)


def test_a_build_copies_from_it_and_serves(
    container: Container, docker: str, serving_image: str, real: Real, artifact: Path, row: dict[str, float],
    tmp_path: Path,
) -> None:  # fmt: skip
    """What KServe's modelcars and whoever wants one image need: the files inside of another."""
    image = pushed(container, real, artifact)
    (tmp_path / "context").mkdir()
    lines = [f"FROM {serving_image}", f"COPY --from={image} / /", 'CMD ["/models"]']
    (tmp_path / "context" / "Dockerfile").write_text("\n".join(lines) + "\n")
    docker_says(docker, "build", "-q", "-t", "model-preflight:test-copied", tmp_path / "context")
    try:
        (port,) = free_ports(1)
        flags = ("--read-only", "--cap-drop=ALL", f"--publish=127.0.0.1:{port}:8080")
        with running(docker, *flags, "model-preflight:test-copied"):
            answered(f"http://127.0.0.1:{port}", artifact, row)
    finally:
        docker_says(docker, "rmi", "model-preflight:test-copied")


def test_the_image_serves_it_by_digest_from_a_read_only_root(
    container: Container, docker: str, serving_image: str, real: Real, artifact: Path, row: dict[str, float]
) -> None:
    image = pushed(container, real, artifact)
    (port,) = free_ports(1)
    flags = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--user=1234:1234", "--network=host")
    command = (f"oci://{image}", "--host=127.0.0.1", f"--port={port}")
    with running(docker, *flags, serving_image, *command):
        about = answered(f"http://127.0.0.1:{port}", artifact, row)
        assert about["digest"] == image.partition("@")[2]


def answered(url: str, artifact: Path, row: dict[str, float]) -> dict[str, str]:
    """One row, by the version that was pushed: what the server says of itself."""
    ready(url)
    with urllib.request.urlopen(f"{url}/predict", json.dumps({"rows": [row]}).encode(), timeout=10) as answer:
        assert json.load(answer)["predictions"][0]["label"] == 1
    with urllib.request.urlopen(f"{url}/about", timeout=10) as answer:
        about: dict[str, str] = json.load(answer)
    assert about["version"] == artifact.name
    return about
