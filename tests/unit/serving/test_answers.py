"""Answers that a model must not give, and what the deployment makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from validator.serving import (
    Deployment,
    FailedArtifactError,
    FallbackError,
    InferenceError,
    OutputShapeError,
    OutputValueError,
    Prediction,
    Problem,
)
from validator.serving.answers import AnswerCheck
from validator.serving.contract import Feature, ServedContract
from validator.serving.fast import FastRow

Serve = Callable[..., Deployment]
NAMES = ["f0", "f1", "f2", "f3"]
#: Nodes that turn the probabilities of rows whose f0 is above 5 into something else.
BREAK = [
    ("Slice", ["features", "zero64", "one64", "one64"], ["first"], {}),
    ("Greater", ["first", "five"], ["broken"], {}),
]


def contract(**changes: Any) -> ServedContract:
    fields: dict[str, Any] = {
        "features": (Feature(name="a", kind="float", dtype="float64"),),
        "task": "binary",
        "classes": (0, 1),
        "n_outputs": 1,
        "output_minimum": None,
        "output_maximum": None,
    }
    return ServedContract(**(fields | changes))


GOOD = {"label": np.array([0, 1]), "probabilities": np.array([[0.75, 0.25], [0.5, 0.5]])}


def test_a_sound_answer_has_no_breach() -> None:
    outputs, breaches = AnswerCheck(contract()).check(GOOD, 2)
    assert breaches == []
    assert outputs["probabilities"] is GOOD["probabilities"]


BROKEN: list[tuple[str, Any, type, str]] = [
    ("probabilities", [[0.75, 0.25], [np.nan, 0.5]], OutputValueError, r"is NaN or infinite \(row 1\)"),
    ("probabilities", [[np.inf, 0.25], [0.5, 0.5]], OutputValueError, r"is NaN or infinite \(row 0\)"),
    ("probabilities", [[0.75, 0.25], [1.5, -0.5]], OutputValueError, r"is -0.5, outside \[0, 1\] \(row 1\)"),
    ("probabilities", [[0.75, 0.25], [1.0001, 0.0]], OutputValueError, r"is 1.0001, outside \[0, 1\]"),
    ("probabilities", [[0.75, 0.25], [0.5, 0.4]], OutputValueError, r"sum to 0.9, not to one \(row 1\)"),
    ("probabilities", [[0.75, 0.25]], OutputShapeError, r"is \[1, 2\] for 2 rows"),
    ("probabilities", [[0.5, 0.25, 0.25]] * 2, OutputShapeError, r"is \[2, 3\], not \[2, 2\]"),
    ("probabilities", [0.75, 0.5], OutputShapeError, r"is \[2\], not \[2, 2\]"),
    ("probabilities", [[1, 0], [0, 1]], OutputShapeError, "is int64, not a floating number"),
    ("label", [0, 7], OutputValueError, r"is 7, no class of the contract \(row 1\)"),
    ("label", ["0", "x"], OutputValueError, "is 'x', no class"),
    ("label", [0, 1, 0], OutputShapeError, r"is \[3\] for 2 rows"),
]


@pytest.mark.parametrize(("name", "values", "kind", "message"), BROKEN)
def test_each_broken_answer_is_named(name: str, values: Any, kind: type, message: str) -> None:
    _, breaches = AnswerCheck(contract()).check(GOOD | {name: np.array(values)}, 2)
    assert [breach.kind for breach in breaches] == [kind]
    assert breaches[0].text.startswith(f"output {name} ")
    with pytest.raises(kind, match=message):
        raise breaches[0].kind(breaches[0].text, hint="")


def test_rounding_is_no_breach() -> None:
    rounded = np.array([[1 + 1e-7, -1e-7], [0.5, 0.5 + 2e-7]], dtype=np.float32)
    assert AnswerCheck(contract()).check(GOOD | {"probabilities": rounded}, 2)[1] == []


def test_only_distributions_must_sum_to_one() -> None:
    check = AnswerCheck(contract(task="multilabel", classes=(0, 1)))
    assert check.check({"probabilities": np.array([[0.9, 0.9]])}, 1)[1] == []
    (breach,) = check.check({"probabilities": np.array([[0.9, 1.9]])}, 1)[1]
    assert "outside [0, 1]" in breach.message


@pytest.mark.parametrize("name", ["prediction", "score"])
def test_numbers_keep_to_the_contracts_range(name: str) -> None:
    check = AnswerCheck(contract(task="regression", classes=(), output_minimum=0.0, output_maximum=10.0))
    assert check.check({name: np.array([[0.0], [10.0]])}, 2)[1] == []
    for value, message in (
        (-0.5, r"is -0.5, outside \[0.0, 10.0\]"),
        (11.0, "is 11.0"),
        (np.inf, "infinite"),
    ):
        (breach,) = check.check({name: np.array([1.0, value])}, 2)[1]
        with pytest.raises(OutputValueError, match=message):
            raise breach.kind(breach.text, hint="")


def test_an_unbounded_prediction_must_still_be_finite() -> None:
    check = AnswerCheck(contract(task="regression", classes=()))
    assert check.check({"prediction": np.array([1e300, -1e300])}, 2)[1] == []
    assert check.check({"prediction": np.array([3, 4])}, 2)[1] == []
    for value in (np.inf, -np.inf, np.nan):
        assert len(check.check({"prediction": np.array([0.0, value])}, 2)[1]) == 1


def test_several_outputs_have_several_columns() -> None:
    check = AnswerCheck(contract(task="regression", classes=(), n_outputs=3))
    assert check.check({"prediction": np.zeros((2, 3))}, 2)[1] == []
    assert check.check({"prediction": np.zeros((2, 2))}, 2)[1][0].kind is OutputShapeError


@pytest.mark.parametrize(
    ("classes", "given", "found"),
    [
        ((False, True), np.array([0, 1]), [False, True]),
        ((False, True), np.array(["True", "False"], dtype=object), [True, False]),
        ((1.0, 2.0), np.array([2, 1]), [2.0, 1.0]),
        (("a", "b"), np.array(["b", "a"]), ["b", "a"]),
        ((10, 20), np.array([20, 10]), [20, 10]),
    ],
)
def test_labels_become_the_contracts_classes(classes: Any, given: Any, found: list[Any]) -> None:
    outputs, breaches = AnswerCheck(contract(classes=classes)).check({"label": given}, 2)
    assert breaches == []
    assert outputs["label"].tolist() == found
    assert [type(label) for label in outputs["label"].tolist()] == [type(label) for label in found]


def broken_graph(logistic: Any, put: str) -> bytes:
    """The logistic graph, but rows whose f0 is above 5 get `put` (a constant's name) as their probabilities."""
    import onnx
    from onnx import numpy_helper

    tail = [*BREAK, ("Where", ["broken", put, "p"], ["probabilities"], {})]
    model = onnx.load_from_string(logistic(tail=tail))
    for name, value in (("one64", np.array([1])), ("five", np.full((1, 1), 5.0))):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return bytes(model.SerializeToString())


@pytest.fixture
def sick(serve: Serve, logistic: Any) -> Callable[..., Deployment]:
    return lambda put="nan", **options: serve(broken_graph(logistic, put), **options)


MATRIX = np.array([[0.0, 1.0, 2.0, 0.5], [6.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])


@pytest.mark.parametrize(("put", "message"), [("nan", "is NaN or infinite"), ("two", "is 2.0, outside")])
def test_a_sick_answer_is_an_error_by_every_way(sick: Any, put: str, message: str) -> None:
    deployment = sick(put)
    row = dict(zip(NAMES, MATRIX[1].tolist(), strict=True))
    assert deployment.predict_single({**row, "f0": 0.0}).valid
    with pytest.raises(OutputValueError, match=rf"{message}.*\(row 0\)"):
        deployment.predict_single(row)
    for given in (MATRIX, np.asfortranarray(MATRIX)):
        with pytest.raises(OutputValueError, match=rf"{message}.*\(row 1\)") as caught:
            deployment.predict(given)
        assert isinstance(caught.value, ValueError)
        assert caught.value.rows == (1,)


def test_flagged_rows_are_marked_and_the_others_answered(sick: Any, expected: Any) -> None:
    deployment = sick(on_invalid="flag")
    matrix = np.vstack([MATRIX, [[np.nan, 0.0, 0.0, 0.0], [0.2, 0.0, np.inf, 0.0], [0.3, 0.0, 0.0, 0.0]]])
    prediction = deployment.predict(matrix)
    assert prediction.valid.tolist() == [True, False, True, False, False, True]
    good = prediction.valid
    assert np.allclose(prediction.probabilities[good, 1], expected(matrix[good]))
    assert np.isnan(prediction.probabilities[~good]).all()
    assert prediction.label.tolist() == [1, None, 1, None, None, 1]
    told = {(problem.error, problem.features, problem.rows) for problem in prediction.problems}
    assert told == {
        ("MissingValueError", ("f0",), (3,)),
        ("InfiniteValueError", ("f2",), (4,)),
        ("OutputValueError", (), (1,)),
    }


def test_flagged_single_rows_hold_none(serve: Serve, row: Mapping[str, float]) -> None:
    deployment = serve(on_invalid="flag")
    assert deployment.predict_single(row).valid
    for wrong in ({**row, "f1": None}, {"f0": 1.0}, {**row, "f9": 1.0}, {**row, "f0": "x"}):
        single = deployment.predict_single(wrong)
        assert (single.label, single.probabilities, single.valid) == (None, None, False)
        assert single.problems
        assert single.problems[0].n_rows == 1


def test_a_batch_flags_rows_with_wrong_names_alone(
    serve: Serve, row: Mapping[str, float], expected: Any
) -> None:
    rows = [row, {"f0": 1.0}, {**row, "f1": None}, row, {**row, "oops": 1}]
    prediction = serve(on_invalid="flag").predict_batch(rows)
    assert prediction.valid.tolist() == [True, False, False, True, False]
    assert np.allclose(prediction.probabilities[[0, 3], 1], expected(list(row.values())))
    told = {problem.error: problem.rows for problem in prediction.problems}
    assert told == {"MissingFeatureError": (1,), "MissingValueError": (2,), "ExtraFeatureError": (4,)}


def test_a_wrong_table_is_flagged_whole(serve: Serve) -> None:
    prediction = serve(on_invalid="flag").predict({"f0": [1.0, 2.0], "g": [0.0, 0.0]})
    assert prediction.valid.tolist() == [False, False]
    assert prediction.label.tolist() == [None, None]
    assert prediction.probabilities.shape == (2, 2)


FALLBACK = {"label": 0, "probabilities": [0.9, 0.1]}


def test_a_fallback_takes_the_place_of_wrong_rows(sick: Any, row: Mapping[str, float]) -> None:
    deployment = sick(on_invalid=FALLBACK)
    prediction = deployment.predict(MATRIX)
    assert prediction.valid.tolist() == [True, False, True]
    assert prediction.probabilities[1].tolist() == [0.9, 0.1]
    assert prediction.label.tolist() == [1, 0, 1]
    assert prediction.label.dtype == np.int64
    single = deployment.predict_single({**row, "f0": None})
    assert (single.label, single.probabilities, single.valid) == (0, [0.9, 0.1], False)
    assert deployment.counts()["fallback"] == 2


def test_a_fallback_function_is_told_row_and_problems(serve: Serve, row: Mapping[str, float]) -> None:
    seen: list[tuple[int, tuple[Problem, ...]]] = []

    def fallback(number: int, problems: tuple[Problem, ...]) -> Mapping[str, Any]:
        seen.append((number, problems))
        return FALLBACK

    prediction = serve(on_invalid=fallback).predict_batch([row, {**row, "f3": None}])
    assert prediction.probabilities[1].tolist() == [0.9, 0.1]
    ((number, (problem,)),) = seen
    assert (number, problem.error, problem.features) == (1, "MissingValueError", ("f3",))


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({}, "gives "),
        ({"label": 0}, "gives label"),
        ({"label": 0, "probabilities": [0.9, 0.1], "score": 1}, "gives label, probabilities, score"),
        ({"label": 0, "probabilities": [1.0]}, r"probabilities has shape \[1\]"),
        ({"label": 0, "probabilities": "high"}, "probabilities is 'high'"),
        ({"label": 0, "probabilities": [0.9, 0.9]}, "sum to 1.8"),
        ({"label": 5, "probabilities": [0.9, 0.1]}, "is 5, no class"),
        ("ignore", "on_invalid is 'ignore'"),
        (7, "on_invalid is a int"),
    ],
)
def test_a_fallback_that_is_no_answer_is_refused(
    serve: Serve, row: Mapping[str, float], fallback: Any, message: str
) -> None:
    with pytest.raises(FallbackError, match=message):
        serve(on_invalid=fallback)
    if isinstance(fallback, dict):
        with pytest.raises(FallbackError, match=message):
            serve(on_invalid=lambda number, problems: fallback).predict_single({**row, "f0": None})


