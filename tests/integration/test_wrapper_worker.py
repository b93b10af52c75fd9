"""A user's wrapper in its locked-down worker: what it may read, how it is asked, and how it may end."""

from __future__ import annotations

import importlib.util
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from validator.checks.check import Subject
from validator.checks.errors import suite as errors
from validator.checks.errors.scenarios import SCENARIOS
from validator.checks.preload import NATIVE
from validator.checks.wrapper.find import find_wrapper
from validator.checks.wrapper.load import _hint
from validator.errors import WorkerError
from validator.results import Contract
from validator.runtimes.runtime import WorkerRuntime
from validator.sandbox.worker_pool import Raised, WorkerLimits, WorkerPool
from validator.settings.table import defaults_for
from validator.table import Column, Table

METHODS = defaults_for("wrapper_methods").default
ROWS = Table.of([Column("a", np.array([0.1, 0.2, 0.3])), Column("b", np.array([1.0, 2.0, 3.0]))])

SOUND = """
    import helper
    from pathlib import Path

    class Wrapper:
        def load_model(self, path):
            self.weight = float(Path(path).read_text()) + helper.OFFSET

        def _one(self, a):
            return min(1.0, max(0.0, self.weight * a))

        def predict(self, table):
            return [self._one(a) for a in table["a"]]

        def predict_single(self, row):
            return {"probability": self._one(row["a"])}

        def batch_predict(self, rows):
            return [{"probability": self._one(row["a"])} for row in rows]
"""


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(limits=WorkerLimits(memory_bytes=4 << 30, timeout_s=60)) as found:
        found.zygote(NATIVE).preload(["numpy", "pandas"])
        yield found


@pytest.fixture
def load(pool: WorkerPool, tmp_path: Path) -> Callable[..., WorkerRuntime]:
    """The wrapper in `code`, as it lies in a workspace beside a module and a secret, in a worker of its own."""
    (tmp_path / "helper.py").write_text("OFFSET = 1.0\n")
    (tmp_path / ".env").write_text("TOKEN=secret")
    (tmp_path / "model.txt").write_text("2.0")

    def start(code: str, **limits: float) -> WorkerRuntime:
        (tmp_path / "serving.py").write_text(textwrap.dedent(code))
        wrapper = find_wrapper("serving.py:Wrapper", METHODS, tmp_path / "model.txt", tmp_path)
        worker = pool.start(
            "wrapper",
            role=NATIVE,
            options={**wrapper.options, "task": "binary", "classes": [0, 1]},
            packages=wrapper.packages,
            limits=replace(pool.limits, **limits),
        )
        return WorkerRuntime.load("wrapper", worker, [b"2.0"], file_name="model.txt")

    return start


def test_all_methods_are_asked_as_production_asks_them(load) -> None:
    runtime = load(SOUND)
    assert runtime.methods == {"predict": "predict", "single": "predict_single", "batch": "batch_predict"}
    assert runtime.facts.absent == ("latency_stats", "metadata")
    expected = np.column_stack([1 - 3 * ROWS.columns[0].values, 3 * ROWS.columns[0].values])
    for role in ("", "predict", "single", "batch"):
        assert runtime.predict(ROWS, role).probabilities == pytest.approx(expected)
    assert runtime.predict(ROWS.take(slice(1, 2))).probabilities == pytest.approx(expected[1:2])
    with pytest.raises(Raised) as caught:
        runtime.predict(Table(ROWS.columns[1:], 3))
    assert caught.value.kind == "KeyError"


def test_right_calls_are_answered_beside_wrong_ones(load) -> None:
    runtime = load(
        SOUND.replace('table["a"]', 'table["a"] + 0 * table["b"]').replace(
            'row["a"]', 'row["a"] + 0 * row["b"]'
        )
    )
    many = ROWS.take(np.arange(16) % 3)
    together, errors = runtime.crowd(many, 8)
    assert together.probabilities == pytest.approx(runtime.predict(many).probabilities)
    assert errors == ["KeyError"] * 8


READS = """
    class Wrapper:
        def load_model(self, path):
            {what}

        def predict(self, table):
            return [0.5] * len(table)
"""


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("open(__file__.replace('serving.py', '.env')).read()", "PermissionError"),
        ("import os; os.listdir(os.path.dirname(__file__))", "PermissionError"),
        ("open(__file__, 'a')", "PermissionError"),
        ("import socket; socket.create_connection(('127.0.0.1', 9), 1)", "PermissionError"),
        ("import subprocess; subprocess.run(['/bin/true'])", "PermissionError"),
    ],
)
def test_a_wrapper_sees_nothing_of_the_workspace_but_its_modules(load, what: str, kind: str) -> None:
    with pytest.raises(Raised) as caught:
        load(READS.format(what=what))
    assert caught.value.kind == kind


