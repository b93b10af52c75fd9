"""What the server costs beside the least that could serve: `python benchmarks/serve.py [--peers DIR] [--json]`.

One LightGBM classifier of 500 trees on ten features, one row a request, one and 16 connections, every request another
row; the artifact has a profile, so that each row is counted. *Bare* is an ASGI function that parses the body, runs
`Deployment` and writes the answer, under the same uvicorn; it checks nothing, counts nothing and bounds nothing.
All servers are up at once, pinned to one core, and take turns; shown is the processor time that the server's process
spent on a request, the least of all turns, which hardly depends on what else the machine does. Wanted: at most 1.3
times the bare one's. Beside it, what counting a row of 30 features takes: at most 5 us.

`--peers DIR` names a folder with virtual environments `mlserver`, `mlflow` and `bento`, which serve the same model
and take their turns like the others. Wanted over 16 connections: five times our processor time, or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.deployment import FEATURES, train, write_artifact_of
from validator.profile import Profile, profile_json
from validator.profile.making import ProfileMaker
from validator.serving.metrics.bins import LiveBins

ROOT = Path(__file__).resolve().parents[1]
ALLOWED_RATIO = 1.3
WANTED_TIMES = 5.0
ALLOWED_COUNT_US = 5.0
COUNTED = 30
#: Many short turns: the least of them is what a core does that nobody disturbs.
ROUNDS = 32
#: Slower servers are asked so many times fewer rows a turn.
PEERS_SHARE = 5
CONNECTIONS = (1, 16)

BARE = """
import sys
import orjson
import uvicorn
from validator import Deployment

model = Deployment.load(sys.argv[1])
ROWS = sys.argv[3] == "rows"

async def app(scope, receive, send):
    message = await receive()
    body = message["body"]
    while message.get("more_body"):
        message = await receive()
        body += message["body"]
    document = orjson.loads(body)
    if ROWS:
        answer = model.predict_single(document["rows"][0])
        told = {"predictions": [{"label": answer.label, "probabilities": answer.probabilities}]}
    else:
        answer = model.predict_single({one["name"]: one["data"][0] for one in document["inputs"]})
        told = {"model_name": "bench", "outputs": [
            {"name": "label", "datatype": "INT64", "shape": [1], "data": [answer.label]},
            {"name": "probabilities", "datatype": "FP64", "shape": [1, 2], "data": answer.probabilities},
        ]}
    content = orjson.dumps(told)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})

uvicorn.run(app, port=int(sys.argv[2]), http="httptools", loop="uvloop", lifespan="off", log_level="critical",
            access_log=False, server_header=False)
"""


@dataclass(frozen=True)
class Target:
    """A server: how it starts on a port, and the bytes of requests for rows."""

    name: str
    start: Callable[[int], list[str]]
    path: str
    body: Callable[[Sequence[float]], Any]
    environ: dict[str, str] | None = None
    is_own: bool = False


def profile_of(columns: dict[str, np.ndarray], probabilities: np.ndarray) -> Profile:
    """What the gate would write of such rows and of the model's answers to them."""
    maker = ProfileMaker()
    maker.add(columns, lambda asked: {"probabilities[1]": probabilities[asked, 1]})
    return maker.finish(source="reference", source_sha256="")


def counting_us() -> float:
    """Processor time of counting a row of 30 features and its answer, in microseconds, as the server does it."""
    random = np.random.default_rng(5)
    table = random.normal(size=(10_000, COUNTED))
    names = [f"f{i}" for i in range(COUNTED)]
    answers = random.random(10_000)
    bins = LiveBins(profile_of(dict(zip(names, table.T, strict=True)), np.stack([1 - answers, answers], 1)))
    rows = [dict(zip(names, row, strict=True)) for row in random.normal(size=(3_000, COUNTED)).tolist()]
    told = [SimpleNamespace(label=1, probabilities=[1 - one, one]) for one in random.random(3_000).tolist()]
    least = float("inf")
    for _ in range(30):
        before = time.thread_time()
        for row, answer in zip(rows, told, strict=True):
            bins.add_row(row, answer)
        assert bins.features.rows % len(rows) == 0
        least = min(least, time.thread_time() - before)
    return least / len(rows) * 1e6


def rows_body(row: Sequence[float]) -> Any:
    return {"rows": [dict(zip(FEATURES, row, strict=True))]}


