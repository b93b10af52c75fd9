"""What is tried on a server of the published artifact. Each check returns what is wrong, or nothing."""

from __future__ import annotations

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator.integration.asking import Answer, Connection, Server
from validator.serving.server.golden import Golden
from validator.serving.server.opening import Opened

_CALLERS, _REQUESTS_EACH = 16, 25
_ANSWERS_BEFORE_THE_SIGNAL = 5
#: What no answer may show: a stack, or a path of the machine.
_INSIDE = re.compile(r"Traceback|File \"|site-packages|/home/|/root/|/usr/lib")


@dataclass(frozen=True, kw_only=True)
class Published:
    """The artifact that was fetched, the digest of what it came in, and the requests whose answers are known."""

    folder: Path
    digest: str
    opened: Opened
    golden: Golden

    @property
    def model(self) -> str:
        """The model's name in paths."""
        return self.opened.served.model

    @property
    def infer(self) -> str:
        """The path of the Open Inference Protocol."""
        return f"/v2/models/{self.model}/infer"


def version(server: Server, it: Published) -> str:
    """The server names the version and digest that were asked for, wherever it names one."""
    wanted = it.opened.served
    about = server.ask("/about").document or {}
    metadata = server.ask(f"/v2/models/{it.model}").document or {}
    info = [one for one in samples(server) if one.name == "preflight_model_info"]
    said = {
        "/about": (about.get("version"), about.get("digest")),
        "model metadata": ((metadata.get("versions") or [None])[0], wanted.digest),
        "metrics": (info[0].labels.get("version"), info[0].labels.get("digest")) if info else (None, None),
    }
    for where, (name, digest) in said.items():
        if name != wanted.version:
            return f"{where} names version {name!r}, the artifact is {wanted.version!r}"
        if digest != wanted.digest:
            return f"{where} names digest {digest!r}, the artifact's is {wanted.digest!r}"
    return ""


def golden(server: Server, it: Published) -> str:
    """The recorded requests are answered as the gate recorded it: one by one, together, and as tensors."""
    rows = it.golden.rows
    for i, row in enumerate(rows):
        if wrong := _wrong(it, [i], server.predict({"rows": [row]})):
            return wrong
    every = range(len(rows))
    if wrong := _wrong(it, every, server.predict({"rows": list(rows)})):
        return f"together: {wrong}"
    found = server.predict(_tensors(server, it), it.infer)
    if found.status != 200:
        return f"{it.infer} answers {found.status}: {found.text[:200]}"
    if found.version != it.opened.served.version:
        return f"{it.infer} is answered by version {found.version!r}"
    outputs = {one["name"]: one for one in found.document["outputs"]}
    for i in every:
        wrong = it.golden.wrong(i, {name: _row_of(one, i, len(rows)) for name, one in outputs.items()})
        if wrong:
            return f"as tensors: {wrong}"
    return ""


def refusals(server: Server, it: Published) -> str:
    """What breaks the contract is refused by name, and tells nothing of the inside."""
    for what, path, body in _bad_requests(it):
        found = server.predict(body, path)
        if not 400 <= found.status < 500:
            return f"{what} is answered with {found.status}, not refused: {found.text[:200]}"
        if not isinstance(found.document, dict) or not found.document.get("error"):
            return f"{what} is refused without a reason: {found.text[:200]}"
        if _INSIDE.search(found.text):
            return f"the refusal of {what} shows the inside of the server: {found.text[:200]}"
    return ""


def concurrency(server: Server, it: Published) -> str:
    """Callers at the same time each get their own answer."""

    def ask(caller: int) -> str:
        connection = Connection(server.port)
        try:
            for turn in range(_REQUESTS_EACH):
                i = (caller + turn) % len(it.golden.rows)
                found = server.predict({"rows": [it.golden.rows[i]]}, connection=connection)
                if wrong := _wrong(it, [i], found):
                    return wrong
        except (OSError, http.client.HTTPException) as error:
            return f"a request was not answered: {error!r}"
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(_CALLERS) as callers:
        found = [wrong for wrong in callers.map(ask, range(_CALLERS)) if wrong]
    return f"{len(found)} of {_CALLERS} callers at once: {found[0]}" if found else ""


def metrics(server: Server, it: Published) -> str:
    """The server has counted what was sent to it, to the last request and row."""
    sent, seen = server.sent, samples(server)
    labels = {"model": it.model, "version": it.opened.served.version}
    outcomes = {
        one.labels["outcome"]: one.value
        for one in seen
        if one.name == "preflight_requests_total" and labels.items() <= one.labels.items()
    }
    for outcome in sorted(outcomes.keys() | {"ok", "refused", "error"}):
        counted, wanted = outcomes.get(outcome), sent[outcome]
        if counted != wanted:
            return f"{wanted} requests were {_WORDS.get(outcome, outcome)}, the server has counted {_count(counted)}"
    totals = {"preflight_rows_total": sent["rows"], "preflight_request_seconds_count": _requests(sent)}
    for name, wanted in totals.items():
        counted = next(
            (one.value for one in seen if one.name == name and labels.items() <= one.labels.items()), None
        )
        if counted != wanted:
            return f"{name} is {_count(counted)}, {wanted} were sent"
    return _bins(seen, it, sent["rows"])


def _bins(seen: Sequence[Sample], it: Published, rows: int) -> str:
    """Each feature's values lie in one bin each, or are missing; other special values are in a bin as well."""
    if it.opened.profile is None:
        return ""
    counted: Counter[str] = Counter()
    bins = {column.name: {*column.bins, "missing"} for column in it.opened.profile.features}
    for one in seen:
        if one.name == "preflight_feature_bin_total":
            feature = one.labels["feature"]
            if one.labels["bin"] in bins.get(feature, ()):
                counted[feature] += int(one.value)
    off = [name for name in counted if counted[name] != rows]
    if off or not counted:
        name = off[0] if off else "any feature"
        return f"of {name} {counted[name]} values are counted, {rows} rows were answered"
    return ""