def test_it_may_write_where_its_model_lies_and_print(load) -> None:
    load(
        READS.format(
            what="print('loading'); open('cache.bin', 'w').write('x'); import tempfile; tempfile.mkdtemp()"
        )
    )


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("import nothing_of_that_name", Raised, "No module named 'nothing_of_that_name'"),
        ("class Other: pass", Raised, "serving has no Wrapper"),
        ("class Wrapper: pass", Raised, "has none of the methods predict, predict_single, predict_batch"),
        ("raise SystemExit('stop')", Raised, "stop"),
        ("import os; os.kill(os.getpid(), 11)", WorkerError, "the wrapper worker"),
    ],
)
def test_what_does_not_load_is_named(load, code: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        load(code)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("import nothing_of_that_name", "name what it imports in `requirements`"),
        ("open(__file__.replace('serving.py', '.env'))", "put data into a package"),
        ("open('/nowhere/settings.json')", "put data into a package"),
        ("class Wrappr: pass", "did you mean Wrappr?"),
        ("raise ValueError('no')", "see the message"),
    ],
)
def test_a_wrapper_that_does_not_load_is_told_what_to_do(load, code: str, hint: str) -> None:
    with pytest.raises(Raised) as caught:
        load(code)
    assert hint in _hint(caught.value)


CRASHES = """
    import math, os

    class Wrapper:
        def load_model(self, path):
            pass

        def predict(self, table):
            if {"a", "b"} != set(table):
                raise KeyError(f"a and b are wanted, {sorted(table)} was given")
            if not all(math.isfinite(value) for value in table["a"]):
                os._exit(3)
            return [0.5] * len(table)
"""


def test_a_crash_is_an_outcome_and_the_next_scenario_has_a_fresh_worker(
    load, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[WorkerRuntime] = []

    def revive() -> WorkerRuntime:
        started.append(load(CRASHES))
        return started[-1]

    chosen = [one for one in SCENARIOS if one.id in ("errors.nan", "errors.inf", "errors.misspelt_name")]
    monkeypatch.setattr(errors, "SCENARIOS", chosen)
    contract = Contract(features=(), task="binary", classes=(0, 1))
    candidate = errors.Candidate(runtime=revive(), revive=revive, broken=lambda how: "")
    found = {
        check.id: check for check in errors.run({"wrapper": candidate}, Subject(contract=contract, rows=ROWS))
    }
    for id in ("errors.nan", "errors.inf"):
        assert found[id].status == "fail"
        assert found[id].message.startswith("crashed: the wrapper worker")
    assert found["errors.misspelt_name"].status == "pass"
    assert len(started) == 3


def test_a_hang_is_ended(load) -> None:
    runtime = load(
        READS.format(what="import time").replace("return [", "import time; time.sleep(60); return ["),
        timeout_s=2,
    )
    with pytest.raises(WorkerError, match="no answer within the time limit of 2 s"):
        runtime.predict(ROWS)


def test_errors_do_not_tell_where_a_worker_lies(load) -> None:
    with pytest.raises(Raised, match=r"^no use for model\.txt or <object object at 0x\.\.\.>\n"):
        load(READS.format(what="raise ValueError(f'no use for {path} or {object()}')").replace("{{", "{"))


@pytest.fixture(scope="module")
def mlflow_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as MLflow lays it out, around a pickled model."""
    import pickle

    from sklearn.linear_model import LogisticRegression

    folder = tmp_path_factory.mktemp("mlflow") / "logged"
    folder.mkdir()
    rows = np.random.default_rng(0).normal(size=(50, 2))
    (folder / "model.pkl").write_bytes(pickle.dumps(LogisticRegression().fit(rows, rows[:, 0] > 0)))
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    model_path: model.pkl\n"
        "    predict_fn: predict\n  sklearn:\n    pickled_model: model.pkl\n    serialization_format: pickle\n"
        "model_uuid: 0f6e\nutc_time_created: '2026-01-02 03:04:05'\n"
    )
    return folder


def start_mlflow(pool: WorkerPool, folder: Path) -> WorkerRuntime:
    model = folder / "model.pkl"
    wrapper = find_wrapper(f"mlflow:{folder}", METHODS, model)
    worker = pool.start(
        "wrapper",
        role=NATIVE,
        options={**wrapper.options, "task": "binary", "classes": [False, True]},
        readable=wrapper.readable,
    )
    return WorkerRuntime.load("wrapper", worker, [model.read_bytes()], file_name="model.pkl")


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is not None, reason="mlflow is installed here")
def test_without_mlflow_the_folder_says_what_to_install(pool: WorkerPool, mlflow_folder: Path) -> None:
    with pytest.raises(Raised, match="mlflow cannot be imported") as caught:
        start_mlflow(pool, mlflow_folder)
    assert "`requirements`" in caught.value.hint


@pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed here: it is heavy"
)
def test_an_mlflow_folder_answers_as_a_wrapper(pool: WorkerPool, mlflow_folder: Path) -> None:
    runtime = start_mlflow(pool, mlflow_folder)
    assert runtime.methods == {"predict": "predict"}
    assert runtime.predict(ROWS).label is not None
    told = runtime.worker.call("tell").result["metadata"]
    assert told["utc_time_created"] == "2026-01-02 03:04:05"
    assert len(told["sha256"]) == 64
