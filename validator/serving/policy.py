"""What happens to rows that break the contract: an error, a flag, or the caller's fallback."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from validator.serving.answers import AnswerCheck
from validator.serving.breach import Breach
from validator.serving.errors import FallbackError
from validator.serving.prediction import Problem

if TYPE_CHECKING:
    from numpy.typing import NDArray

Fallback = Mapping[str, Any] | Callable[[int, tuple[Problem, ...]], Mapping[str, Any]]
OnInvalid = Literal["raise", "flag"] | Fallback
_HINT = "give one value for each output, as the model itself would: {}"


class Policy:
    """`shapes` holds one row [1, ...] of each output that the model gives, whose dtype and shape others follow."""

    def __init__(
        self, on_invalid: OnInvalid, *, check: AnswerCheck, shapes: Mapping[str, NDArray[Any]]
    ) -> None:
        self._check = check
        self._shapes = shapes
        self.raises = on_invalid == "raise"
        self.outcome = "flagged" if on_invalid == "flag" else "fallback"
        self._fallback: Fallback | None = None
        if isinstance(on_invalid, str):
            if on_invalid not in ("raise", "flag"):
                raise FallbackError(
                    f"on_invalid is {on_invalid!r}",
                    hint="use 'raise', 'flag', a mapping of outputs, or a function",
                )
            return
        self._fallback = on_invalid
        if isinstance(on_invalid, Mapping):
            self._fallback_row(on_invalid)
        elif not callable(on_invalid):
            raise FallbackError(
                f"on_invalid is a {type(on_invalid).__name__}", hint="use a mapping of outputs, or a function"
            )

    def compose(
        self, answers: Mapping[str, NDArray[Any]], valid: NDArray[Any], breaches: Sequence[Breach]
    ) -> dict[str, NDArray[Any]]:
        """All rows [N, ...]: the answers where `valid` [N], and what stands for the others.

        `answers` holds the rows of `valid` alone, in their order; it may be empty when there are none.
        Raises FallbackError when a function's answer is none.
        """
        if valid.all() and len(valid):
            return dict(answers)
        bad = np.flatnonzero(~valid).tolist()
        stand_ins = [self._stand_in(row, breaches, len(valid)) for row in bad]
        composed = {}
        for name, shape in self._shapes.items():
            rows = [stand_in[name] for stand_in in stand_ins]
            given = answers.get(name, shape[:0])
            whole = np.empty((len(valid), *shape.shape[1:]), dtype=_common(given, rows))
            whole[valid] = given
            for row, value in zip(bad, rows, strict=True):
                whole[row] = value
            composed[name] = whole
        return composed

    def _stand_in(self, row: int, breaches: Sequence[Breach], n_rows: int) -> dict[str, Any]:
        if self._fallback is None:
            return {name: None if name == "label" else np.nan for name in self._shapes}
        if isinstance(self._fallback, Mapping):
            return self._fallback_row(self._fallback)
        touching = (breach for breach in breaches if breach.mask is None or breach.mask[row])
        problems = tuple(breach.problem(n_rows) for breach in touching)
        try:
            given = self._fallback(row, problems)
        except Exception as error:
            raise FallbackError(
                f"the fallback function raised {type(error).__name__}: {error}", hint="mend the function"
            ) from error
        return self._fallback_row(given)

    def _fallback_row(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """One row's outputs, held to what the model itself must keep to."""
        hint = _HINT.format(
            ", ".join(f"{name} {list(array.shape[1:])}" for name, array in self._shapes.items())
        )
        if not isinstance(given, Mapping) or given.keys() != self._shapes.keys():
            got = ", ".join(map(str, given)) if isinstance(given, Mapping) else type(given).__name__
            raise FallbackError(f"the fallback gives {got}", hint=hint)
        row = {}
        for name, array in self._shapes.items():
            dtype = object if name == "label" else np.float64
            try:
                value = np.asarray(given[name], dtype=dtype)
            except (TypeError, ValueError) as error:
                raise FallbackError(f"the fallback's {name} is {given[name]!r}", hint=hint) from error
            if value.shape != array.shape[1:]:
                raise FallbackError(f"the fallback's {name} has shape {list(value.shape)}", hint=hint)
            row[name] = value
        _, breaches = self._check.check({name: value[np.newaxis] for name, value in row.items()}, 1)
        if breaches:
            raise FallbackError(f"the fallback's {breaches[0].message}", hint=hint)
        return {name: value.item() if value.ndim == 0 else value for name, value in row.items()}


def _common(given: NDArray[Any], rows: Sequence[Any]) -> Any:
    """A dtype for answers and stand-ins together: NaN needs a float, None an object."""
    if given.dtype.kind == "f":
        return given.dtype
    if any(value is None for value in rows) or given.dtype.kind == "O":
        return object
    return np.result_type(given.dtype, *(np.asarray(value).dtype for value in rows[:1]))
