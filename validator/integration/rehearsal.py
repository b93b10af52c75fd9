"""The rollback, rehearsed: the published version as the candidate of a rollout behind HAProxy, and it dies."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from validator.artifact.read import MANIFEST_FILE, SUMS_FILE, read_artifact, render_sums
from validator.following import following
from validator.integration.asking import COMMAND, Server, ServerError, serving
from validator.integration.checks import Published, samples
from validator.rollout.settings import RolloutSettings, read_proxy_settings
from validator.rollout.stages import weights
from validator.rollout.state import read_state
from validator.rollout.traffic.haproxy import HAProxy

#: What the rehearsal needs on this machine.
TOOLS = ("haproxy", "prometheus")
_SHARE, _REQUESTS = 25, 200
_NEAR = 10
_WAIT_S, _ROLLOUT_S = 30.0, 180.0


def missing_tools() -> list[str]:
    """Those of `TOOLS` that are not installed."""
    return [tool for tool in TOOLS if _installed(tool) is None]


def _installed(tool: str) -> str | None:
    """Debian puts HAProxy where the PATH of a plain user does not lead."""
    return shutil.which(tool) or shutil.which(tool, path="/usr/local/sbin:/usr/sbin")


class Site:
    """Two servers of one version, HAProxy before them and Prometheus beside, all on this machine.

    Parameters
    ----------
    folder : Path
        Empty; everything is written there.
    blue, green : Server
        Champion and candidate.
    slo_ms : float
        A bucket of the servers' histogram.
    model : str
        The model's name.
    """

    def __init__(self, folder: Path, blue: Server, green: Server, *, slo_ms: float, model: str) -> None:
        self.folder, self.blue, self.green, self.model = folder, blue, green, model
        self.clients, self.counts, self.prometheus = free_ports(3)
        self.config = folder / "rollout.toml"
        self.config.write_text(self._toml(slo_ms))
        self.settings: RolloutSettings = read_proxy_settings(self.config)
        self.proxy = HAProxy(self.settings)

    def _toml(self, slo_ms: float) -> str:
        values: dict[str, Any] = {
            "model": self.model, "directory": "state", "prometheus": f"http://127.0.0.1:{self.prometheus}",
            "slo_ms": slo_ms, "slo_percent": 98.0, "slow_percent": 90.0, "guards": [_SHARE], "guard_requests": 50,
            "window_s": 2, "warmup_s": 1, "bake_minutes": 0.2, "interval_s": 0.5, "lease_s": 10,
            "deadline_hours": 0.1,
        }  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        for name, server in (("blue", self.blue), ("green", self.green)):
            address = f"127.0.0.1:{server.port}"
            lines += [f"[slots.{name}]", f'address = "{address}"', f'url = "http://{address}"']
        lines += [
            "[haproxy]",
            'config = "haproxy.cfg"',
            f"socket = {json.dumps(str(self.folder / 'h.sock'))}",
            f'bind = "127.0.0.1:{self.clients}"',
            f'metrics_bind = "127.0.0.1:{self.counts}"',
            "check_s = 0.5",
        ]
        return "\n".join(lines) + "\n"

    @contextmanager
    def open(self, proxy: Sequence[str]) -> Iterator[None]:
        """HAProxy with all traffic at the champion, and Prometheus; ended with the context."""
        self.proxy.write_file(weights("blue", 0))
        targets = [f"127.0.0.1:{port}" for port in (self.blue.port, self.green.port, self.counts)]
        jobs = [{"job_name": "all", "static_configs": [{"targets": targets}]}]
        (self.folder / "prometheus.yml").write_text(
            json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": jobs})
        )
        with ExitStack() as stack:
            stack.enter_context(self._process(*proxy, "-db", "-f", str(self.settings.haproxy.config)))
            stack.enter_context(
                self._process(
                    "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error",
                    f"--web.listen-address=127.0.0.1:{self.prometheus}",
                )
            )  # fmt: skip
            _until(lambda: _answers(f"http://127.0.0.1:{self.counts}/metrics"), "HAProxy")
            _until(lambda: _answers(f"http://127.0.0.1:{self.prometheus}/-/ready"), "Prometheus")
            yield

    @contextmanager
    def _process(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        program = _installed(command[0]) or command[0]
        with (self.folder / f"{Path(program).name}.log").open("ab") as log:
            line = following((program, *command[1:]))
            process = subprocess.Popen(line, stdout=log, stderr=log, cwd=self.folder)
        try:
            yield process
        finally:
            process.kill()
            process.wait(20)

    def rollout(self, *arguments: str) -> list[str]:
        """The command line of `rollout`."""
        line = [*COMMAND[:-1], "rollout", arguments[0], "--config", str(self.config)]
        return [*line, *arguments[1:]]


@contextmanager
def site(folder: Path, it: Published, *, command: Sequence[str], proxy: Sequence[str]) -> Iterator[Site]:
    """An open site, the published version its candidate. Raises ServerError where a part does not start."""
    champion = stand_in(it.folder, folder / "champion")
    with serving(str(champion), command=command) as blue, serving(str(it.folder), command=command) as green:
        one = Site(folder, blue, green, slo_ms=it.opened.slo_ms, model=it.model)
        with one.open(proxy):
            yield one


def weights_hold(one: Site, it: Published) -> str:
    """Each version gets the share that the proxy was told, and none at weight 0."""
    for share in (_SHARE, 0):
        one.proxy.move(weights("blue", share), safer_first=share == 0)
        before = {name: _answered(server) for name, server in (("blue", one.blue), ("green", one.green))}
        lost = _send(one, it, _REQUESTS)
        if lost:
            return f"at {share} % for the candidate {lost}"
        green = _answered(one.green) - before["green"]
        wanted = _REQUESTS * share // 100
        if abs(green - wanted) > (_NEAR if share else 0):
            return f"the candidate's weight is {share} %, and it answered {green} of {_REQUESTS} requests"
        if green + _answered(one.blue) - before["blue"] != _REQUESTS:
            return f"{_REQUESTS} requests were answered, the servers have counted others"
    return ""


def rolls_back(one: Site, it: Published) -> str:
    """A rollout is begun, the candidate dies in its first stage: it is rolled back, and the champion answers on."""
    _send(one, it, 20)
    digest = it.opened.served.digest
    _until(lambda: _scraped(one), "the first counts in Prometheus")
    began = subprocess.run(
        one.rollout("start", "--candidate", digest, "--force"),
        capture_output=True, text=True, check=False, timeout=_WAIT_S,
    )  # fmt: skip
    if began.returncode:
        return f"the rollout does not begin: {began.stderr.strip()[:300]}"
    seen: Counter[int] = Counter()
    with one._process(*one.rollout("run", "--until-ended")):
        end = time.monotonic() + _ROLLOUT_S
        killed = False
        while time.monotonic() < end:
            state = read_state(one.settings.directory)
            stage = state.state if state else ""
            if stage == "guard" and not killed and one.proxy.read()["green"].weight:
                one.green.process.kill()
                killed = True
            if stage in ("rolled_back", "promoted", "aborted"):
                break
            seen[_ask(one, it)] += 1
        else:
            return f"no end of the rollout within {_ROLLOUT_S:g} s; it is in {stage or 'no state'}"
    if stage != "rolled_back":
        return f"the candidate died, and the rollout ended in {stage}"
    shown = one.proxy.read()
    if (shown["blue"].weight, shown["green"].weight) != (100, 0):
        return f"rolled back, and the proxy's weights are {shown['blue'].weight} and {shown['green'].weight}"
    failed = sum(count for status, count in seen.items() if status != 200)
    if failed > 1:  # the one request that the candidate may have had in hand when it died
        return f"{failed} of {seen.total()} requests failed while the candidate died"
    if lost := _send(one, it, 20):
        return f"after the rollback {lost}"
    return ""


#: What is rehearsed, in this order.
REHEARSALS: Mapping[str, tuple[str, Callable[[Site, Published], str]]] = {
    "rollout.weights": ("The proxy shares traffic as it was told", weights_hold),
    "rollout.rollback": ("A candidate that dies is rolled back", rolls_back),
}


def stand_in(folder: Path, copy: Path) -> Path:
    """A copy of an artifact under another version: the champion, where there is no other version at hand."""
    stored = read_artifact(folder)
    manifest = {**stored.manifest, "version": f"{stored.manifest['version']}.stand-in"}
    files = {**stored.files, MANIFEST_FILE: json.dumps(manifest).encode()}
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in files if name != SUMS_FILE}
    copy.mkdir()
    for name, content in {**files, SUMS_FILE: render_sums(digests).encode()}.items():
        (copy / name).write_bytes(content)
    return copy


def _answered(server: Server) -> int:
    return sum(
        int(one.value)
        for one in samples(server)
        if one.name == "preflight_requests_total" and one.labels["outcome"] == "ok"
    )


def _ask(one: Site, it: Published) -> int:
    """The status of one golden request through the proxy; 0 where no answer came."""
    try:
        address = f"http://127.0.0.1:{one.clients}/predict"
        return httpx.post(address, json={"rows": [it.golden.rows[0]]}, timeout=_WAIT_S).status_code
    except httpx.HTTPError:
        return 0


def _send(one: Site, it: Published, count: int) -> str:
    """Requests one after the other; what is wrong with their answers."""
    seen = Counter(_ask(one, it) for _ in range(count))
    failed = {status: number for status, number in seen.items() if status != 200}
    return (
        f"{sum(failed.values())} of {count} requests were not answered: status {min(failed)}"
        if failed
        else ""
    )


def _scraped(one: Site) -> bool:
    query = {"query": "count(preflight_requests_total) + count(haproxy_server_status)"}
    found = httpx.get(f"http://127.0.0.1:{one.prometheus}/api/v1/query", params=query, timeout=5).json()
    return bool(found["data"]["result"])


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise ServerError(f"{what} did not come within {_WAIT_S:g} s", hint="see the log in the folder")
        time.sleep(0.1)


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
