"""The shipped Deployment around the artifact's files, as production would run it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, List, Tuple

from validator.outputs import NAMES, Outputs
from validator.table import Table
from validator.worker import wire
from validator.worker.serving import Answer, ServingJob


class DeploymentModel:
    """A Deployment behind the interface of every served model. One row goes through `predict_single`."""

    def __init__(self, deployment: Any) -> None:
        self._deployment = deployment

    def inputs(self, table: Table) -> Tuple[Any, Any]:
        """The method that production would call, and what it would pass: a mapping, or a dictionary of columns."""
        columns = {column.name: column.decoded() for column in table.columns}
        if len(table) == 1:
            return self._deployment.predict_single, {
                name: _plain(values[0]) for name, values in columns.items()
            }
        return self._deployment.predict, columns

    def from_array(self, array: Any) -> Tuple[Any, Any]:
        return self._deployment.predict, array

    def call(self, given: Tuple[Any, Any]) -> Any:
        method, argument = given
        return method(argument)

    def predict(self, given: Tuple[Any, Any]) -> Outputs:
        import numpy as np

        answer = self.call(given)
        single = given[0] == self._deployment.predict_single
        present = {name: getattr(answer, name) for name in NAMES if getattr(answer, name) is not None}
        return Outputs(**{name: np.asarray([value] if single else value) for name, value in present.items()})


def _plain(value: Any) -> Any:
    """A numpy scalar as the Python value that a request would hold."""
    return value.item() if hasattr(value, "item") and value.dtype.kind != "M" else value


class Job(ServingJob):
    """Operations `load`, `load_folder` and `load_missing`, and those of every serving job."""

    def load(self, arrays: wire.Arrays, names: List[str]) -> Answer:
        """The artifact's files in; the milliseconds that loading took out. There is no verdict to verify yet."""
        from validator.deployment import Deployment

        files = dict(zip(names, arrays))
        started = time.perf_counter()
        deployment = Deployment.for_validation(
            onnx=files["model.onnx"], contract=json.loads(files["contract.json"])
        )
        elapsed = (time.perf_counter() - started) * 1000
        self._model = DeploymentModel(deployment)
        return {"load_ms": elapsed}, []

    def load_folder(self, arrays: wire.Arrays, names: List[str]) -> Answer:
        """The files as an artifact folder, verified as in production. Raises what the Deployment raises."""
        from validator.deployment import Deployment

        folder = Path("artifact")
        folder.mkdir()
        for name, content in zip(names, arrays):
            (folder / name).write_bytes(content)
        Deployment.load(folder)
        return {}, []

    def load_missing(self, arrays: wire.Arrays) -> Answer:
        """A folder that is not there. Raises what the Deployment raises."""
        from validator.deployment import Deployment

        Deployment.load("missing-artifact")
        return {}, []
