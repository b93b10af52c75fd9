"""A local stand-in for GitHub's API, and a clock that does not wait."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.peers.github_api_server import GitHub
from validator.answers import Effects
from validator.gate.conclusion import write_index
from validator.github.api import GitHubApi
from validator.github.event import Target, load_target
from validator.github.outcome import Outcome
from validator.github.publication import PublishContext, PublishReport, open_api
from validator.github.publish import publish, publish_folder
from validator.results import (
    CheckResult,
    Conversion,
    Environment,
    GateResult,
    IndexedModel,
    Latency,
    ModelInfo,
    Parity,
    RunIndex,
)

ROOT = Path(__file__).parents[2]


class FastClock:
    """Time that passes as fast as it is slept: `ratio` of the sleeping is real, so that threads still interleave."""

    def __init__(self, ratio: float = 0.0) -> None:
        self._ratio, self._offset, self._lock = ratio, 0.0, threading.Lock()
        self.slept: list[float] = []

    def clock(self) -> float:
        return time.monotonic() + self._offset

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self._offset, UTC)

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._offset += seconds * (1 - self._ratio)
        time.sleep(seconds * self._ratio)

    @property
    def effects(self) -> Effects:
        return Effects(clock=self.clock, now=self.now, sleep=self.sleep)


@dataclass(frozen=True, kw_only=True)
class GitHubSettings:
    github_token: str | None = field(default="t0ken-of-the-test", repr=False)
    comment: bool = True
    status: bool = True
    status_context: str = "model-preflight"
    check_run: bool = False
    instance_key: str = "default"
    require_publish: bool = False


@dataclass(kw_only=True)
class Job:
    """One job on GitHub's runner: its environment and files, and publishing from it against the peer."""

    peer: Any
    folder: Path
    environ: dict[str, str]
    clock: FastClock = field(default_factory=FastClock)
    log: io.StringIO = field(default_factory=io.StringIO)
    deadline_seconds: float = 120.0

    @property
    def target(self) -> Target:
        target = load_target(self.environ)
        assert target is not None
        return target

    @property
    def around(self) -> PublishContext:
        return PublishContext(
            environ=self.environ,
            log=self.log,
            tool_version="0.1.0",
            result_path="preflight/result.json",
            report_path="preflight/report.md",
            effects=self.clock.effects,
            deadline_seconds=self.deadline_seconds,
        )

    def api(self) -> GitHubApi:
        return open_api(self.target, GitHubSettings(), self.around)

    def publish(self, outcome: Outcome, **settings: Any) -> PublishReport:
        return publish(outcome, target=self.target, settings=GitHubSettings(**settings), around=self.around)

    def publish_folder(self, folder: Path, **settings: Any) -> PublishReport:
        return publish_folder(
            folder, target=self.target, settings=GitHubSettings(**settings), around=self.around
        )

    @property
    def outputs(self) -> dict[str, str]:
        """The output file as the runner reads it."""
        found: dict[str, str] = {}
        lines = iter(Path(self.environ["GITHUB_OUTPUT"]).read_text().splitlines())
        for line in lines:
            name, _, end = line.partition("<<")
            assert end, line
            value = []
            for inner in lines:
                if inner == end:
                    break
                value.append(inner)
            else:
                raise AssertionError(f"no {end}")
            found[name] = "\n".join(value)
        return found

    @property
    def summary(self) -> str:
        return Path(self.environ["GITHUB_STEP_SUMMARY"]).read_text()


@pytest.fixture(scope="session")
def shared_peer() -> Iterator[Any]:
    with GitHub() as peer:
        yield peer


@pytest.fixture
def peer(shared_peer: Any) -> Iterator[Any]:
    """GitHub with one pull request. Whatever a test does, no request may break GitHub's description."""
    shared_peer.reset()
    yield shared_peer
    assert shared_peer.problems == []


