"""How a user's wrapper is found and constructed, how its answers are read, and how its models are made to lie."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from validator.sandbox.packing import pack_table
from validator.table import Column, Table
from validator.worker.jobs.wrapper import WrapperJob, WrapperModel
from validator.worker.sabotage import models_in, sabotaged
from validator.worker.wrapper import Methods, WrapperError, absent, find, loaders, present, start
from validator.worker.wrapper_answers import AnswerError, Reader
from validator.worker.wrapper_hints import hinted

NAMES = Methods()


class Loads:
    """The founding shape: made empty, loaded from a path."""

    path = ""

    def load_model(self, path: str) -> None:
        self.path = path

    def predict(self, table: Any) -> Any:
        return table


class TakesPath:
    def __init__(self, path: str) -> None:
        self.path = path

    def predict(self, table: Any) -> Any:
        return table


class TakesPathAndLoads(TakesPath):
    loaded = False

    def load_model(self) -> None:
        self.loaded = True


class LoadsItself(TakesPath):
    @classmethod
    def load_model(cls, path: str) -> LoadsItself:
        return cls(path)


class Opener:
    """A factory object whose load method gives the wrapper."""

    def load_model(self, path: str) -> TakesPath:
        return TakesPath(path)


def make(path: str) -> TakesPath:
    return TakesPath(path)


def make_empty() -> Loads:
    return Loads()


@pytest.mark.parametrize(
    "found", [Loads, TakesPath, TakesPathAndLoads, LoadsItself, Opener, make, make_empty, Loads()]
)
def test_every_way_to_be_made_ends_in_a_wrapper_with_its_model(found: Any) -> None:
    made = start(found, "model.pkl", NAMES)
    wrapper, names = made.wrapper, made.names
    assert made.has_path
    assert wrapper.path == "model.pkl"
    assert present(wrapper, names) == {"predict": "predict"}
    assert getattr(wrapper, "loaded", True)
    assert absent(wrapper, names) == ["predict_single", "predict_batch", "latency_stats", "metadata"]


def test_the_default_names_are_those_of_the_shipped_deployment() -> None:
    from validator import Deployment
    from validator.settings.table import defaults_for

    assert all(callable(getattr(Deployment, name)) for name in vars(NAMES).values())
    assert tuple(vars(NAMES).values()) == defaults_for("wrapper_methods").default


@pytest.mark.parametrize("as_factory", [False, True])
def test_names_that_wrappers_often_have_are_found_where_nothing_else_was_named(as_factory: bool) -> None:
    class Founding(Loads):
        def load(self) -> None:
            raise AssertionError("this is no way to load a model")

        def batch_predict(self, rows: Any) -> Any:
            return rows

    found: Any = (lambda: Founding()) if as_factory else Founding
    made = start(found, "model.pkl", NAMES)
    wrapper, names = made.wrapper, made.names
    assert wrapper.path == "model.pkl"
    assert (names.load, names.batch) == ("load_model", "batch_predict")
    assert present(wrapper, names) == {"predict": "predict", "batch": "batch_predict"}


def test_a_name_that_was_given_is_the_only_one() -> None:
    class Both(TakesPath):
        def batch_predict(self, rows: Any) -> Any:
            return rows

        def score_batch(self, rows: Any) -> Any:
            return rows

    names = start(Both, "model.pkl", Methods(batch="score_batch")).names
    assert names.batch == "score_batch"
    names = start(Both, "model.pkl", Methods(batch="")).names
    assert names.batch == ""


def test_other_names_and_none_at_all() -> None:
    class Other:
        def open(self, path: str) -> None:
            self.path = path

        def score(self, rows: Any) -> Any:
            return rows

    names = Methods(load="open", predict="", single="", batch="score", latency="", metadata="")
    made = start(Other, "x", names)
    wrapper, names = made.wrapper, made.names
    assert present(wrapper, names) == {"batch": "score"}
    assert absent(wrapper, names) == []


class Mute:
    def load_model(self, path: str) -> None:
        """Loads, but there is no method that answers rows."""

    def answer(self) -> int:
        return 1


def returns_nothing(path: str) -> None:
    """A factory that forgets its return."""


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (Mute, "it has answer, load_model"),
        (returns_nothing, "returned nothing"),
        (type("Needs", (), {"__init__": lambda self, a, b: None}), "neither without arguments nor from a path"),
        (3, "a int is neither a class"),
    ],
)  # fmt: skip
def test_what_is_no_wrapper_is_told(found: Any, message: str) -> None:
    with pytest.raises(WrapperError, match=message) as caught:
        start(found, "model.pkl", NAMES)
    assert caught.value.hint


def test_a_module_is_loaded_from_its_file_and_misspelt_classes_are_named(tmp_path: Path) -> None:
    file = tmp_path / "my_serving.py"
    file.write_text("class Outer:\n    class Wrapper:\n        pass\n")
    assert find("my_serving", "Outer.Wrapper", str(file)).__module__ == "my_serving"
    with pytest.raises(WrapperError, match="my_serving has no Outr") as caught:
        find("my_serving", "Outr", str(file))
    assert caught.value.hint == "did you mean Outer?"
    file.write_text("import nothing_of_that_name\n")
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        find("my_serving", "Outer", str(file))


P = np.array([[0.25, 0.75], [0.5, 0.5]])


@pytest.mark.parametrize(
    "answer",
    [
        P,
        P.tolist(),
        P[:, 1],
        P[:, 1:],
        {"probabilities": P},
        {"probability": P[:, 1]},
        [{"proba": [0.25, 0.75]}, {"proba": [0.5, 0.5]}],
        [{"probabilities": {"no": 0.25, "yes": 0.75}}, {"probabilities": {"no": 0.5, "yes": 0.5}}],
        SimpleNamespace(probabilities=P),
    ],
)
def test_probabilities_are_read_in_every_form(answer: Any) -> None:
    found = Reader("binary", [0, 1]).read(answer)
    assert found.probabilities is not None
    assert np.array_equal(found.probabilities, P)


def test_pandas_answers_are_read() -> None:
    import pandas as pd

    reader = Reader("binary", [0, 1])
    assert np.array_equal(reader.read(pd.DataFrame(P)).present["probabilities"], P)
    assert np.array_equal(reader.read(pd.Series(P[:, 1])).present["probabilities"], P)
    assert reader.read(pd.DataFrame({"label": ["a", "b"]})).present["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("task", "answer", "single", "expected"),
    [
        ("binary", [0.25, 0.75], True, {"probabilities": [[0.25, 0.75]]}),
        ("binary", [[0.25, 0.75]], True, {"probabilities": [[0.25, 0.75]]}),
        ("binary", 0.75, True, {"probabilities": [[0.25, 0.75]]}),
        ("binary", 1, True, {"label": [1]}),
        ("binary", True, True, {"label": [1]}),
        ("binary", "up", True, {"label": ["up"]}),
        ("binary", {"prediction": "up", "proba": 0.75}, True, {"label": ["up"], "probabilities": [[0.25, 0.75]]}),
        ("binary", {"prediction": 1}, True, {"label": [1]}),
        ("multiclass", [0.2, 0.3, 0.5], True, {"probabilities": [[0.2, 0.3, 0.5]]}),
        ("multiclass", [2.0, 0.0], False, {"label": [2.0, 0.0]}),
        ("regression", [[1.5], [2.5]], False, {"prediction": [1.5, 2.5]}),
        ("regression", 1.5, True, {"prediction": [1.5]}),
        ("regression", [1.5, 2.5], True, {"prediction": [[1.5, 2.5]]}),
        ("regression", {"prediction": 1.5, "latency_ms": 3}, True, {"prediction": [1.5]}),
        ("ranking", [1.5, 2.5], False, {"score": [1.5, 2.5]}),
        ("outlier", [1, -1], False, {"label": [1, -1]}),
        ("outlier", [0.5, -0.5], False, {"score": [0.5, -0.5]}),
    ],
)  # fmt: skip
def test_answers_are_read_by_task_and_shape(
    task: str, answer: Any, single: bool, expected: dict[str, Any]
) -> None:
    found = Reader(task, [0, 1]).read(answer, single=single)
    assert {name: array.tolist() for name, array in found.present.items()} == expected


@pytest.mark.parametrize("answer", [None, {"status": "ok"}, {}, {1, 2}, object(), [[1], [1, 2]]])
def test_what_is_no_answer_is_told(answer: Any) -> None:
    with pytest.raises(AnswerError) as caught:
        Reader("regression", []).read(answer)
    assert caught.value.hint


@pytest.fixture(scope="module")
def lightgbm_model() -> Any:
    import lightgbm

    rows = np.random.default_rng(0).normal(size=(200, 3))
    return lightgbm.LGBMClassifier(n_estimators=2, verbosity=-1).fit(rows, rows[:, 0] > 0)


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = np.random.default_rng(0).normal(size=(200, 3))
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > 0)


class Holder:
    def __init__(self, model: Any, ask: Callable[[Any, Any], Any]) -> None:
        self._held = {"models": [model]}
        self._ask = ask

    def predict(self, rows: Any) -> Any:
        return self._ask(self._held["models"][0], rows)


ROWS = np.zeros((2, 3))


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("lightgbm_model", lambda model, rows: model.predict_proba(rows)),
        ("lightgbm_model", lambda model, rows: model.booster_.predict(rows)),
        ("pipeline", lambda model, rows: model.predict_proba(rows)),
        ("pipeline", lambda model, rows: model[-1].decision_function(model[:-1].transform(rows))),
    ],
)
@pytest.mark.parametrize("value", [float("nan"), 1.5, float("inf")])
def test_whatever_a_wrapper_asks_of_its_model_is_spoilt_and_then_mended(
    name: str, ask: Any, value: float, request: pytest.FixtureRequest
) -> None:
    wrapper = Holder(request.getfixturevalue(name), ask)
    clean = wrapper.predict(ROWS)
    models = models_in(wrapper)
    assert models
    with sabotaged(models, value):
        spoilt = wrapper.predict(ROWS)
    expected = (
        clean if value == 1.5 and clean.ndim == 1 and name == "pipeline" else np.full(clean.shape, value)
    )
    assert np.array_equal(spoilt, expected, equal_nan=True), "a score may well be 1.5"
    assert np.array_equal(wrapper.predict(ROWS), clean)


def test_the_last_row_alone_may_be_spoilt(lightgbm_model: Any) -> None:
    wrapper = Holder(lightgbm_model, lambda model, rows: model.predict_proba(rows))
    clean = wrapper.predict(ROWS)
    with sabotaged(models_in(wrapper), float("nan"), last=True) as spoiler:
        spoilt = wrapper.predict(ROWS)
    assert spoiler.applied
    assert np.array_equal(spoilt[:-1], clean[:-1])
    assert np.isnan(spoilt[-1]).all()


def test_a_score_is_spoilt_by_what_is_no_number_alone(lightgbm_model: Any) -> None:
    wrapper = Holder(lightgbm_model, lambda model, rows: model.booster_.predict(rows, raw_score=True))
    clean = wrapper.predict(ROWS)
    with sabotaged(models_in(wrapper), -0.5) as spoiler:
        assert np.array_equal(wrapper.predict(ROWS), clean)
    assert not spoiler.applied
    with sabotaged(models_in(wrapper), float("nan")):
        assert np.isnan(wrapper.predict(ROWS)).all()


def _checks_all(found: Any) -> bool:
    return bool(np.isfinite(found).all() and found.min() >= 0 and found.max() <= 1)


@pytest.mark.parametrize(
    ("is_right", "missed"),
    [
        (_checks_all, set()),
        (lambda found: _checks_all(found[:1]), {"NaN in the last row"}),
        (
            lambda found: not np.isnan(found).all() and np.nanmin(found) >= 0 and np.nanmax(found) <= 1,
            {"NaN in the last row"},
        ),
        (lambda found: not (found > 1).any() and not np.isnan(found).any(), {"-0.5"}),
        (lambda found: not (found < 0).any() and not np.isnan(found).any(), {"1.5", "Inf"}),
        (lambda found: not np.isnan(found).any(), {"1.5", "-0.5", "Inf"}),
    ],
    ids=["all", "first", "all at once", "not below", "not above", "nan alone"],
)
def test_each_half_of_a_check_is_found_out(is_right: Any, missed: set[str], lightgbm_model: Any) -> None:
    def ask(model: Any, rows: Any) -> Any:
        found = model.predict_proba(rows)[:, 1]
        if not is_right(found):
            raise ValueError("the model answers nonsense")
        return found

    job = WrapperJob("binary", [0, 1])
    job._held = WrapperModel(
        Holder(lightgbm_model, ask), Methods(single="", batch=""), Reader("binary", [0, 1])
    )
    meta, arrays = pack_table(Table.of(Column(name, np.linspace(-1, 1, 3)) for name in ("a", "b", "c")))
    told, _ = job.sabotage(arrays, meta)
    assert {one["what"] for one in told["trials"]} == {"NaN", "1.5", "-0.5", "Inf", "NaN in the last row"}
    assert {one["what"] for one in told["trials"] if one["error"] is None} == missed


def test_an_onnx_session_is_a_model_too(tmp_path: Path) -> None:
    import onnxruntime
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    wrapper = Holder(session, lambda held, rows: held.run(None, {"x": rows.astype(np.float32)})[0])
    with sabotaged(models_in(wrapper), float("nan")):
        assert np.isnan(wrapper.predict(ROWS)).all()
    assert (wrapper.predict(ROWS) == 0).all()


def test_a_wrapper_without_a_model_has_none_to_spoil() -> None:
    assert models_in(Holder(None, lambda model, rows: rows)) == []


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ([-3.2, 0.4], "score"),
        ([300.0, 850.0], "score"),
        ([0.1, 1.2], "probabilities"),
        ([0.2, 0.9], "probabilities"),
    ],
)
def test_one_float_a_row_is_a_score_where_no_probability_could_be(answers: list[float], name: str) -> None:
    """Decided once, from many rows: a row alone may well have a score of 0.4."""
    reader = Reader("binary", [0, 1])
    reader.learn(answers)
    assert list(reader.read([0.4, 0.5]).present) == [name]
    assert list(reader.read(0.4, single=True).present) == [name]
    several = Reader("multiclass", [0, 1, 2])
    several.learn([5.0, 7.0])
    assert list(several.read([5.0, 7.0]).present) == ["label"]


class FromPath(TakesPath):
    """Its own class method is the way to make one that has a model; nobody is told of it."""

    def __init__(self) -> None:
        self.ready = False

    @classmethod
    def from_path(cls, path: str) -> FromPath:
        return cls()

    def explain(self, row: Any) -> Any:
        return row

    def open_session(self) -> None:
        """Takes no path."""


class Sets(FromPath):
    def setup(self, path: str, *, threads: int = 1) -> None:
        self.path = path


def test_a_wrapper_that_is_never_told_its_model_says_so_and_which_method_would_take_it() -> None:
    made = start(FromPath, "model.pkl", NAMES)
    assert not made.has_path
    assert loaders(made.wrapper, made.names) == ["from_path"]
    assert loaders(Sets(), NAMES) == ["from_path", "setup"]
    named = start(Sets, "model.pkl", Methods(load="setup"))
    assert (named.has_path, named.wrapper.path) == (True, "model.pkl")
    assert start(FromPath, "model.pkl", Methods(load="from_path")).has_path


def _pool() -> None:
    import multiprocessing

    multiprocessing.get_context("nothing of that name")


def _fetch() -> None:
    import urllib.request

    urllib.request.urlopen("http://localhost:1/", timeout=1)


def _variable() -> None:
    import os

    os.environ["NOTHING_OF_THAT_NAME"]


def _shell() -> None:
    import subprocess

    subprocess.run(["/nothing/of/that/name"], check=True)


def _locale() -> None:
    import locale

    locale.setlocale(locale.LC_ALL, "nothing_OF.THAT-NAME")


def _file() -> None:
    Path("/nothing/of/that/name").read_text()


def _key() -> None:
    {"a": 1}["b"]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (_fetch, "no network"),
        (_shell, "no other processes"),
        (_variable, "environment's variables"),
        (_locale, "not installed here"),
        (_pool, ""),
        (_file, ""),
        (_key, ""),
    ],
)
def test_an_error_of_the_sandbox_says_what_to_do_and_others_keep_their_own(
    fault: Callable[[], None], words: str
) -> None:
    with pytest.raises(Exception) as caught, hinted():  # noqa: PT011 - any of them
        fault()
    hint = getattr(caught.value, "hint", "")
    assert (words in hint) if words else not hint
