"""A whole site on loopback: two servers, HAProxy, Prometheus, and clients that never stop asking."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.rollout.alerts import RULES, Receiver, configuration
from validator.following import following
from validator.integration.rehearsal import free_ports
from validator.rollout.settings import RolloutSettings, read_proxy_settings
from validator.rollout.stages import weights
from validator.rollout.state import Rollout, read_state
from validator.rollout.traffic.haproxy import HAProxy

SERVER = Path(__file__).with_name("model_server.py")
#: A generous limit for the slow: what is awaited here takes a server seconds.
SLO_S = 0.25
TOOLS = ("haproxy", "prometheus", "prometheus-alertmanager")


def until(condition: Callable[[], object], seconds: float = 60, what: str = "") -> None:
    """Wait for something, and fail if it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what or condition}")
        time.sleep(0.1)


class Site:
    """Everything that runs, by name."""

    def __init__(self, folder: Path, **overrides: object) -> None:
        self.folder = folder
        self.ports = dict(
            zip(
                ("blue", "green", "clients", "proxy", "prometheus", "run", "alertmanager"),
                free_ports(7),
                strict=True,
            )
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.config = folder / "rollout.toml"
        self.answers: Counter[tuple[str, int]] = Counter()
        self.round = 0
        self.candidate_digest = ""
        self.path = "/v2/models/trading/infer"
        self.body: Callable[[], bytes] = lambda: b"{}"
        #: How a slot's server is started; the stand-in by default.
        self.served: dict[str, tuple[str, ...]] = {}
        self.champion = self.candidate = ""
        #: Whom Alertmanager tells; set before Prometheus is started.
        self.receiver: Receiver | None = None
        #: Beside those of this process, for the commands.
        self.environ: dict[str, str] = {}
        self._asking = False
        self._clients: list[threading.Thread] = []
        self.config.write_text(self._toml(overrides))
        self.settings: RolloutSettings = read_proxy_settings(self.config)
        self.proxy = HAProxy(self.settings)

    def _toml(self, overrides: dict[str, object]) -> str:
        values: dict[str, object] = {
            "model": "trading", "directory": "state", "prometheus": self.url("prometheus"), "slo_ms": SLO_S * 1000,
            "slo_percent": 98.0, "slow_percent": 96.0, "guards": [25], "guard_requests": 100, "window_s": 2,
            "warmup_s": 1, "bake_minutes": 0.2, "interval_s": 0.5, "lease_s": 6, "deadline_hours": 0.5,
        } | overrides  # fmt: skip
        lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
        for slot in ("blue", "green"):
            lines += [
                f"[slots.{slot}]",
                f'address = "127.0.0.1:{self.ports[slot]}"',
                f'url = "{self.url(slot)}"',
            ]
        lines += ["[haproxy]", 'config = "haproxy.cfg"', f'socket = "{self.folder}/h.sock"', "timeout_s = 2"]
        lines += [
            f'bind = "127.0.0.1:{self.ports["clients"]}"',
            f'metrics_bind = "127.0.0.1:{self.ports["proxy"]}"',
        ]
        return "\n".join(lines) + "\n"

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    # processes ----------------------------------------------------------------------------------------------------

    def go(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as file:
            self.processes[name] = subprocess.Popen(
                following(command), stdout=file, stderr=file, cwd=self.folder, env=os.environ | self.environ
            )

    def stop(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(20)

    def server(self, slot: str, version: str) -> None:
        own = (str(SERVER), str(self.ports[slot]), version, str(SLO_S))
        self.go(slot, sys.executable, *self.served.get(slot, own))
        until(lambda: _answers(self.url(slot) + "/v2/health/ready"), what=f"{slot} to be ready")

    def haproxy(self) -> None:
        self.go("haproxy", "haproxy", "-db", "-f", str(self.settings.haproxy.config))
        until(lambda: _answers(self.url("proxy") + "/metrics"), what="HAProxy")

    def prometheus(self) -> None:
        jobs = [{"job_name": "model", "static_configs": [{"targets": [self._host("blue"), self._host("green")]}]},
                {"job_name": "proxy", "static_configs": [{"targets": [self._host("proxy")]}]}]  # fmt: skip
        jobs.append({"job_name": "rollout", "static_configs": [{"targets": [self._host("run")]}]})
        document: dict[str, object] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": jobs
        }  # fmt: skip
        if self.receiver is not None:
            (self.folder / "rules.yml").write_text(json.dumps(RULES))
            targets = [{"targets": [self._host("alertmanager")]}]
            document |= {
                "rule_files": ["rules.yml"],
                "alerting": {"alertmanagers": [{"static_configs": targets}]},
            }
        (self.folder / "prometheus.yml").write_text(json.dumps(document))
        self.go(
            "prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}", "--log.level=warn",
            "--rules.alert.resend-delay=2s",
        )  # fmt: skip
        until(lambda: _answers(self.url("prometheus") + "/-/ready"), what="Prometheus")

    def alertmanager(self) -> None:
        """Told by Prometheus, tells `receiver`."""
        assert self.receiver is not None
        (self.folder / "alertmanager.yml").write_text(json.dumps(configuration(self.receiver)))
        self.go(
            "alertmanager", "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alerts",
            f"--web.listen-address=127.0.0.1:{self.ports['alertmanager']}", "--cluster.listen-address=",
        )  # fmt: skip
        until(lambda: _answers(self.url("alertmanager") + "/-/ready"), what="Alertmanager")

    def _host(self, name: str) -> str:
        return f"127.0.0.1:{self.ports[name]}"

    def command(
        self, *arguments: str, name: str = ""
    ) -> subprocess.Popen[bytes] | subprocess.CompletedProcess[str]:
        """`model-preflight rollout …`; with a name it is left running."""
        line = [sys.executable, "-m", "validator.cli", "rollout", arguments[0], "--config", str(self.config)]
        line += arguments[1:]
        if name:
            self.go(name, *line)
            return self.processes[name]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)

    def done(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        result = self.command(*arguments)
        assert isinstance(result, subprocess.CompletedProcess)
        return result

    # the site -----------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The proxy's counts and Prometheus, which stay over the tests."""
        self.prometheus()

    def reset(self, **overrides: object) -> None:
        """Two new versions, blue with all traffic, green with none, clients asking, no rollout."""
        self.silence()
        for name in [name for name in self.processes if name not in ("prometheus", "alertmanager")]:
            self.stop(name)
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        (self.folder / "run.log").unlink(missing_ok=True)
        self.config.write_text(self._toml(overrides))
        self.settings = read_proxy_settings(self.config)
        self.proxy = HAProxy(self.settings)
        self.round += 1
        self.champion, self.candidate = f"v{self.round}.1", f"v{self.round}.2"
        self.server("blue", self.champion)
        self.server("green", self.candidate)
        self.proxy.write_file(weights("blue", 0))
        self.haproxy()
        if "prometheus" not in self.processes:
            self.prometheus()
        self.answers.clear()
        self.clients(6)
        until(self._scraped, what="the first counts in Prometheus")

    def _scraped(self) -> bool:
        versions = "v_.*" if self.served else f"v{self.round}.*"
        query = f'count(preflight_requests_total{{version=~"{versions}"}}) + count(haproxy_server_status)'
        found = self.known(query)
        return bool(found) and found[0] >= 2 * 5 + 1

    def known(self, query: str) -> list[float]:
        """What Prometheus knows now."""
        address = f"{self.url('prometheus')}/api/v1/query?query={urllib.parse.quote(query)}"
        with urllib.request.urlopen(address, timeout=5) as response:
            return [float(one["value"][1]) for one in json.load(response)["data"]["result"]]

    def clients(self, count: int, pause: float = 0.02) -> None:
        self._asking = True
        self._clients = [threading.Thread(target=self._ask, args=(pause,)) for _ in range(count)]
        for client in self._clients:
            client.start()

    def silence(self) -> None:
        """No client asks any more."""
        self._asking = False
        for client in self._clients:
            client.join(20)
        self._clients = []

    def _ask(self, pause: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["clients"], timeout=10)
        while self._asking:
            try:
                connection.request("POST", self.path, self.body())
                response = connection.getresponse()
                body = response.read()
                document = json.loads(body) if body[:1] == b"{" else {}
                version = document.get("model_version", "refused" if document else "")
                self.answers[version, response.status] += 1
            except (OSError, http.client.HTTPException):
                self.answers["", 0] += 1
                connection.close()
                connection = http.client.HTTPConnection("127.0.0.1", self.ports["clients"], timeout=10)
            time.sleep(pause)
        connection.close()

    def fault(self, slot: str, **shares: float) -> None:
        self._put(slot, "/fault", shares)

    def lease(self, slot: str, seconds: float) -> None:
        self._put(slot, "/lease", {"seconds": seconds})

    def _put(self, slot: str, path: str, document: Mapping[str, float]) -> None:
        request = urllib.request.Request(self.url(slot) + path, json.dumps(document).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=5).close()

    def lost(self) -> Counter[tuple[str, int]]:
        """Requests that the proxy itself could not have answered: no version spoke."""
        return Counter({key: count for key, count in self.answers.items() if key[0] == "" and count})

    def start(self, *, force: bool = True) -> None:
        """Begin, with the digest that green serves."""
        flags = ["--force"] if force else []
        digest = self.candidate_digest or f"sha256:{self.candidate * 8}"
        result = self.done("start", "--candidate", digest, *flags)
        assert result.returncode == 0, result.stdout + result.stderr

    def state(self) -> Rollout:
        state = read_state(self.settings.directory)
        assert state is not None
        return state

    def reaches(self, *stages: str, seconds: float = 90) -> Rollout:
        """Wait for one of the stages."""
        try:
            until(lambda: self.state().stage in stages, seconds, f"stage {' or '.join(stages)}")
        except AssertionError as error:
            log = (self.folder / "run.log").read_text() if (self.folder / "run.log").exists() else ""
            raise AssertionError(
                f"{error}; it is in {self.state().stage}: {self.state().reason}\n{log[-3000:]}"
            ) from None
        return self.state()

    def close(self) -> None:
        self.silence()
        for name in list(self.processes):
            self.stop(name)


@contextmanager
def site(folder: Path, **overrides: object) -> Iterator[Site]:
    """An open site, closed in the end; `reset` begins a round."""
    one = Site(folder, **overrides)
    try:
        one.open()
        yield one
    finally:
        one.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
