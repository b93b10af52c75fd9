"""Measures quality: gathers true answers and those of one or two models batch by batch, and has met no model."""

from __future__ import annotations

from typing import Any, List, Optional

from validator.sandbox import wire
from validator.worker.quality.rows import Gathering
from validator.worker.serving import Answer


class MeasureJob:
    """Operations `begin`, `add` batch by batch, `end`."""

    def __init__(self) -> None:
        self._gathering: Optional[Gathering] = None

    def begin(self, arrays: wire.Arrays, task: str, classes: List[List[Any]], slices: List[str]) -> Answer:
        """What is to be measured: the task, each model's classes, the columns to tell quality apart by."""
        self._gathering = Gathering(task, classes, slices)
        return {}, []

    def add(
        self, arrays: wire.Arrays, outputs: List[str], labelled: List[bool], slices: List[str], grouped: bool
    ) -> Answer:
        """A batch: truth [n]; of each model values [n, K] and, where `labelled`, labels [n]; slices; queries.

        `outputs` are the names of the outputs that the values are.
        """
        rest = iter(arrays)
        truth = next(rest)
        answers = []
        for name, has_label in zip(outputs, labelled):
            values = next(rest)
            answers.append((next(rest) if has_label else None, name, values))
        columns = {name: next(rest) for name in slices}
        self._begun.add(truth, answers, columns, next(rest) if grouped else None)
        return {}, []

    def end(self, arrays: wire.Arrays, compare: bool) -> Answer:
        """Metrics of everything added, over all rows and by slice; with `compare` of both models, and intervals."""
        from validator.worker.quality.comparison import measured

        return measured(self._begun, compare=compare), []

    @property
    def _begun(self) -> Gathering:
        if self._gathering is None:
            raise RuntimeError("begin comes first")
        return self._gathering