def test_a_fallback_function_that_raises_is_named(serve: Serve, row: Mapping[str, float]) -> None:
    deployment = serve(on_invalid=lambda number, problems: 1 / 0)
    with pytest.raises(FallbackError, match="raised ZeroDivisionError"):
        deployment.predict_single({**row, "f0": None})


def regression_graph(width: int, outputs: int, name: str = "prediction") -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    weights = np.arange(1.0, 1 + width * outputs).reshape(width, outputs)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["features", "w"], [name])],
        "g",
        [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, width])],
        [helper.make_tensor_value_info(name, TensorProto.DOUBLE, [None, outputs])],
        [numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("name", "task"), [("prediction", "regression"), ("score", "ranking"), ("variable", "regression")]
)
def test_numbers_come_back_as_numbers(serve: Serve, row: Mapping[str, float], name: str, task: str) -> None:
    deployment = serve(regression_graph(4, 1, name), task=task, classes=())
    ours = "prediction" if name == "variable" else name
    right = sum(value * weight for value, weight in zip(row.values(), (1, 2, 3, 4), strict=True))
    single = deployment.predict_single(row)
    assert getattr(single, ours) == pytest.approx(right)
    assert isinstance(getattr(single, ours), float)
    assert getattr(deployment.predict_batch([row]), ours).tolist() == [getattr(single, ours)]
    assert single.label is None
    assert single.probabilities is None


