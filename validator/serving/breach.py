"""Breaches found while checking a call, and the one error or the problems that they become."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.errors import (
    DeploymentError,
    EmptyBatchError,
    ExtraFeatureError,
    FeatureTypeError,
    MissingFeatureError,
)
from validator.serving.prediction import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 10
#: Which error is raised when a call has several: what explains the others first.
_ORDER: tuple[type[DeploymentError], ...] = (
    MissingFeatureError,
    ExtraFeatureError,
    EmptyBatchError,
    FeatureTypeError,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Breach:
    """One rule broken by one feature (or by none in particular). `mask` [N] says in which rows, None for all.

    `message` leaves out the rows: `text` adds them.
    """

    kind: type[DeploymentError]
    message: str
    hint: str
    features: tuple[str, ...] = ()
    mask: NDArray[Any] | None = None

    @property
    def rows(self) -> tuple[int, ...]:
        return () if self.mask is None else tuple(np.flatnonzero(self.mask)[:_SHOWN].tolist())

    @property
    def text(self) -> str:
        return self.message if self.mask is None else f"{self.message} ({where(self.mask)})"

    def spread(self, positions: NDArray[Any], n_rows: int) -> Breach:
        """The same breach of a subset of rows, told of all `n_rows`; `positions` are the subset's."""
        mask = np.zeros(n_rows, dtype=bool)
        mask[positions if self.mask is None else positions[self.mask]] = True
        return replace(self, mask=mask)

    def problem(self, n_rows: int) -> Problem:
        count = n_rows if self.mask is None else int(np.count_nonzero(self.mask))
        return Problem(
            error=self.kind.__name__,
            message=self.text,
            hint=self.hint,
            features=self.features,
            rows=self.rows,
            n_rows=count,
        )


def error_of(breaches: Sequence[Breach]) -> DeploymentError:
    """The error to raise for these breaches: the most telling kind, with all its features named."""
    kind = min((breach.kind for breach in breaches), key=_rank)
    alike = [breach for breach in breaches if breach.kind is kind]
    message = "; ".join(breach.text for breach in alike[:_SHOWN])
    if len(alike) > _SHOWN:
        message += f"; and {len(alike) - _SHOWN} more"
    features = tuple(dict.fromkeys(name for breach in alike for name in breach.features))
    rows = tuple(sorted({row for breach in alike for row in breach.rows})[:_SHOWN])
    return kind(message, hint=alike[0].hint, features=features, rows=rows)


def bad_rows(breaches: Iterable[Breach], n_rows: int) -> NDArray[Any]:
    """Which rows [N] any breach touches."""
    bad = np.zeros(n_rows, dtype=bool)
    for breach in breaches:
        bad |= True if breach.mask is None else breach.mask
    return bad


def where(mask: NDArray[Any]) -> str:
    """`row 3`, or `row 3 and 7 more`."""
    count = int(np.count_nonzero(mask))
    first = int(np.argmax(mask))
    return f"row {first}" + (f" and {count - 1} more" if count > 1 else "")


def shown(value: object, most: int = 60) -> str:
    """A value as it may stand in a message: its repr, cut short at `most` characters."""
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."


def shown_name(name: object) -> str:
    """A feature's name in a message, where it must be told from others: survey questions are names too."""
    return shown(name, 200)


def _rank(kind: type[DeploymentError]) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)
