"""The Deployment asked in every form that callers have rows in, beside pandas, which production need not have."""

from __future__ import annotations

from typing import Any

from validator.sandbox import wire
from validator.sandbox.packing import unpack_table
from validator.worker import forms
from validator.worker.jobs.deployment import DeploymentJob, DeploymentModel
from validator.worker.serving import Answer


class FormsJob(DeploymentJob):
    """Operation `forms`, and those of the job that it is otherwise."""

    def forms(self, arrays: wire.Arrays, table: Any, untyped: bool) -> Answer:
        """The sample's rows in every form that callers have them in: the forms that were tried, and what is wrong.

        The first array is an Arrow stream of the file's own types, the others the same rows as everywhere else;
        `untyped` says that the file is a CSV file.
        """
        model = self._loaded
        rows, held = forms.read_stream(arrays[0]), unpack_table(table, arrays[1:])
        deployment = model.deployment if isinstance(model, DeploymentModel) else None
        tried, wrong = forms.answer_forms(
            lambda method, given: model.predict((getattr(deployment, method), given)),
            forms.typed(rows, held) if untyped else rows,
            held,
        )
        return {"tried": tried, "wrong": wrong}, []
