"""The thorough way through the contract: check names and values, run what is sound, check the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.answers import AnswerCheck
from validator.serving.breach import Breach, bad_rows, error_of
from validator.serving.contract import ServedContract
from validator.serving.errors import EmptyBatchError, OutOfRangeError
from validator.serving.intake import Columns
from validator.serving.names import check_names
from validator.serving.policy import Policy
from validator.serving.prediction import Problem
from validator.serving.session import OnnxModel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False)
class Answered:
    """Outputs [N, ...] by name, which rows are the model's own, and what was wrong with the others."""

    outputs: dict[str, NDArray[Any]]
    valid: NDArray[Any]
    problems: tuple[Problem, ...]
    outcome: str


class Guard:
    """Holds calls to a contract. Keeps no state between calls."""

    def __init__(
        self,
        model: OnnxModel,
        contract: ServedContract,
        check: AnswerCheck,
        policy: Policy,
        *,
        ignore_extra: bool,
    ) -> None:
        self.ignore_extra = ignore_extra
        self._model = model
        self._check = check
        self._policy = policy
        self._names = contract.names
        self._all_float = all(one.kind == "float" and not one.has_limits for one in contract.features)
        self._flags_range = contract.flags_range

    def answer(
        self,
        columns: Columns,
        *,
        kept: NDArray[Any] | None = None,
        n_rows: int | None = None,
        known: Sequence[Breach] = (),
    ) -> Answered:
        """The answers for all `n_rows`. `columns` holds the rows `kept` (None for all of them), `known` what was
        found wrong before. Raises ContractError, OutputError, InferenceError or FallbackError.
        """
        total = columns.n_rows if n_rows is None else n_rows
        positions = np.arange(total) if kept is None else kept
        breaches = [*known, *self._check_whole(columns, total)]
        notes: list[Breach] = []
        outputs: dict[str, NDArray[Any]] = {}
        good = ~bad_rows(breaches, total)
        if not breaches or (good.any() and not self._policy.raises):
            encoded, found = self._model.encode(dict(columns.items))
            found = [breach.spread(positions, total) for breach in found] if known else found
            notes = [one for one in found if self._flags_range and one.kind is OutOfRangeError]
            breaches += [one for one in found if one not in notes]
            good = ~bad_rows(breaches, total)
            if good.any() and not (breaches and self._policy.raises):
                feed = self._model.feed(encoded, good[positions] if breaches else None)
                outputs, found = self._check.check(self._model.run(feed), int(np.count_nonzero(good)))
                outputs, good, spread = _drop_bad(outputs, good, found)
                breaches += spread
        return _noted(self._settle(outputs, good, breaches), notes)

    def answer_matrix(self, array: NDArray[Any]) -> Answered | None:
        """The answers for a plain array [N, F] that fits the model's input as it stands: it is not copied.

        None when it takes a closer look.
        """
        model = self._model
        if not (model.is_matrix and self._all_float and array.ndim == 2 and len(array)):
            return None
        ((name, given),) = model.inputs.items()
        fits = array.dtype == given.dtype and array.shape[1] == len(self._names) and array.flags.c_contiguous
        if not fits or not np.isfinite(array).all():
            return None
        outputs, breaches = self._check.check(model.run({name: array}), len(array))
        outputs, good, breaches = _drop_bad(outputs, np.ones(len(array), dtype=bool), breaches)
        return self._settle(outputs, good, breaches)

    def _check_whole(self, columns: Columns, total: int) -> list[Breach]:
        if total == 0:
            message, hint = (
                "there are no rows to answer",
                "do not call the model when there is nothing to ask",
            )
            return [Breach(kind=EmptyBatchError, message=message, hint=hint)]
        return check_names(columns.names, self._names, ignore_extra=self.ignore_extra)

    def _settle(
        self, outputs: dict[str, NDArray[Any]], good: NDArray[Any], breaches: Sequence[Breach]
    ) -> Answered:
        if not breaches:
            return Answered(outputs=outputs, valid=good, problems=(), outcome="ok")
        if self._policy.raises:
            raise error_of(breaches)
        composed = self._policy.compose(outputs, good, breaches)
        problems = tuple(breach.problem(len(good)) for breach in breaches)
        return Answered(outputs=composed, valid=good, problems=problems, outcome=self._policy.outcome)


def _noted(answered: Answered, notes: Sequence[Breach]) -> Answered:
    """The same answers, with rows marked that were answered although something about them is odd."""
    if not notes:
        return answered
    n_rows = len(answered.valid)
    return replace(
        answered,
        valid=answered.valid & ~bad_rows(notes, n_rows),
        problems=(*answered.problems, *(note.problem(n_rows) for note in notes)),
        outcome="flagged" if answered.outcome == "ok" else answered.outcome,
    )


def _drop_bad(
    outputs: dict[str, NDArray[Any]], good: NDArray[Any], breaches: Sequence[Breach]
) -> tuple[dict[str, NDArray[Any]], NDArray[Any], list[Breach]]:
    """Take the rows whose answer breaks the contract out of the outputs and out of `good` [N]."""
    if not breaches:
        return outputs, good, []
    positions = np.flatnonzero(good)
    bad = bad_rows(breaches, len(positions))
    still = good.copy()
    still[positions[bad]] = False
    kept = {name: array[~bad] for name, array in outputs.items()}
    return kept, still, [breach.spread(positions, len(good)) for breach in breaches]