def tensors_body(row: Sequence[float]) -> Any:
    return {
        "inputs": [
            {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
            for name, value in zip(FEATURES, row, strict=True)
        ]
    }


def own_targets(artifact: Path, folder: Path) -> list[Target]:
    """The server and the bare application, for both forms of a request."""
    bare = folder / "bare.py"
    bare.write_text(BARE)
    found = []
    for form, path, body in (
        ("rows", "/predict", rows_body),
        ("tensors", "/v2/models/bench/infer", tensors_body),
    ):
        ours = [sys.executable, "-m", "validator.serving", str(artifact), "--drain", "0s", "--port"]
        found.append(
            Target(f"ours, {form}", lambda port, ours=ours: [*ours, str(port)], path, body, is_own=True)
        )
        command = [sys.executable, str(bare), str(artifact)]
        found.append(
            Target(
                f"bare, {form}",
                lambda port, c=command, form=form: [*c, str(port), form],
                path,
                body,
                is_own=True,
            )
        )
    return found


def request_bytes(target: Target, rows: np.ndarray) -> list[bytes]:
    found = []
    for row in rows.tolist():
        body = json.dumps(target.body(row)).encode()
        head = f"POST {target.path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        found.append(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
    return found


@contextmanager
def running(target: Target, core: int) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """The server on a free port, pinned to a core; its port and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        target.start(port),
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(target.environ or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{target.name} did not start") from None
                time.sleep(0.1)
        yield port, process
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def spent_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time of the server's process and of all that descend from it, in seconds."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # it ended meanwhile
    family = {process.pid}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for one in family:
        for task in Path(f"/proc/{one}/task").glob("*/schedstat"):
            try:
                total += int(task.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


class Caller(asyncio.Protocol):
    """One kept-alive connection that asks again as soon as it is answered."""

    def __init__(self, requests: Iterator[bytes], done: asyncio.Future[None]) -> None:
        self.requests, self.done = requests, done
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        request = next(self.requests, None)
        if request is None:
            self.transport.close()
            if not self.done.done():
                self.done.set_result(None)
        else:
            self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        if not lower.startswith(b"http/1.1 200"):
            if not self.done.done():
                self.done.set_exception(RuntimeError(self.buffer[:500].decode("latin-1")))
            return
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(body) >= length:
            self.buffer = b""
            self.ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("closed"))


async def ask_all(port: int, requests: Sequence[bytes], connections: int) -> None:
    loop = asyncio.get_running_loop()
    shared = iter(requests)
    futures = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        await loop.create_connection(lambda done=done: Caller(shared, done), "127.0.0.1", port)
        futures.append(done)
    await asyncio.gather(*futures)


def answers(target: Target, port: int, requests: Sequence[bytes]) -> bool:
    """Whether the server answers, once it is up: some open their port long before."""
    deadline = time.monotonic() + 120
    while True:
        try:
            asyncio.run(ask_all(port, requests[:20], 2))
        except (RuntimeError, OSError) as error:
            if time.monotonic() > deadline:
                print(f"left out, {target.name}: {error}", file=sys.stderr)
                return False
            time.sleep(1)
        else:
            return True


def measure(targets: Sequence[Target], rows: np.ndarray, core: int) -> dict[str, dict[int, float]]:
    """Microseconds of processor time a request, by name and connections: the least of several turns."""
    with ExitStack() as stack:
        servers = []
        for target in targets:
            requests = request_bytes(target, rows if target.is_own else rows[::PEERS_SHARE])
            try:
                port, process = stack.enter_context(running(target, core))
            except (RuntimeError, OSError) as error:
                print(f"left out, {target.name}: {error}", file=sys.stderr)
                continue
            if answers(target, port, requests):
                servers.append((target, requests, port, process))
        spent = {target.name: dict.fromkeys(CONNECTIONS, float("inf")) for target, *_ in servers}
        for turn in range(ROUNDS + 1):
            for target, requests, port, process in servers if turn % 2 else reversed(servers):
                for connections in CONNECTIONS:
                    before = spent_s(process)
                    asyncio.run(ask_all(port, requests, connections))
                    one = (spent_s(process) - before) / len(requests) * 1e6
                    if turn:  # the first warms up
                        spent[target.name][connections] = min(one, spent[target.name][connections])
    return spent


def peers(folder: Path, model: Any, scratch: Path) -> list[Target]:
    """Other servers of the same model, for the environments that are there."""
    from benchmarks import serve_peers

    return serve_peers.targets(folder, model, scratch, Target)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    core = cores[-1]
    os.sched_setaffinity(0, set(cores[:-1]) or {core})
    rows = np.random.default_rng(3).normal(size=(options.requests, len(FEATURES)))
    model = train(options.trees)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        table = np.random.default_rng(2).normal(size=(10_000, len(FEATURES)))
        known = profile_of(
            dict(zip(FEATURES, table.T, strict=True)),
            np.asarray(model.predict_proba(table)),
        )
        artifact = write_artifact_of(model, scratch, profile_json(known))
        targets = own_targets(artifact, scratch)
        if options.peers is not None:
            targets += peers(options.peers, model, scratch)
        found = measure(targets, rows, core)
    ratios = {
        f"{form}, {count}": found[f"ours, {form}"][count] / found[f"bare, {form}"][count]
        for form in ("rows", "tensors")
        for count in CONNECTIONS
    }
    many = CONNECTIONS[-1]
    own = {target.name for target in targets if target.is_own}
    times = {
        name: figures[many] / found["ours, tensors"][many]
        for name, figures in found.items()
        if name not in own
    }
    counted = counting_us()
    met = max(ratios.values()) <= ALLOWED_RATIO and all(one >= WANTED_TIMES for one in times.values())
    met = met and counted <= ALLOWED_COUNT_US
    if options.json:
        print(json.dumps({"us": found, "ratios": ratios, "counting_us": counted, "times": times, "met": met}))
        return 0 if met else 1
    heads = [f"{count} connection{'s' if count > 1 else ''}, us" for count in CONNECTIONS]
    print(f"| | {' | '.join(heads)} | requests a second of a core, {many} |")
    print("|---|" + "--:|" * (len(CONNECTIONS) + 1))
    for name, figures in found.items():
        cells = [f"{figures[count]:.0f}" for count in CONNECTIONS]
        print(f"| {name} | {' | '.join(cells)} | {1e6 / figures[many]:,.0f} |")
    print("\nours / bare: " + ", ".join(f"{name}: {ratio:.2f}" for name, ratio in ratios.items()))
    for name, more in times.items():
        print(f"{name} / ours, tensors: {more:.1f}")
    print(f"counting a row of {COUNTED} features and its answer: {counted:.1f} us")
    print("met" if met else "NOT met")
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
