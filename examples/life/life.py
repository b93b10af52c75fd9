"""The whole life of a model on this machine: train, validate, publish, serve, roll out, roll back, watch, drift.

    python examples/life/life.py [FOLDER]

Every step is a command of model-preflight or a real server: HAProxy, Prometheus and Alertmanager where they are
installed; what is left out without them is said. The data are scikit-learn's 1,797 scanned digits; the model tells
odd from even by 16 pixels in the middle. The rules' windows are hours and days: here their times are shortened.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import yaml
from sklearn.datasets import load_digits

from validator.following import following

PIXELS = [f"pixel_{row}_{column}" for row in range(2, 6) for column in range(2, 6)]
#: A day of the rules' windows is two minutes here, an hour five seconds.
FASTER = 720
TOOLS = ("haproxy", "prometheus", "prometheus-alertmanager")
_STARTED = time.monotonic()


def say(text: str) -> None:
    """A step, with the seconds since the start."""
    print(wrapped(f"[{time.monotonic() - _STARTED:5.0f} s] {text}", 10), flush=True)


def wrapped(text: str, indent: int) -> str:
    """For eighty columns."""
    return textwrap.fill(
        text, 79, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )


def command(*arguments: str, wanted: int = 0) -> str:
    """Run `model-preflight` and return what it printed; end with its own words where it ends otherwise."""
    line = [sys.executable, "-m", "validator.cli", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    shown = shlex.join(arguments).replace(f"{Path.cwd()}/", "")
    print(wrapped(f"          $ model-preflight {shown}", 14), flush=True)
    if done.returncode != wanted:
        sys.exit(f"\nthis ended with {done.returncode}, not {wanted}:\n{done.stdout}{done.stderr}")
    return done.stdout


def until(condition: Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait, or end and say for what."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"\nwaited {seconds:g} s in vain for {what}")
        time.sleep(0.2)


# train and validate --------------------------------------------------------------------------------


def digits() -> pd.DataFrame:
    """The scans, in an order that says nothing, with the answer `odd`."""
    found = load_digits()
    names = [f"pixel_{row}_{column}" for row in range(8) for column in range(8)]
    table = pd.DataFrame(found.data, columns=names)[PIXELS].astype("float64")
    table["odd"] = found.target % 2
    return table.sample(frac=1, random_state=7).reset_index(drop=True)


def train(folder: Path, table: pd.DataFrame, trees: int) -> None:
    """A model and the rows that it did not see."""
    folder.mkdir(parents=True)
    middle = len(table) * 55 // 100
    seen, unseen = table.iloc[:middle], table.iloc[middle:]
    model = lgb.LGBMClassifier(n_estimators=trees, num_leaves=15, random_state=7, n_jobs=1, verbosity=-1)
    model.fit(seen[PIXELS], seen["odd"])
    model.booster_.save_model(folder / "digits.txt")
    unseen.reset_index(drop=True).to_parquet(folder / "sample.parquet", index=False)


def judge(folder: Path, contract: str = "", *flags: str) -> Path:
    """The gate. Returns the artifact."""
    (folder / "preflight.toml").write_text(
        f'data = "sample.parquet"\ntarget = "odd"\nlatency_budget_s = 2\n{contract}'
    )
    here = Path.cwd()
    os.chdir(folder)
    try:
        command("validate", "digits.txt", *flags)
    finally:
        os.chdir(here)
    return next((folder / "preflight" / "artifact").glob("*/v_*"))


# servers --------------------------------------------------------------------------------


class Site:
    """What runs: two slots, the proxy, Prometheus, Alertmanager, clients, and the receiver of alerts."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.stack = stack
        names = ("blue", "green", "clients", "counts", "prometheus", "alertmanager", "receiver", "steps")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.slots: dict[str, subprocess.Popen[bytes]] = {}
        self.alerts: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self.rows: list[dict[str, float]] = []
        self.asking = True

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.ports[name]}"

    def start(self, name: str, *line: str) -> subprocess.Popen[bytes]:
        log = self.stack.enter_context((self.folder / f"{name}.log").open("ab"))
        process = subprocess.Popen(following(line), stdout=log, stderr=log, cwd=self.folder)
        self.stack.callback(end, process)
        return process

    def serve(self, slot: str, artifact: Path) -> None:
        """A version into a slot, whose server before it is ended."""
        if slot in self.slots:
            end(self.slots[slot])
        line = (
            sys.executable,
            "-m",
            "validator.cli",
            "serve",
            str(artifact),
            "--port",
            str(self.ports[slot]),
        )
        self.slots[slot] = self.start(slot, *line, "--drain", "0s")
        until(lambda: answers(f"{self.url(slot)}/v2/health/ready"), f"the server in {slot}")

    def configure(self) -> None:
        """`rollout.toml`: short stages, for a small life, and a limit that a busy machine keeps too."""
        address = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        (self.folder / "rollout.toml").write_text(
            f"""model = "digits"
directory = "rollout"
prometheus = "{self.url("prometheus")}"
slo_ms = 1000
slo_percent = 98.0
slow_percent = 96.0
guards = [25]
guard_requests = 100
window_s = 2
warmup_s = 1
bake_minutes = 0.1
interval_s = 0.5
lease_s = 10
deadline_hours = 0.2

[slots.blue]
address = "{address["blue"]}"
url = "{self.url("blue")}"
[slots.green]
address = "{address["green"]}"
url = "{self.url("green")}"

[haproxy]
config = "haproxy.cfg"
socket = "{self.folder / "h.sock"}"
bind = "{address["clients"]}"
metrics_bind = "{address["counts"]}"
"""
        )

    def watch(self, artifact: Path) -> None:
        """Prometheus with the product's own rules, Alertmanager, and a receiver."""
        command(
            "monitor", "init", "--artifact", str(artifact), "--rollout", "rollout.toml", "--out", "monitoring"
        )
        rules = yaml.safe_load((self.folder / "monitoring/rules/digits.yml").read_text())
        (self.folder / "rules.yml").write_text(yaml.safe_dump(faster(rules)))
        targets = [f"127.0.0.1:{self.ports[name]}" for name in ("blue", "green", "counts", "steps")]
        manager = {"static_configs": [{"targets": [f"127.0.0.1:{self.ports['alertmanager']}"]}]}
        write_yaml(self.folder / "prometheus.yml", {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [manager]},
            "scrape_configs": [{"job_name": "digits", "static_configs": [{"targets": targets}]}],
        })  # fmt: skip
        hook = {"name": "hook", "webhook_configs": [{"url": self.url("receiver"), "send_resolved": False}]}
        write_yaml(self.folder / "alertmanager.yml", {
            "route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "1s", "group_interval": "1s"},
            "receivers": [hook],
        })  # fmt: skip
        self.receive()
        self.start(
            "alertmanager", "prometheus-alertmanager", "--config.file=alertmanager.yml", "--storage.path=alerts",
            f"--web.listen-address=127.0.0.1:{self.ports['alertmanager']}", "--cluster.listen-address=",
        )  # fmt: skip
        self.start(
            "prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=metrics",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        )  # fmt: skip
        until(lambda: answers(f"{self.url('prometheus')}/-/ready"), "Prometheus")

    def receive(self) -> None:
        """Whoever is on call: counts the alerts that reach it."""
        alerts = self.alerts

        class Receiver(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                alerts.update(one["labels"]["alertname"] for one in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.ports["receiver"]), Receiver)
        self.stack.callback(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(self, rows: list[dict[str, float]]) -> None:
        """Clients that never stop asking, from now on with these rows."""
        first = not self.rows
        self.rows = rows
        if first:
            self.stack.callback(setattr, self, "asking", False)
            for seed in range(6):
                threading.Thread(target=self._client, args=(seed,), daemon=True).start()

    def _client(self, seed: int) -> None:
        order = np.random.default_rng(seed)
        while self.asking:
            body = json.dumps({"rows": [self.rows[order.integers(len(self.rows))]]}).encode()
            request = urllib.request.Request(f"{self.url('clients')}/predict", body)
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    self.answers[response.status] += 1
            except urllib.error.HTTPError as error:
                self.answers[error.code] += 1
            except OSError:
                self.answers[0] += 1
            time.sleep(0.02)

    def is_up(self, slot: str) -> bool:
        """Whether the proxy sees the slot's server: it asks again only every second."""
        with urllib.request.urlopen(f"{self.url('counts')}/metrics", timeout=5) as response:
            seen = response.read().decode()
        return bool(re.search(rf'haproxy_server_status{{[^}}]*server="{slot}",state="UP"}} 1', seen))

    def roll_out(self, slot: str, wanted: str) -> list[str]:
        """A rollout of what the slot serves, to its end. Returns what its history says."""
        until(lambda: self.is_up(slot), f"the proxy to see the server in {slot}")
        candidate = digest_of(self.url(slot))
        shutil.rmtree(self.folder / "rollout", ignore_errors=True)
        command("rollout", "start", "digits", "--candidate", candidate, "--force")
        line = (sys.executable, "-m", "validator.cli", "rollout", "run", "--until-ended")
        run = self.start("rollout", *line, "--metrics", f"127.0.0.1:{self.ports['steps']}")
        shown = ""
        while True:
            state = json.loads((self.folder / "rollout" / "rollout.json").read_text())
            stage = f"{state['state'].replace('_', ' ')}, {state['share']} %"
            if stage != shown:
                say(f"  {stage}")
                shown = stage
            if state["state"] in ("promoted", "rolled_back", "aborted"):
                break
            if run.poll() not in (None, 0, 1) or time.monotonic() - _STARTED > 1_200:
                sys.exit(f"the rollout does not go on: see {self.folder / 'rollout.log'}")
            time.sleep(0.3)
        run.wait(30)
        if state["state"] != wanted:
            sys.exit(f"the rollout ended {state['state']}, not {wanted}: {state['history'][-1]['why']}")
        return [f"{one['after'].replace('_', ' ')}: {one['why']}" for one in state["history"]]


def faster(document: Any) -> Any:
    """The same rules with shorter times."""
    if isinstance(document, dict):
        return {
            key: shorter(value) if key in ("for", "interval") else faster(value)
            for key, value in document.items()
        }
    if isinstance(document, list):
        return [faster(one) for one in document]
    if isinstance(document, str):
        inside = re.sub(r"\[[0-9smhd:]+\]", lambda found: shorter(found[0]), document)
        return re.sub(r"(?<=offset )[0-9]+[smhdw]", lambda found: shorter(found[0]), inside)
    return document


def shorter(text: str) -> str:
    """`[1d:1h]` becomes `[120s:5s]`; nothing below three seconds, since counts come every second."""
    units = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
    return re.sub(r"([0-9]+)([smhdw])", lambda one: f"{max(int(one[1]) * units[one[2]] // FASTER, 3)}s", text)


def write_yaml(path: Path, document: Any) -> None:
    path.write_text(yaml.safe_dump(document))


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def answers(url: str) -> bool:
    """Whether it answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, and SIGKILL if that is not heard."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# the story --------------------------------------------------------------------------------


def digest_of(url: str) -> str:
    with urllib.request.urlopen(f"{url}/about", timeout=10) as response:
        return str(json.load(response)["digest"])


def before_it_ships(folder: Path, table: pd.DataFrame) -> dict[str, Path]:
    """Three versions, judged and published; the first is promoted."""
    say("train two versions, and a third whose makers have seen faint scans only")
    train(folder / "first", table, trees=40)
    train(folder / "second", table, trees=120)
    faint = table[(table["pixel_3_3"] <= 8)].reset_index(drop=True)
    train(folder / "faint", faint, trees=80)
    say("judge them: each passes on its own sample, the second also beside the first")
    artifacts = {"first": judge(folder / "first")}
    # Three times the trees take their time, and its makers allow it.
    beside = ("--baseline", os.path.relpath(artifacts["first"], folder / "second"))
    artifacts["second"] = judge(folder / "second", "max_slowdown = 2.0\n", *beside)
    artifacts["faint"] = judge(folder / "faint", '[[contract.features]]\nname = "pixel_3_3"\nmaximum = 8.0\n')
    say("publish them, promote the first, and try what was published")
    for artifact in artifacts.values():
        command("registry", "push", str(artifact), "digits")
    command("registry", "promote", "digits", artifacts["first"].name, "--reason", "the first that passed")
    command("registry", "pull", "digits:champion", "-o", "served")
    command("test", "served", "--no-rehearsal", "--out", "test")
    return artifacts


def in_production(site: Site, artifacts: dict[str, Path], table: pd.DataFrame) -> list[str]:
    """A good candidate, a bad one, and a change of the world."""
    told = []
    rows = table[PIXELS].to_dict("records")
    say(
        "serve the champion behind HAProxy; Prometheus and Alertmanager watch with the rules that `monitor init` made"
    )
    site.configure()
    site.serve("blue", site.folder / "served")
    site.serve("green", artifacts["second"])
    (site.folder / "haproxy.cfg").write_text(command("rollout", "emit", "--engine", "haproxy"))
    site.start("haproxy", "haproxy", "-db", "-f", "haproxy.cfg")
    site.watch(artifacts["first"])
    site.ask(rows)
    until(lambda: sum(site.answers.values()) > 300, "the first answers")

    say("roll out the second version")
    history = site.roll_out("green", "promoted")
    command("registry", "promote", "digits", artifacts["second"].name, "--reason", "promoted by its rollout")
    shutil.copytree("rollout", "rollout-promoted")
    told.append(f"the second version took over: {history[-1]}")

    say("roll out the one that has seen faint scans only: it refuses what it does not know")
    site.serve("blue", artifacts["faint"])
    history = site.roll_out("blue", "rolled_back")
    told.append(f"the third version was taken out by itself: {history[-1]}")
    site.serve("blue", artifacts["second"])

    say("the scanner is replaced: pixels are now from 0 to 1 instead of 0 to 16")
    new = (table[PIXELS] / 16).to_dict("records")
    site.alerts.clear()
    site.ask(new)
    until(lambda: site.alerts["PreflightDrift"], "the alert PreflightDrift", 180)
    told.append(f"the alert rang: {', '.join(sorted(site.alerts))}")
    (site.folder / "monitor.toml").write_text("scrape_interval_s = 1\n")
    page = ("--prometheus", site.url("prometheus"), "--model", "digits", "--last", "10m")
    command("monitor", "page", *page, "--rollout", "rollout.toml", "--out", "monitor.html")
    return told


def main() -> int:
    """Live through it, and say where to look."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "life").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chdir(folder)
    table = digits()
    # Debian puts HAProxy where the PATH of a plain user does not lead.
    os.environ["PATH"] = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        say(f"not installed, so nothing will be rolled out or watched: {', '.join(missing)}")
        say(f"(Debian has them: apt-get install {' '.join(missing)})")
    else:
        say("this uses HAProxy, Prometheus and Alertmanager, which are installed")
    with ExitStack() as stack:
        artifacts = before_it_ships(folder, table)
        told = ["three versions were judged, published and tried"]
        if missing:
            told.append(f"without {', '.join(missing)} nothing was rolled out or watched")
        else:
            site = Site(folder, stack)
            told += in_production(site, artifacts, table)
            lost = {status: count for status, count in site.answers.items() if status not in (200, 422)}
            told.append(
                f"{site.answers.total():,} requests, {sum(lost.values())} without an answer of the model"
            )
        say("compare the new scans with what the champion was judged on")
        (table[PIXELS] / 16).to_parquet("new_scans.parquet", index=False)
        command(
            "drift", "new_scans.parquet", "--artifact", str(artifacts["second"]), "--independent", wanted=1
        )
        told.append("drift.html shows which pixels moved, and what that does to the answers")
        history = command("registry", "history", "digits")
    print("\nWhat happened")
    for line in told:
        print(wrapped(f"  - {line}", 4))
    print("\n" + "\n".join(f"  {line}" for line in history.splitlines()))
    print("\nWhere to look")
    for name, text in WHERE.items():
        if list(folder.glob(name)):
            print(f"  {os.path.relpath(next(folder.glob(name)), Path.cwd().parent):<35} {text}")
    print(
        f"\nAll of it took {time.monotonic() - _STARTED:.0f} s. Rules' times were shortened {FASTER} times."
    )
    return 0


WHERE = {
    "second/preflight/report.html": "what the gate saw of the second version",
    "test/test.md": "what was tried on the published champion",
    "rollout-promoted/*.html": "the rollout that took over, with the evidence",
    "rollout/*.html": "the one that was rolled back",
    "monitor.html": "these minutes: traffic by version, outcomes, drift, alerts",
    "monitoring/rules/*.yml": "the alerts, each with its tests",
    "drift/drift.html": "reference and new scans, pixel by pixel",
}


if __name__ == "__main__":
    sys.exit(main())
