"""The base version, asked for every batch of the sample while the candidate is."""

from __future__ import annotations

from dataclasses import dataclass

from validator.checks.change.base_version import BaseVersion
from validator.checks.change.behaviour import Behaviour, Measure, NotComparableError, contract_changes
from validator.checks.sample_pass import Batch
from validator.errors import PreflightError
from validator.outputs import Outputs
from validator.results import Change, Contract


@dataclass(kw_only=True)
class BaselineRunner:
    """The base version, asked for every batch of the sample while the candidate is.

    What goes wrong with it ends the comparison, never the candidate's judgement; `problem` says what it was.
    """

    version: BaseVersion
    contract_changes: tuple[str, ...] = ()
    behaviour: Behaviour | None = None
    problem: str = ""
    _asked: int | None = None
    """rows that were asked for and not answered yet"""

    @classmethod
    def of(cls, version: BaseVersion, candidate: Contract) -> BaselineRunner:
        """Ready to be asked."""
        found = cls(version=version, contract_changes=contract_changes(candidate, version.contract)[:1_000])
        try:
            found.behaviour = Behaviour(measure=Measure.of(candidate, version.contract))
        except NotComparableError as error:
            found.problem = str(error)
        return found

    def post(self, batch: Batch) -> None:
        """Ask for the next batch of the sample, without waiting."""
        if self.problem:
            return
        try:
            rows = self.version.rows(batch.table)
            self.version.runtime.post(rows)
            self._asked = len(rows)
        except PreflightError as error:
            self._end(error)

    def answer(self, native: Outputs, onnx: Outputs) -> Outputs | None:
        """The answers to the batch that was asked for, held against the candidate's; None after a problem."""
        rows, self._asked = self._asked, None
        if rows is None or self.behaviour is None:
            return None
        try:
            found = self.version.runtime.answer(rows)
        except PreflightError as error:
            self._end(error)
            return None
        try:
            self.behaviour.add(native if self.version.kind == "native" else onnx, found, rows)
        except (ValueError, TypeError, IndexError) as error:  # NotComparableError among them
            self.problem = str(error)[:2_000]
            return None
        return found

    def _end(self, error: PreflightError) -> None:
        self.problem = f"the base version failed on the sample: {error.message}"[:2_000]

    @property
    def change(self) -> Change:
        """The change, with what was seen of behaviour."""
        seen = self.behaviour
        change = self.version.change.model_copy(update={"contract_changes": self.contract_changes})
        if self.problem or seen is None:
            return change.model_copy(update={"status": "unavailable", "reason": self.problem})
        return change.model_copy(
            update={
                "status": "compared",
                "reason": "",
                "rows": seen.rows,
                "label_changes": seen.label_changes,
                "score": seen.score,
                "score_changes": seen.score_changes,
                "score_quantiles": seen.quantiles,
                "worst_rows": tuple(seen.worst),
            }
        )
