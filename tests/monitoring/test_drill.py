"""The drill of alerts: a real server, Prometheus, Alertmanager and somebody who listens."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.drill import drilled
from tests.monitoring.hook import Hook
from tests.monitoring.remembered import store, typical
from tests.rollout.site import Site, free_ports, until
from tests.unit.monitoring.conftest import NAMES, make_artifact
from validator.cli.main import main

TOOLS = ("prometheus", "promtool", "prometheus-alertmanager", "amtool")
pytestmark = drilled(TOOLS, seconds=1_200)
#: NaN where the logit is below -2.
SOMETIMES_NAN = [
    ("Add", ["raw", "two"], ["above"], {}),
    ("Sqrt", ["above"], ["root"], {}),
    ("Sub", ["root", "root"], ["nothing"], {}),
    ("Add", ["p", "nothing"], ["probabilities"], {}),
]


@pytest.fixture
def ports() -> dict[str, int]:
    return dict(zip(("model", "prometheus", "alertmanager", "hook"), free_ports(4), strict=True))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    """Only its way of starting and stopping processes is used."""
    one = Site(tmp_path)
    try:
        yield one
    finally:
        one.close()


def begin(one: Site, ports: dict[str, int], artifact: Path) -> Path:
    """Everything up, from what `monitor init` writes."""
    folder = one.folder
    (folder / "monitor.toml").write_text(
        f'targets = ["127.0.0.1:{ports["model"]}"]\nscrape_interval_s = 1\nretrain_after_days = 3650\n'
        f'prometheus = "127.0.0.1:{ports["prometheus"]}"\nalertmanager = "127.0.0.1:{ports["alertmanager"]}"\n'
        f'[webhook]\nurl = "http://127.0.0.1:{ports["hook"]}/people"\n'
        f'[watchdog]\nurl = "http://127.0.0.1:{ports["hook"]}/watchdog"\n'
    )
    made = folder / "monitoring"
    arguments = ["--artifact", str(artifact), "--config", str(folder / "monitor.toml"), "--out", str(made)]
    assert main(["monitor", "init", *arguments]) == 0
    serve = (sys.executable, "-m", "validator.cli", "serve", str(artifact), "--drain", "0s")
    one.go("model", *serve, "--port", str(ports["model"]))
    one.go(
        "prometheus", "prometheus", f"--config.file={made}/prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{ports['prometheus']}", "--rules.alert.resend-delay=5s",
    )  # fmt: skip
    one.go(
        "alertmanager", "prometheus-alertmanager", f"--config.file={made}/alertmanager.yml", "--storage.path=am",
        f"--web.listen-address=127.0.0.1:{ports['alertmanager']}", "--cluster.listen-address=",
    )  # fmt: skip
    until(
        lambda: _asks(f"http://127.0.0.1:{ports['prometheus']}", "preflight_requests_total"), 180, "a scrape"
    )
    return made


def _asks(url: str, query: str) -> bool:
    try:
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query}, timeout=5).json()
    except (httpx.HTTPError, ValueError):  # it is not there yet, or does not answer yet
        return False
    return bool(answer["data"]["result"])


def ask(ports: dict[str, int], value: float) -> int:
    row = dict.fromkeys(NAMES, value)
    url = f"http://127.0.0.1:{ports['model']}/predict"
    return httpx.post(url, json={"rows": [row]}, timeout=10).status_code


def test_a_fault_reaches_people_and_silence_is_noticed(running: Site, ports: dict[str, int]) -> None:
    hook = Hook(ports["hook"])
    artifact = make_artifact(running.folder / "a", tail=SOMETIMES_NAN)
    made = begin(running, ports, artifact)
    url = f"http://127.0.0.1:{ports['prometheus']}"
    for _ in range(20):
        assert ask(ports, 0.1) == 200
    until(lambda: "PreflightWatchdog" in hook.names("/watchdog"), 60, "the watchdog")
    assert hook.names("/people") == set()
    # The rules of long windows are evaluated every few minutes, at a moment of Prometheus' own choice.
    until(
        lambda: main(["monitor", "check", str(made), "--prometheus", url]) == 0, 330, "every query's answer"
    )
    assert ask(ports, -3.0) == 500
    until(lambda: "PreflightInvalidOutput" in hook.names("/people"), 120, "the alert")
    (alert,) = [
        one for _, one in hook.alerts("/people") if one["labels"]["alertname"] == "PreflightInvalidOutput"
    ][:1]
    assert alert["labels"]["model"] == "churn"
    assert alert["annotations"]["runbook_url"].endswith("/runbooks/PreflightInvalidOutput/")
    running.stop("prometheus")

    def silent() -> bool:
        beats = [at for at, one in hook.alerts("/watchdog") if one["status"] == "firing"]
        return time.monotonic() - beats[-1] > 125

    until(silent, 400, "the watchdog to fall silent: it beats every minute, and Prometheus is gone")
    assert hook.names("/people") == {"PreflightInvalidOutput"}, "nobody else could have told"


def test_a_dead_server_reaches_people(running: Site, ports: dict[str, int]) -> None:
    hook = Hook(ports["hook"])
    begin(running, ports, make_artifact(running.folder / "a"))
    running.stop("model")
    until(lambda: "PreflightTargetDown" in hook.names("/people"), 300, "the alert")


def test_pages_of_a_real_history(running: Site, ports: dict[str, int]) -> None:
    folder, end, week = running.folder, time.time(), 7 * 86_400.0
    store(
        folder,
        [
            typical("one", end=end, seconds=week, versions=1),
            typical("two", end=end, seconds=week),
            typical("wide", end=end, seconds=week, features=64),
            typical("year", end=end, seconds=365 * 86_400.0),
        ],
    )
    (folder / "p.yml").write_text("{}")
    url = f"http://127.0.0.1:{ports['prometheus']}"
    running.go(
        "prometheus", "prometheus", "--config.file=p.yml", "--storage.tsdb.path=data",
        "--storage.tsdb.retention.time=10y", f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
    )  # fmt: skip
    until(lambda: _asks(url, "preflight_model_info"), 60, "Prometheus")
    pages = {}
    for name, last in (("one", "7d"), ("two", "7d"), ("wide", "7d"), ("year", "1y"), ("none", "7d")):
        out = folder / f"{name}.html"
        more = ["--model", name, "--last", last, "--out", str(out)]
        assert main(["monitor", "page", "--prometheus", url, *more]) == 0
        pages[name] = out.read_text()
    assert main(["monitor", "page", "--prometheus", url, "--out", str(folder / "x.html")]) == 2, (
        "which of four?"
    )
    assert "nothing is known" in pages["none"]
    assert 'class="band"' not in pages["one"]
    for name in ("two", "wide", "year"):
        assert 'class="band"' in pages[name], name
        assert "1 alert fires" in pages[name]
        assert ">drift</span>" in pages[name]
    assert pages["wide"].count('<article class="card">') == 65
