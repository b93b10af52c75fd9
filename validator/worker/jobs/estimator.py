"""The converter in the environment that the model was trained in, where its own libraries can load it."""

from __future__ import annotations

from validator.worker.jobs.convert import ConvertJob


class EstimatorJob(ConvertJob):
    """The same operations."""