@pytest.fixture
def make_job(peer: Any, tmp_path: Path) -> Callable[..., Job]:
    """Starts jobs: `event` is a payload, `name` its kind, other arguments are variables without `GITHUB_`."""
    count = 0

    def make(event: dict[str, Any] | None = None, name: str = "pull_request", **variables: Any) -> Job:
        nonlocal count
        count += 1
        folder = tmp_path / f"job{count}"
        folder.mkdir()
        if event is None:
            event = peer.event("pull-request-synchronize")
        (folder / "event.json").write_text(json.dumps(event))
        (folder / "output").touch()
        (folder / "summary").touch()
        environ = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": peer.repo,
            "GITHUB_EVENT_NAME": name,
            "GITHUB_EVENT_PATH": str(folder / "event.json"),
            "GITHUB_API_URL": peer.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "f" * 40,
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_OUTPUT": str(folder / "output"),
            "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        }
        environ |= {f"GITHUB_{key.upper()}": str(value) for key, value in variables.items()}
        return Job(peer=peer, folder=folder, environ=environ)

    return make


def _check(status: str, **changes: Any) -> CheckResult:
    fields = {
        "id": "smoke.nan",
        "runtime": "onnx",
        "category": "smoke",
        "status": status,
        "title": "No NaN, no Inf",
        "message": "every output is a number"
        if status == "pass"
        else "3 of 100 rows gave NaN, 0 are allowed",
        "hint": "" if status == "pass" else "declare missing values or repair the model",
    }
    return CheckResult.model_validate(fields | changes)


@pytest.fixture
def make_result() -> Callable[..., GateResult]:
    """Builds results: `make_result("fail")`, with other fields of GateResult as keywords."""

    def make(verdict: str = "pass", *, name: str = "churn", path: str = "", **changes: Any) -> GateResult:
        fields: dict[str, Any] = {
            "tool_version": "0.1.0",
            "verdict": verdict,
            "reason": "1 check passed"
            if verdict == "pass"
            else "No NaN, no Inf (onnx): 3 of 100 rows gave NaN",
            "version": "v_20251105T093000Z_0a1b2c3d",
            "created_at": "2025-11-05T09:30:00Z",
            "model": ModelInfo(
                path=path or f"models/{name}.pkl",
                name=name,
                format="pickle",
                sha256="0a1b2c3d" * 8,
                size_bytes=10,
            ),
            "conversion": Conversion(method="exact", input_dtype="float64"),
            "parity": Parity(level="proved", rows=100, boundary_rows=200, max_abs_diff=0.0),
            "latency": Latency(),
            "checks": (_check(verdict),),
            "environment": Environment(python="3.11", platform="Linux", cpus=2),
        }
        return GateResult.model_validate(fields | changes)

    return make


@pytest.fixture
def make_check() -> Callable[..., CheckResult]:
    return _check


@pytest.fixture
def write_result(peer: Any) -> Callable[..., Path]:
    """Writes a result folder as `validate` leaves it: one result, or several by the names of their folders.

    `unchanged` names further models that had not to be judged, `unjudged` such as could not be; other keywords change
    the index, which is that of run 5 on the pull request's head.
    """

    def write(
        folder: Path,
        results: GateResult | dict[str, GateResult],
        *,
        unchanged: Sequence[str] = (),
        unjudged: Sequence[str] = (),
        **changes: Any,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        several = results if isinstance(results, dict) else {".": results}
        models = []
        for name, result in several.items():
            place = folder / name
            place.mkdir(exist_ok=True)
            (place / "result.json").write_text(result.model_dump_json())
            (place / "report.md").write_text("<script>alert(1)</script> forged report")
            digest = hashlib.sha256((place / "result.json").read_bytes()).hexdigest()
            path = result.model.path
            models.append(
                IndexedModel(
                    name=result.model.name,
                    path=path,
                    folder=name,
                    status="judged",
                    sha256=digest,
                    files=(path,),
                )
            )
        alone = len(several) + len(unchanged) + len(unjudged) == 1
        for names, status in ((unchanged, "unchanged"), (unjudged, "unjudged")):
            for name in names:
                place = "." if alone else name
                path = f"models/{name}.pkl"
                models.append(IndexedModel(name=name, path=path, folder=place, status=status, files=(path,)))  # type: ignore[arg-type]
        fields: dict[str, Any] = {
            "tool_version": "0.1.0",
            "repository": peer.repo,
            "run_id": 5,
            "run_attempt": 1,
            "head_sha": peer.s["refs"]["feature"],
            "pull": 1,
            "context": "model-preflight",
            "rules": ("preflight.toml", "pyproject.toml"),
            "models": tuple(models),
        }
        write_index(folder, RunIndex.model_validate(fields | changes))
        return folder

    return write
