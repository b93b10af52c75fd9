"""From what was asked to the answer's bytes: the model is called, its answer written, the call counted."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from validator.serving.deployment import Deployment
from validator.serving.errors import ContractError, DeploymentError, OutputError
from validator.serving.metrics.server import Outcome, ServerMetrics
from validator.serving.prediction import Prediction, SinglePrediction
from validator.serving.server.problem import RequestError, problem_document, shown
from validator.serving.server.requests import Asked
from validator.serving.server.tensors import binary_of, datatype_of, output_tensors

if TYPE_CHECKING:
    from validator.profile import Counts

OUTPUTS = ("label", "probabilities", "prediction", "score")


@dataclass(slots=True)
class Reply:
    """An answer, ready to be sent, and what there is to count of it.

    `json_length` is where the JSON ends, if binary data follows. `tally` are a batch's counts by bin, made beside the
    event loop.
    """

    status: int
    body: bytes
    outcome: Outcome
    rows: int = 0
    json_length: int | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    asked: Asked | None = None
    answer: SinglePrediction | Prediction | None = None
    refusal: str = ""
    tally: tuple[Counts, Counts] | None = None


#: Told of every request that reached the model: the id, what was asked, the answer or the name of the refusal.
Observer = Callable[[str, Asked, "SinglePrediction | Prediction | None", str], None]
#: How a request is read (the body, and where its JSON ends) and its answer written (and where its JSON ends).
Form = tuple[
    Callable[[bytes, "int | None"], Asked],
    Callable[[Asked, "SinglePrediction | Prediction", str], tuple[bytes, "int | None"]],
]


class Predictor:
    """Answers requests with one deployment.

    Parameters
    ----------
    deployment
        Must raise on breaches (`on_invalid="raise"`).
    metrics
        What calls are counted in, by `settle`.
    """

    def __init__(self, deployment: Deployment, metrics: ServerMetrics) -> None:
        self._deployment = deployment
        self._metrics = metrics
        self._head = {"model_name": metrics.served.model, "model_version": metrics.served.version}
        self.observers: list[Observer] = []
        self._told = False
        given = deployment.example_outputs
        self.outputs = {name: given[name] for name in OUTPUTS if name in given}
        self._forms = [
            (name, output_tensors({name: array})[0]["datatype"], list(array.shape))
            for name, array in self.outputs.items()
        ]

    def compute(self, form: Form, body: bytes, json_length: int | None, prediction_id: str) -> Reply:
        """The reply to one request. Nothing is counted yet: this may run in any thread. Never raises."""
        read, write = form
        asked: Asked | None = None
        try:
            asked = read(body, json_length)
            answer = self._call(asked)
            content, length = write(asked, answer, prediction_id)
            reply = Reply(200, content, "ok", asked.n_rows, length, asked=asked, answer=answer)
        except RequestError as error:
            content = orjson.dumps(problem_document(error.kind, error.message, error.hint))
            return Reply(error.status, content, "refused", headers=error.headers)
        except ContractError as error:
            return self._refused(422, "refused", error, asked)
        except OutputError as error:
            return self._refused(500, "invalid_output", error, asked)
        except Exception as error:  # whatever a runtime raises: told of in the log, not to the caller
            log_failure(prediction_id, error)
            kind = type(error).__name__ if isinstance(error, DeploymentError) else "InternalError"
            content = orjson.dumps(
                problem_document(
                    kind, "the model could not be run on this request", "report the prediction id"
                )
            )
            return Reply(500, content, "error", asked=asked, refusal=kind)
        if asked.row is None:
            try:
                reply.tally = self._metrics.bins.tally(columns_of(asked), answer)
            except Exception as error:  # as in `settle`
                self._tell_once(prediction_id, error)
        return reply

    def settle(self, reply: Reply, prediction_id: str, seconds: float) -> None:
        """Count a reply, and tell the observers. Belongs to the event loop's thread."""
        self._metrics.answered(reply.outcome, seconds, reply.rows)
        asked = reply.asked
        if asked is None:
            return
        try:
            if reply.tally is not None:
                self._metrics.bins.add(reply.tally)
            elif reply.outcome == "ok" and asked.row is not None:
                self._metrics.bins.add_row(asked.row, reply.answer)
            for observer in self.observers:
                observer(prediction_id, asked, reply.answer, reply.refusal)
        except Exception as error:  # what is counted beside an answer must not cost the answer
            self._tell_once(prediction_id, error)

    def _tell_once(self, prediction_id: str, error: Exception) -> None:
        if not self._told:
            self._told = True
            log_failure(prediction_id, error, what="could not be counted")

    def write_tensors(
        self, asked: Asked, answer: SinglePrediction | Prediction, prediction_id: str
    ) -> tuple[bytes, int | None]:
        """The protocol's answer. Raises RequestError for an output that there is not."""
        if isinstance(answer, SinglePrediction):
            outputs = self._of_single(answer)
        else:
            outputs = output_tensors({name: getattr(answer, name) for name in self.outputs})
        if asked.outputs is not None:
            outputs = self._chosen(outputs, asked.outputs)
        document: dict[str, Any] = {**self._head, "id": asked.id or prediction_id, "outputs": outputs}
        if asked.id:
            document["parameters"] = {"prediction_id": prediction_id}
        if not asked.binary:
            return orjson.dumps(document), None
        tail = []
        for output in outputs:
            if asked.binary is True or output["name"] in asked.binary:
                tail.append(binary_of(output))
                del output["data"]
                output["parameters"] = {"binary_data_size": len(tail[-1])}
        head = orjson.dumps(document)
        return b"".join([head, *tail]), len(head) if tail else None

    def write_rows(
        self, asked: Asked, answer: SinglePrediction | Prediction, prediction_id: str
    ) -> tuple[bytes, int | None]:
        """One object a row, for people."""
        document: dict[str, Any] = {**self._head, "prediction_id": prediction_id}
        if asked.id is not None:
            document["id"] = asked.id
        if isinstance(answer, SinglePrediction):
            document["predictions"] = [{name: getattr(answer, name) for name in self.outputs}]
        else:
            columns = [getattr(answer, name).tolist() for name in self.outputs]
            names = tuple(self.outputs)
            document["predictions"] = [
                dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)
            ]
        return orjson.dumps(document), None

    def _call(self, asked: Asked) -> SinglePrediction | Prediction:
        if asked.row is not None:
            return self._deployment.predict_single(asked.row)
        if asked.rows is not None:
            return self._deployment.predict_batch(asked.rows)
        return self._deployment.predict(asked.columns)

    def _refused(self, status: int, outcome: Outcome, error: DeploymentError, asked: Asked | None) -> Reply:
        kind = type(error).__name__
        document = problem_document(kind, error.message, error.hint, features=error.features, rows=error.rows)
        return Reply(status, orjson.dumps(document), outcome, asked=asked, refusal=kind)

    def _of_single(self, answer: SinglePrediction) -> list[dict[str, Any]]:
        found = []
        for name, datatype, shape in self._forms:
            value = getattr(answer, name)
            data = value if type(value) is list else [value]
            found.append({"name": name, "datatype": datatype, "shape": shape, "data": data})
        return found

    def _chosen(self, outputs: list[dict[str, Any]], names: tuple[str, ...]) -> list[dict[str, Any]]:
        by_name = {output["name"]: output for output in outputs}
        for name in names:
            if name not in by_name:
                raise RequestError(
                    f"there is no output {shown(name)}", hint=f"the model gives {', '.join(by_name)}"
                )
        return [by_name[name] for name in names]


def columns_of(asked: Asked) -> Mapping[str, Any]:
    """What was asked as columns by feature name: lists or arrays [N]."""
    if asked.columns is not None:
        return asked.columns
    rows = asked.rows if asked.rows is not None else [asked.row or {}]
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def log_failure(prediction_id: str, error: BaseException, *, what: str = "failed") -> None:
    """One line on standard error: which request, which error, where. Never the rows."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    text = " ".join(str(error).split())[:500]
    print(
        f"serve: request {prediction_id} {what} at {place}: {type(error).__name__}: {text}", file=sys.stderr
    )


def output_metadata(outputs: Mapping[str, np.ndarray[Any, Any]]) -> list[dict[str, Any]]:
    """The outputs' entries in the model's metadata, with -1 for the number of rows."""
    return [
        {
            "name": name,
            "datatype": datatype_of(array.dtype)
            if array.dtype.kind != "O"
            else output_tensors({name: array})[0]["datatype"],
            "shape": [-1, *array.shape[1:]],
        }
        for name, array in outputs.items()
    ]