def test_several_numbers_come_back_as_a_list(serve: Serve, row: Mapping[str, float]) -> None:
    deployment = serve(
        regression_graph(4, 2), task="regression", classes=(), n_outputs=2, output_maximum=100.0
    )
    single = deployment.predict_single(row)
    assert single.prediction == deployment.predict_batch([row]).prediction[0].tolist()
    with pytest.raises(OutputValueError, match="outside"):
        deployment.predict_single({**row, "f3": 1000.0})
    flagged = serve(
        regression_graph(4, 2),
        task="regression",
        classes=(),
        n_outputs=2,
        output_maximum=100.0,
        on_invalid="flag",
    ).predict_single({**row, "f3": 1000.0})
    assert (flagged.prediction, flagged.valid) == (None, False)


def test_a_runtime_that_breaks_off_is_named(serve: Serve, row: Mapping[str, float], monkeypatch: Any) -> None:
    deployment = serve()

    class Broken:
        def run(self, *arguments: Any) -> None:
            raise ValueError("out of memory")

        def run_with_iobinding(self, binding: Any) -> None:
            raise ValueError("out of memory")

    monkeypatch.setattr(deployment._guard._model, "session", Broken())
    monkeypatch.setattr(deployment._fast._engine, "_session", Broken())
    with pytest.raises(InferenceError, match="out of memory") as caught:
        deployment.predict_single(row)
    assert isinstance(caught.value, RuntimeError)


def test_an_answer_left_from_the_call_before_is_no_answer(serve: Serve, row: Mapping[str, float]) -> None:
    """The bound buffers are wiped before each call: a runtime that writes nothing is found out."""
    deployment = serve()
    fast = deployment._fast
    assert isinstance(fast, FastRow)
    assert fast(row) is not None

    class Silent:
        def run_with_iobinding(self, binding: Any) -> None:
            return None

    fast._engine._session = Silent()
    assert fast(row) is None


def test_a_model_of_another_kind_does_not_load(serve: Serve) -> None:
    with pytest.raises(FailedArtifactError, match="its outputs are y"):
        serve(regression_graph(4, 1, "y"))
    with pytest.raises(FailedArtifactError, match="for 1 outputs"):
        serve(regression_graph(4, 2), task="regression", classes=())


def test_predictions_have_no_truth_of_their_own(serve: Serve, row: Mapping[str, float]) -> None:
    prediction = serve().predict_batch([row])
    assert isinstance(prediction, Prediction)
    with pytest.raises(AttributeError):
        prediction.version = "x"  # type: ignore[misc]
