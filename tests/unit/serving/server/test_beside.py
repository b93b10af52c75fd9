"""What happens beside the answers: the shadow, the log of predictions, golden requests, flags."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable

import numpy as np
import pyarrow.parquet as pq
import pytest

from validator.artifact.read import TamperedArtifactError
from validator.errors import UsageError
from validator.serving.errors import FailedArtifactError
from validator.serving.server import record
from validator.serving.server.arguments import options_of
from validator.serving.server.example import example_row
from validator.serving.server.shadow import MOST_WAITING, Shadow, compare
from validator.serving.server.warmup import warm_up

ROW = {"f0": 0.1, "f1": -0.5, "f2": 2.0, "f3": 0.25}
COUNTS = ("same", "close", "different", "error", "dropped")


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def shadowed(ask, deployment):
    counts = dict.fromkeys(COUNTS, 0)
    shadow = Shadow(deployment, counts)
    ask.service.predictor.observers.append(shadow.observe)
    return shadow, counts


def test_a_shadow_that_is_the_same_agrees_on_everything(ask, serve):
    shadow, counts = shadowed(ask, serve())
    for _ in range(5):
        ask.predict(ROW)
        ask.predict(*[ROW] * 3)
        ask.predict({**ROW, "f1": None})
    ask.infer(
        {"inputs": [{"name": n, "datatype": "FP64", "shape": [2], "data": [v, v]} for n, v in ROW.items()]}
    )
    shadow.close(30)
    assert counts == {**dict.fromkeys(COUNTS, 0), "same": 16}


def test_a_shadow_that_differs_is_told_from_one_that_fails(ask, serve, logistic):
    cases = {
        "error": logistic(tail=[("Mul", ["p", "nan"], ["probabilities"], {})]),
        "close": logistic(double=False),
    }
    for wanted, onnx in cases.items():
        ask.service.predictor.observers.clear()
        shadow, counts = shadowed(ask, serve(onnx))
        ask.predict(ROW)
        shadow.close(30)
        assert counts[wanted] == 1, (wanted, counts)


def test_a_shadow_that_takes_what_was_refused_is_different(ask, serve):
    from tests.unit.serving.conftest import NAMES, features

    shadow, counts = shadowed(ask, serve(specs=features(*NAMES, missing=True)))
    assert ask.predict({**ROW, "f1": None}).status_code == 422
    shadow.close(30)
    assert counts["different"] + counts["error"] == 1


def test_a_slow_shadow_drops_and_answers_go_on(ask, serve):
    deployment = serve()
    gate = threading.Event()
    answered = deployment.predict_single

    def slow(row):
        gate.wait(30)
        return answered(row)

    deployment.predict_single = slow
    shadow, counts = shadowed(ask, deployment)
    asked, answer = ask.service.predictor._deployment, None
    from validator.serving.server.requests import Asked

    answer = asked.predict_single(ROW)
    for _ in range(MOST_WAITING + 100):
        shadow.observe("id", Asked(row=ROW), answer, "")
    # The shadow has answered nothing yet: what it was given waits or was dropped, and nobody waited for it.
    assert counts["same"] == 0
    assert counts["dropped"] in (99, 100)
    gate.set()
    shadow.close(30)
    assert counts["same"] == MOST_WAITING + 100 - counts["dropped"]


@pytest.mark.parametrize(
    ("mine", "other", "wanted"),
    [
        (
            {"label": [1], "probabilities": [[0.2, 0.8]]},
            {"label": [1], "probabilities": [[0.2, 0.8]]},
            "same",
        ),
        (
            {"label": [1], "probabilities": [[0.2, 0.8]]},
            {"label": [1], "probabilities": [[0.4, 0.6]]},
            "close",
        ),
        ({"label": [1, 0]}, {"label": [1, 1]}, "different"),
        ({"prediction": [100.0]}, {"prediction": [100.5]}, "close"),
        ({"prediction": [100.0, 5.0]}, {"prediction": [100.0, 5.5]}, "different"),
        ({"prediction": [1.0]}, {"score": [1.0]}, "different"),
        ({"label": [1]}, {"label": ["1"]}, "same"),
    ],
)
def test_how_answers_compare(mine, other, wanted):
    found = compare(*({name: np.asarray(value) for name, value in one.items()} for one in (mine, other)))
    assert found == wanted


def test_the_log_holds_what_was_asked_and_answered(serving, tmp_path):
    folder = tmp_path / "log"
    ask = serving(log_dir=folder, log_omit=("f1",))
    (log,) = ask.assembled.closers
    first = ask.predict(ROW)
    second = ask.predict({**ROW, "f0": 9.0}, {**ROW, "f0": -9.0})
    ask.predict({**ROW, "f0": None})
    ask.infer(
        {"inputs": [{"name": n, "datatype": "FP64", "shape": [2], "data": [v, v]} for n, v in ROW.items()]}
    )
    log(30)
    (file,) = folder.iterdir()
    table = pq.read_table(file)
    assert table.column("f0").to_pylist() == [0.1, 9.0, -9.0, 0.1, 0.1]
    assert "f1" not in table.column_names
    assert table.column("preflight_id")[0].as_py() == first.headers["x-prediction-id"]
    assert set(table.column("preflight_version").to_pylist()) == {ask.service.metrics.served.version}
    assert (
        table.column("preflight_probabilities")[0].as_py() == first.json()["predictions"][0]["probabilities"]
    )
    labels = [one["label"] for reply in (first, second) for one in reply.json()["predictions"]]
    assert table.column("preflight_label").to_pylist() == labels + labels[:1] * 2
    assert ask.samples()["preflight_log_rows_total{result=written}"] == 5


def test_the_log_keeps_to_its_size_and_to_its_own_files(tmp_path, serve):
    from validator.serving.server.requests import Asked

    other = tmp_path / "mine.parquet"
    other.write_bytes(b"x" * 10_000)
    counts: dict[str, int] = {}
    now = [1.8e9]
    log = record.PredictionLog(
        tmp_path,
        version="v",
        counts=counts,
        most_bytes=9_000,
        rows_a_file=1,
        seconds_a_file=0.05,
        now=lambda: now[0],
    )
    deployment = serve()
    for i in range(12):
        now[0] += 60
        log.observe(str(i), Asked(row=ROW), deployment.predict_single(ROW), "")
        until(lambda i=i: counts["written"] == i + 1)
    log.close(30)
    files = sorted(tmp_path.glob("predictions-*.parquet"))
    assert other.exists()
    assert 0 < sum(file.stat().st_size for file in files) <= 9_000
    assert pq.read_table(files[-1]).column("preflight_id").to_pylist() == ["11"]


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([2**60, 1.5], [2.0**60, 1.5]),
        ([None, 2**70], [None, 2.0**70]),
        ([True, 1], [1.0, 1.0]),
        ([1, "a"], ["1", "a"]),
        (["\ud800"], ["?"]),
    ],
    ids=[
        "whole beside broken",
        "beyond int64",
        "flag beside number",
        "number beside text",
        "half a character",
    ],
)
def test_values_of_several_types_cost_no_other_row_its_place_in_the_log(tmp_path, serve, values, wanted):
    from validator.serving.server.requests import Asked

    counts: dict[str, int] = {}
    log = record.PredictionLog(tmp_path, version="v", counts=counts)
    answer = serve().predict_single(ROW)
    for value in values:
        log.observe("1", Asked(row={**ROW, "f0": value}), answer, "")
    log.close(30)
    (file,) = tmp_path.iterdir()
    assert pq.read_table(file).column("f0").to_pylist() == wanted
    assert counts == {"written": len(values), "dropped": 0}


def test_a_disk_that_cannot_follow_costs_rows_and_not_answers(tmp_path, serve, monkeypatch, capsys):
    from validator.serving.server.requests import Asked

    def full(*_arguments, **_keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    counts: dict[str, int] = {}
    log = record.PredictionLog(tmp_path, version="v", counts=counts, seconds_a_file=0.02)
    deployment = serve()
    many = deployment.predict_batch([ROW] * 1_000)
    for i in range(record.MOST_WAITING // 1_000 + 50):
        log.observe(str(i), Asked(rows=[ROW] * 1_000, n_rows=1_000), many, "")
    log.close(60)
    assert counts == {"written": 0, "dropped": record.MOST_WAITING + 50_000}
    assert capsys.readouterr().err.count("No space left") == 1
    assert not list(tmp_path.iterdir())


def test_a_log_that_cannot_be_written_is_refused_at_start(serving, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(UsageError, match="log folder"):
        serving(log_dir=blocked / "below")
    with pytest.raises(UsageError, match="'f9'"):
        serving(log_dir=tmp_path / "log", log_omit=("f9",))


def test_what_is_counted_beside_an_answer_never_costs_the_answer(ask, monkeypatch, capsys):
    def broken(*_arguments):
        raise TypeError("no number")

    for name in ("add_row", "tally"):
        monkeypatch.setattr(ask.service.metrics.bins, name, broken)
    assert ask.predict(ROW).status_code == 200
    assert ask.predict(ROW, ROW).status_code == 200
    assert capsys.readouterr().err.count("could not be counted") == 1
    assert ask.samples()["preflight_requests_total{outcome=ok}"] == 2


def golden(deployment, rows):
    answers = deployment.predict_batch(rows)
    found = {"label": answers.label.tolist(), "probabilities": answers.probabilities.tolist()}
    return {"schema_version": 1, "rows": rows, "answers": found}


def test_golden_requests_are_answered_right_or_the_server_does_not_start(serve):
    deployment = serve()
    document = golden(deployment, [ROW, {**ROW, "f3": -2.0}])
    assert warm_up(deployment, json.dumps(document).encode(), ROW) == 2
    document["answers"]["probabilities"][1][0] += 1e-3
    document["answers"]["probabilities"][1][1] -= 1e-3
    with pytest.raises(FailedArtifactError, match="golden request 1"):
        warm_up(deployment, json.dumps(document).encode(), ROW)
    document = golden(deployment, [ROW])
    document["answers"]["label"] = [0]
    with pytest.raises(FailedArtifactError, match="label"):
        warm_up(deployment, json.dumps(document).encode(), ROW)
    document = golden(deployment, [ROW]) | {"rows": [{"f0": 1.0}]}
    with pytest.raises(FailedArtifactError, match="refused"):
        warm_up(deployment, json.dumps(document).encode(), ROW)


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"{}", b'{"rows": [], "answers": {}}', b'{"rows": [{}], "answers": {"label": []}}',
                b'{"rows": [{}], "answers": {"other": [1]}}', b'{"rows": [5], "answers": {"label": [1]}}']
)  # fmt: skip
def test_a_malformed_golden_file_is_named(serve, content):
    with pytest.raises(TamperedArtifactError, match=r"golden\.json"):
        warm_up(serve(), content, ROW)


def test_an_example_fits_its_contract():
    features = [
        {"name": "a", "dtype": "float64", "minimum": 0.1, "maximum": 0.3},
        {"name": "b", "dtype": "int64", "minimum": 3, "maximum": 8},
        {"name": "c", "dtype": "category", "categories": ["x", "y"]},
        {"name": "d", "dtype": "bool"},
        {"name": "e", "dtype": "string", "categories": None},
        {"name": "f", "dtype": "float64", "minimum": None, "maximum": "Infinity"},
        {"name": "g", "dtype": "float64", "minimum": -1.7e308, "maximum": 1.7e308},
        {"name": "h", "dtype": "float64", "minimum": 0.123456789, "maximum": 0.123456789},
    ]
    row = example_row({"features": features})
    assert row == {"a": 0.2, "b": 5, "c": "x", "d": False, "e": "", "f": 0.0, "g": 0.0, "h": 0.123456789}


def test_flags_become_options(tmp_path):
    token = tmp_path / "token"
    token.write_text("a" * 20)
    given = {
        "lease": "10m",
        "drain": "500ms",
        "max_body": "2MiB",
        "port": "0",
        "slo_ms": "12.5",
        "token_file": token,
    }
    options = options_of(given)
    assert (options.lease_s, options.drain_s, options.limits.body_bytes) == (600, 0.5, 2**21)
    assert (options.port, options.slo_ms, options.token) == (0, 12.5, "a" * 20)
    assert "a" * 20 not in repr(options)
    assert options_of({}).host == "127.0.0.1"
