"""The image, built once from the checkout, and ways to run it; everything here is skipped without a Docker engine."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.command import waived

ROOT = Path(__file__).parents[2]
PEERS = ROOT / "tests" / "peers"
IMAGE = "model-preflight:test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        # What reads files alone runs everywhere.
        if here in item.path.parents and item.path.name != "test_workflows.py":
            item.add_marker(pytest.mark.container)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def docker() -> str:
    """The Docker client of an engine that answers."""
    client = shutil.which("docker")
    if client is None:
        pytest.skip("there is no docker command on this machine")
    answer = subprocess.run([client, "version"], capture_output=True, text=True, timeout=60, check=False)
    if answer.returncode:
        pytest.skip(f"no Docker engine answers: {answer.stderr.strip()[:200]}")
    return client


def built(docker: str, tag: str, *more: str | Path) -> str:
    """Build an image. Test processes side by side build one after the other."""
    # For an engine that reaches its base image in another way than by the registry that the Dockerfile names.
    flags = shlex.split(os.environ.get("DOCKER_BUILD_FLAGS", ""))
    with (Path(tempfile.gettempdir()) / "model-preflight-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [docker, "build", "--progress=plain", *flags, "--tag", tag, *more],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-4_000:]
    return tag


@pytest.fixture(scope="session")
def image(docker: str) -> str:
    """The image of this checkout."""
    return built(docker, IMAGE, ROOT)


@pytest.fixture(scope="session")
def serving_image(docker: str) -> str:
    """The image of this checkout that serves."""
    return built(docker, f"{IMAGE}-serve", "--target=serve", ROOT)


@contextmanager
def running(docker: str, *arguments: str | Path) -> Iterator[str]:
    """A container in the background, by its id, until the block ends; its log is shown where that fails."""
    started = subprocess.run([docker, "run", "-d", *arguments], capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr
    container = started.stdout.strip()
    try:
        yield container
    finally:
        log = subprocess.run([docker, "logs", container], capture_output=True, text=True, check=False)
        sys.stderr.write(log.stdout + log.stderr)
        subprocess.run([docker, "rm", "-f", "-v", container], check=False, capture_output=True)


def ready(url: str, seconds: float = 60) -> None:
    """Wait until a server says that it is."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(f"{url}/v2/health/ready", timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline, f"{url} is not ready after {seconds} s"
            time.sleep(0.1)
        else:
            return


@dataclass(frozen=True, kw_only=True)
class Container:
    """Runs the image, without a network unless a test gives it one."""

    docker: str
    image: str

    def run(self, *arguments: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        network = () if any(flag.startswith("--network") for flag in flags) else ("--network=none",)
        return subprocess.run(
            [self.docker, "run", "--rm", *network, *flags, self.image, *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def shell(self, script: str, *flags: str) -> str:
        """What a shell script prints inside the image."""
        found = self.run("-euc", script, flags=("--entrypoint=/bin/sh", *flags))
        assert found.returncode == 0, found.stderr
        return found.stdout


@pytest.fixture(scope="session")
def container(docker: str, image: str) -> Container:
    return Container(docker=docker, image=image)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A checkout with the trading example, belonging to somebody who is not root."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "examples" / "trading", folder / "trading")
    shutil.rmtree(folder / "trading" / "__pycache__", ignore_errors=True)
    settings = folder / "trading" / "preflight.toml"
    generous = settings.read_text().replace("max_latency_ms = 50", "max_latency_ms = 60000")
    settings.write_text(generous + waived("latency.single", "latency.speedup"))
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, 1234, 1234)
    return folder


@pytest.fixture
def github_api() -> Iterator[Callable[[str], bytes]]:
    """A GitHub API of this test's own: the function fetches a path from it; its address is `github_api("")`."""
    server = PEERS / "github_api_server.py"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, server, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    base = f"http://127.0.0.1:{port}"

    def fetch(path: str) -> bytes:
        if not path:
            return base.encode()
        with urllib.request.urlopen(base + path, timeout=10) as reply:
            return bytes(reply.read())

    try:
        for _ in range(100):
            try:
                fetch("/_fake/state")
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail("the stand-in for GitHub's API did not answer within ten seconds")
        yield fetch
    finally:
        process.terminate()
        process.wait(10)
