"""Docker Compose, with stand-ins for the images that cannot be pulled, and clients that never stop asking."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import shlex
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.container.conftest import built

STAND_INS = Path(__file__).with_name("stand_ins")
#: What Debian has too, by the last part of the image's name: the target that stands in for it.
TARGETS = {"haproxy": "haproxy", "prometheus": "prometheus", "alertmanager": "alertmanager"}


@dataclass(frozen=True, kw_only=True)
class Compose:
    """One project, from the file that users get and what this machine needs otherwise."""

    docker: str
    folder: Path
    files: tuple[Path, ...]
    environ: dict[str, str]

    def run(
        self, *arguments: str, wanted: int | None = 0, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        named = [part for file in self.files for part in ("-f", str(file))]
        done = subprocess.run(
            [self.docker, "compose", *named, *arguments],
            cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert wanted is None or done.returncode == wanted, done.stdout[-3_000:] + done.stderr[-3_000:]
        return done

    def logs(self, service: str) -> str:
        done = self.run("logs", "--no-color", "--timestamps", service, wanted=None)
        return done.stdout + done.stderr

    def inside(self, *arguments: str, wanted: int | None = 0) -> subprocess.CompletedProcess[str]:
        """A command of ours in the container of the rollout, as docs/monitoring.md has it."""
        program = ("/opt/preflight/bin/python3", "-I", "-m", "validator.cli")
        return self.run("exec", "-T", "rollout", *program, *arguments, wanted=wanted)

    def address(self, service: str) -> str:
        """In the project's own network."""
        container = self.run("ps", "-q", service).stdout.strip()
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        command = [self.docker, "inspect", "-f", form, container]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def url(self, service: str, inside: int) -> str:
        return f"http://{self.run('port', service, str(inside)).stdout.strip()}"


@contextmanager
def project(
    docker: str, folder: Path, file: Path, environ: dict[str, str], override: dict[str, Any]
) -> Iterator[Compose]:
    """A project whose containers, networks, volumes and own images are gone in the end.

    Ports are free ones of this machine's instead of those that the file names. What cannot be pulled has a stand-in,
    or is left out; both are said.
    """
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("this Docker has no `compose`")
    plain = Compose(docker=docker, folder=folder, files=(file,), environ=environ)
    document = json.loads(plain.run("config", "--format", "json").stdout)
    services: dict[str, dict[str, Any]] = {}
    for name, service in document["services"].items():
        services[name] = dict(override.get(name, {}))
        if ports := service.get("ports"):
            services[name]["ports"] = Overridden([f"127.0.0.1::{one['target']}" for one in ports])
        services[name] |= _build(service) if "build" in service else _image(docker, name, service["image"])
    more = folder / "override.yaml"
    more.write_text(yaml.dump({"services": services}))
    one = Compose(docker=docker, folder=folder, files=(file, more), environ=environ)
    try:
        yield one
    finally:  # shown where the test failed
        print(one.run("ps", "-a", wanted=None).stdout)
        for name in services:
            print(one.logs(name)[-5_000:])
        one.run("down", "--volumes", "--rmi", "local", "--timeout", "1", "--remove-orphans", wanted=None)


class Overridden(list[str]):
    """A list that takes another's place; Compose adds them up otherwise."""


yaml.add_representer(Overridden, lambda dumper, data: dumper.represent_sequence("!override", data))


def _build(service: dict[str, Any]) -> dict[str, Any]:
    """The flags of `conftest.built`, as Compose has them."""
    flags = shlex.split(os.environ.get("DOCKER_BUILD_FLAGS", ""))
    names = [value for flag, value in itertools.pairwise(flags) if flag == "--build-context"]
    return {"build": {"additional_contexts": dict(name.split("=", 1) for name in names)}}


def _image(docker: str, name: str, image: str) -> dict[str, Any]:
    if subprocess.run([docker, "image", "inspect", image], capture_output=True, check=False).returncode == 0:
        return {}
    if subprocess.run([docker, "pull", "-q", image], capture_output=True, check=False).returncode == 0:
        return {}
    target = TARGETS.get(image.rpartition("/")[2].partition(":")[0])
    if target is None:
        print(f"{name}: {image} cannot be pulled, and is left out")
        return {"profiles": ["left out"]}
    print(f"{name}: {image} cannot be pulled; Debian's {target} stands in for it")
    return {
        "image": built(docker, f"model-preflight:stand-in-{target}", f"--target={target}", STAND_INS),
        "pull_policy": "never",
    }


#: For `rollout.toml`: short stages, and limits that a busy machine keeps.
QUICK = """
guards = [25]
guard_requests = 100
window_s = 2
warmup_s = 1
bake_minutes = 0.2
interval_s = 0.5
lease_s = 30
deadline_hours = 0.2
"""
#: At its end, where `[haproxy]` is.
PATIENT = "check_s = 5\n"


class Clients:
    """Who asks the proxy for predictions, and what was answered: by version and status."""

    def __init__(self, url: str, row: dict[str, float]) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self.row = row
        self._place = url.removeprefix("http://")
        self._asking = True
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._asking = False
        for thread in self._threads:
            thread.join(30)

    def _ask(self) -> None:
        while self._asking:
            connection = http.client.HTTPConnection(self._place, timeout=20)
            try:
                connection.request("POST", "/predict", json.dumps({"rows": [self.row]}))
                response = connection.getresponse()
                body = response.read()
                said = json.loads(body) if body[:1] == b"{" else {}
                self.answers[said.get("model_version", "error" if said else "nobody"), response.status] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__, 0] += 1
            finally:
                connection.close()
            time.sleep(0.03)

    def lost(self) -> dict[tuple[str, int], int]:
        """Requests that no version has answered."""
        return {key: count for key, count in self.answers.items() if key[1] in (0, 502, 503, 504)}


def until(condition: Callable[[], object], seconds: float, what: str) -> None:
    """Wait for something, and fail if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        time.sleep(0.3)


def asked(prometheus: str, query: str) -> Sequence[dict[str, Any]]:
    """What Prometheus knows now; nothing where it does not answer yet."""
    address = f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            found: list[dict[str, Any]] = json.load(response)["data"]["result"]
    except OSError:
        return []
    return found
