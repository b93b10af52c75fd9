"""The shipped Deployment around the artifact's files, as production would run it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Sequence, Tuple

from validator.libraries.frames import columns, mappings
from validator.outputs import NAMES, Outputs, concatenate
from validator.sandbox import wire
from validator.table import Table
from validator.worker.serving import Answer, ServingJob

#: The bound method, and what it is given.
Given = Tuple[Any, Any]


class DeploymentModel:
    """A Deployment behind the interface of every served model. One row goes through `predict_single`."""

    methods: ClassVar[Dict[str, str]] = {
        "predict": "predict",
        "single": "predict_single",
        "batch": "predict_batch",
    }

    def __init__(self, deployment: Any) -> None:
        self.deployment = deployment

    def inputs(self, table: Table) -> Given:
        """The method that production would call for so many rows, and what it would pass."""
        return self.inputs_by("single" if len(table) == 1 else "predict", table)

    def inputs_by(self, method: str, table: Table) -> Given:
        """What that method is given for these rows: columns, a list of mappings, or one mapping after the other."""
        if method == "predict":
            return self.deployment.predict, columns(table)
        rows = mappings(table)
        if method == "batch":
            return self.deployment.predict_batch, rows
        return self.deployment.predict_single, rows[0] if len(rows) == 1 else rows

    def cut(self, table: Table, rows: int, starts: Sequence[int]) -> List[Given]:
        """The inputs of so many rows from each of `starts` on."""
        if rows == 1:
            held = mappings(table)
            return [(self.deployment.predict_single, held[at]) for at in starts]
        return [self.inputs(table.take(slice(at, at + rows))) for at in starts]

    def from_array(self, array: Any) -> Given:
        return self.deployment.predict, array

    def call(self, given: Given) -> Any:
        method, argument = given
        if method == self.deployment.predict_single and isinstance(argument, list):
            return [method(row) for row in argument]
        return method(argument)

    def predict(self, given: Given) -> Outputs:
        import numpy as np

        answer = self.call(given)
        if given[0] != self.deployment.predict_single:
            return Outputs(**{name: np.asarray(value) for name, value in _present(answer).items()})
        singles = answer if isinstance(given[1], list) else [answer]
        return concatenate(
            [Outputs(**{k: np.asarray([value]) for k, value in _present(one).items()}) for one in singles]
        )


def _present(answer: Any) -> Dict[str, Any]:
    return {name: getattr(answer, name) for name in NAMES if getattr(answer, name) is not None}


class DeploymentJob(ServingJob):
    """Operations `load`, `load_folder` and `load_missing`, and those of every serving job."""

    def load(self, arrays: wire.Arrays, names: List[str]) -> Answer:
        """The artifact's files in; the milliseconds that loading took out. There is no verdict to verify yet."""
        from validator.serving import Deployment

        files = dict(zip(names, arrays))
        started = time.perf_counter()
        deployment = Deployment.for_validation(
            onnx=files["model.onnx"], contract=json.loads(files["contract.json"])
        )
        elapsed = (time.perf_counter() - started) * 1000
        self._model = DeploymentModel(deployment)
        return {"load_ms": elapsed, "methods": DeploymentModel.methods}, []

    def load_folder(self, arrays: wire.Arrays, names: List[str]) -> Answer:
        """The files as an artifact folder, verified as in production. Raises what the Deployment raises."""
        from validator.serving import Deployment

        folder = Path("artifact")
        folder.mkdir()
        for name, content in zip(names, arrays):
            (folder / name).write_bytes(content)
        Deployment.load(folder)
        return {}, []

    def load_missing(self, arrays: wire.Arrays) -> Answer:
        """A folder that is not there. Raises what the Deployment raises."""
        from validator.serving import Deployment

        Deployment.load("missing-artifact")
        return {}, []
