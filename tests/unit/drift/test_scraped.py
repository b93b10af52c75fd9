"""Counts from Prometheus: a scripted server that answers as Prometheus does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.cli.main import main
from validator.drift.scraped import cells_of_slots
from validator.profile import Counts, Profile, parse_profile
from validator.serving.metrics.bins import LiveBins

from .test_rule import column_of

Frame = Callable[[int, int], pd.DataFrame]


class Scripted:
    """Holds what servers counted, and what was asked."""

    def __init__(self) -> None:
        self.bins: LiveBins | None = None
        self.queries: list[str] = []
        self.answer: bytes | None = None
        self.hidden = ""
        self.url = ""

    def reply(self, query: str) -> bytes:
        self.queries.append(query)
        if self.answer is not None:
            return self.answer
        label = "feature" if "preflight_feature_bin_total" in query else "output"
        assert self.bins is not None
        counts = self.bins.features if label == "feature" else self.bins.outputs
        result = [
            {"metric": {label: column.name, "bin": slot}, "value": [0, str(count * 1.0003)]}
            for i, column in enumerate(counts.columns)
            if column.name != self.hidden
            for slot, count in counts.slots(i).items()
        ]
        return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}}).encode()


@pytest.fixture
def prometheus() -> Iterator[Scripted]:
    found = Scripted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            content = found.reply(parse_qs(body)["query"][0])
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def served(artifact: Path, frame: pd.DataFrame) -> LiveBins:
    profile: Profile = parse_profile((artifact / "profile.json").read_bytes())
    bins = LiveBins(profile)
    bins.features.add({name: frame[name].to_numpy() for name in ("plan", "visits", "spend")})
    bins.outputs.add({"probabilities[1]": np.random.default_rng(0).random(len(frame))})
    return bins


def ask(prometheus: Scripted, artifact: Path, tmp_path: Path, *flags: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out"
    arguments = [
        "drift",
        "--prometheus",
        prometheus.url,
        "--artifact",
        str(artifact),
        "--out",
        str(out),
        *flags,
    ]
    code = main(arguments)
    written = out / "drift.json"
    return code, json.loads(written.read_text()) if written.is_file() else {}


def test_what_servers_counted_is_judged_as_the_rows_themselves(
    prometheus: Scripted, artifact: Path, tmp_path: Path, frame: Frame
) -> None:
    data = frame(3_000, 5)
    data["spend"] *= 2
    prometheus.bins = served(artifact, data)
    code, report = ask(prometheus, artifact, tmp_path, "--last", "7d", "--model", 'odd"name')
    assert code == 1
    assert abs(report["rows"] - 3_000) < 10
    statuses = {one["name"]: one["status"] for one in report["columns"]}
    assert statuses["spend"] == "fail"
    assert statuses["plan"] == statuses["visits"] == "ok"
    assert '{model="odd\\"name",version="v_20251105T093000Z_' in prometheus.queries[0]
    assert "[7d]" in prometheus.queries[0]


def test_columns_that_prometheus_does_not_know_are_no_pass(
    prometheus: Scripted, artifact: Path, tmp_path: Path, frame: Frame
) -> None:
    prometheus.bins = served(artifact, frame(3_000, 5))
    for prometheus.hidden, status in (("", "ok"), ("spend", "insufficient")):
        _, report = ask(prometheus, artifact, tmp_path)
        assert {one["name"]: one["status"] for one in report["columns"]}["spend"] == status


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', "knows no row"),
        (b'{"status":"error","error":"bad"}', "refuses the query: bad"),
        (b"<html>", "no JSON"),
        (
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["x"]}]}}',
            "no sensible answer",
        ),
    ],
)
def test_an_answer_that_helps_nobody_is_one_clear_error(
    prometheus: Scripted, artifact: Path, tmp_path: Path, capsys: Any, answer: bytes, words: str
) -> None:
    prometheus.answer = answer
    code, report = ask(prometheus, artifact, tmp_path)
    assert code == 2
    assert not report
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("flags", [["--last", "soon"], ["--window", "7d"], ["data.parquet"]])
def test_flags_that_do_not_go_with_it(
    prometheus: Scripted, artifact: Path, tmp_path: Path, flags: list[str]
) -> None:
    assert ask(prometheus, artifact, tmp_path, *flags)[0] == 2


@given(st.lists(st.sampled_from([0.0, -9.0, 9.0, 1.0, 0.5, float("nan"), -0.2]), max_size=60), st.booleans())
def test_cells_give_their_slots_again(values: list[float], positive: bool) -> None:
    random = np.random.default_rng(1)
    column = column_of(random.random(500) + (1.0 if positive else -0.5))
    counts = Counts((column,))
    for value in values:
        counts.add_row([value])
    slots = counts.slots(0)
    assert column.slots(cells_of_slots(column, slots)) == slots