def drain(server: Server, it: Published) -> str:
    """SIGTERM under load: what was asked is answered, then the process ends with 0."""
    load = _Load(server, it)
    load.wait()
    code = server.end()
    load.join()
    if load.lost:
        return f"{load.lost} of {load.asked} requests were lost: {load.why}"
    if load.wrong:
        return f"{load.wrong} of {load.asked} requests were answered wrongly: {load.why}"
    if code is None:
        return "it does not end on SIGTERM"
    return f"it ends with exit code {code}" if code else ""


@dataclass(frozen=True)
class Sample:
    """One series' present value."""

    name: str
    labels: Mapping[str, str]
    value: float


def samples(server: Server) -> list[Sample]:
    """What `/metrics` shows."""
    from prometheus_client.parser import text_string_to_metric_families

    found = server.ask("/metrics")
    return [
        Sample(one.name, one.labels, one.value)
        for family in text_string_to_metric_families(found.text)
        for one in family.samples
    ]


class _Load:
    """Callers that go on asking until nobody listens any more."""

    def __init__(self, server: Server, it: Published) -> None:
        self.asked = self.lost = self.wrong = 0
        self.why = ""
        self._server, self._it = server, it
        self._lock = threading.Lock()
        self._enough = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(_CALLERS // 2)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Until every caller had answers, or had trouble."""
        self._enough.wait(60)

    def join(self) -> None:
        """Until all callers have ended."""
        for thread in self._threads:
            thread.join(60)

    def _run(self) -> None:
        body = json.dumps({"rows": [self._it.golden.rows[0]]}).encode()
        connection: Connection | None = None
        while True:
            if connection is None:
                connection = Connection(self._server.port)
                try:
                    connection.connect()
                except OSError:
                    break  # nobody listens any more: nothing was asked
            try:
                found = connection.ask("/predict", body)
            except (OSError, http.client.HTTPException) as error:
                self._note("lost", repr(error))
                break
            wrong = _wrong(self._it, [0], found)
            self._note("wrong" if wrong else "", wrong)
            if found.closes:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()
        self._enough.set()

    def _note(self, kind: str, why: str) -> None:
        with self._lock:
            self.asked += 1
            self.lost += kind == "lost"
            self.wrong += kind == "wrong"
            self.why = why or self.why
            if self.asked >= _ANSWERS_BEFORE_THE_SIGNAL * len(self._threads):
                self._enough.set()


_WORDS = {"ok": "answered", "refused": "refused", "error": "errors"}


def _count(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _requests(sent: Counter[str]) -> int:
    return sent["ok"] + sent["refused"] + sent["error"]


def _wrong(it: Published, rows: Sequence[int], found: Answer) -> str:
    """What is wrong with the answer to these golden rows."""
    if found.status != 200:
        return f"a golden request is answered with {found.status}: {found.text[:200]}"
    if found.version != it.opened.served.version:
        return f"version {found.version!r} answers, not {it.opened.served.version!r}"
    if len(found.predictions) != len(rows):
        return f"{len(rows)} rows have {len(found.predictions)} answers"
    wrong = (it.golden.wrong(i, one) for i, one in zip(rows, found.predictions, strict=True))
    return next((text for text in wrong if text), "")


def _tensors(server: Server, it: Published) -> dict[str, Any]:
    metadata = server.ask(f"/v2/models/{it.model}").document
    rows = it.golden.rows
    return {
        "inputs": [
            {
                "name": one["name"],
                "datatype": one["datatype"],
                "shape": [len(rows)],
                "data": [row.get(one["name"]) for row in rows],
            }
            for one in metadata["inputs"]
        ]
    }


def _row_of(output: Mapping[str, Any], i: int, rows: int) -> Any:
    data, width = output["data"], max(len(output["data"]) // rows, 1)
    return data[i] if len(output["shape"]) == 1 else data[i * width : (i + 1) * width]


def _bad_requests(it: Published) -> Iterator[tuple[str, str, bytes]]:
    row = dict(it.golden.rows[0])
    first = next(iter(row))
    bad: dict[str, Any] = {
        "no rows at all": {"rows": []},
        "a row without its first feature": {"rows": [{name: row[name] for name in row if name != first}]},
        "a feature that the model does not know": {"rows": [{**row, "no such feature": 1}]},
        "a list in the place of a value": {"rows": [{**row, first: [1, 2]}]},
        "another document": {"instances": [[1, 2, 3]]},
        "a number in the place of the document": 7,
    }
    for what, document in bad.items():
        yield what, "/predict", json.dumps(document).encode()
    yield "half a document", "/predict", b'{"rows": [{'
    yield "nothing", "/predict", b""
    yield "depth without end", "/predict", b'{"rows":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    yield (
        "a tensor of another length than it says",
        it.infer,
        json.dumps({"inputs": [{"name": first, "datatype": "FP64", "shape": [3], "data": [1.0]}]}).encode(),
    )


#: The checks on a server that goes on serving, in their order, and the one that ends it.
CHECKS: Mapping[str, tuple[str, Callable[[Server, Published], str]]] = {
    "server.version": ("The server is the version that was asked for", version),
    "answers.golden": ("Golden requests are answered as recorded", golden),
    "answers.refusals": ("What breaks the contract is refused by name", refusals),
    "answers.concurrency": ("Callers at once get their own answers", concurrency),
    "server.metrics": ("Metrics agree with what was sent", metrics),
    "server.drain": ("SIGTERM under load loses no answer", drain),
}
