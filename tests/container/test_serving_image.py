"""The image that serves: small, without root, without a writable file system, and it answers."""

from __future__ import annotations

import gzip
import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.container.conftest import ready, running
from tests.unit.serving.conftest import make_artifact, row

__all__ = ["make_artifact", "row"]  # fixtures

#: Megabytes as pulled: what docs/serving.md promises.
LARGEST = 120


def test_it_is_small_and_runs_as_nobody(docker: str, serving_image: str) -> None:
    command = [docker, "image", "inspect", "-f", "{{.Config.User}}", serving_image]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "65532:65532"
    saved = subprocess.Popen([docker, "save", serving_image], stdout=subprocess.PIPE)
    assert saved.stdout is not None
    packed = 0
    with saved.stdout as stream:
        while part := stream.read(2**24):
            packed += len(gzip.compress(part, 1))
    assert saved.wait() == 0
    assert packed < LARGEST * 1e6


@pytest.mark.parametrize("user", ["65532:65532", "1234:1234"])
def test_it_serves_from_a_read_only_root_and_ends_by_a_signal(
    docker: str, serving_image: str, make_artifact: Callable[..., Path], row: dict[str, float], user: str
) -> None:
    folder = make_artifact()
    flags = ["--read-only", "--cap-drop=ALL", f"--user={user}", "-p", "127.0.0.1::8080"]
    flags += ["-v", f"{folder}:/model:ro", "--tmpfs", f"/log:uid={user.partition(':')[0]}"]
    with running(docker, *flags, serving_image, "/model", "--log", "/log", "--drain", "0s") as container:
        shown = subprocess.run(
            [docker, "port", container, "8080"], capture_output=True, text=True, check=True
        )
        url = f"http://{shown.stdout.split()[0]}"
        ready(url)
        body = json.dumps({"rows": [row]}).encode()
        with urllib.request.urlopen(f"{url}/predict", body, timeout=10) as answer:
            assert json.load(answer)["predictions"][0]["label"] == 1
        subprocess.run([docker, "stop", "--time", "30", container], check=True, capture_output=True)
        state = subprocess.run(
            [docker, "inspect", "-f", "{{.State.ExitCode}}", container],
            capture_output=True,
            text=True,
            check=True,
        )
        assert state.stdout.strip() == "0"
