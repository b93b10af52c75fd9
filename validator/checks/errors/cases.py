"""A wrong input, and which answers to it are right all the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from validator.outputs import Outputs, same
from validator.runtimes.runtime import Runtime
from validator.sandbox.worker_pool import Raised
from validator.table import Table

#: How a scenario ended, the worst first.
OutcomeKind = Literal["crash", "wrong", "silent", "unnamed", "uneven", "declared", "named", "inapplicable"]
Ending = tuple[OutcomeKind, str]
Ask = Callable[[Table], Outputs]
#: Says how an answer is to be taken; `ask` asks the same method of the same runtime once more.
Rule = Callable[[Outputs, Ask], Ending]

#: How far a value may be from the same row's in a small batch, relative to its size: another path through BLAS.
_TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Case:
    """One input. `method` is the role of the method that is asked, empty for the usual one.

    An error passes. On a runtime that promises to name what is wrong it must hold one of `mentions`, if any.
    """

    given: Any
    rule: Rule
    method: str = ""
    mentions: tuple[str, ...] = ()

    def ask(self, runtime: Runtime) -> Outputs:
        if isinstance(self.given, Table):
            return runtime.predict(self.given, self.method)
        return runtime.predict_array(self.given)


@dataclass(frozen=True, kw_only=True)
class EachFeature:
    """One good row, with `value` in one of the features `names` after the other.

    For those that are `allowed`, as `declared` says, any finite answer is right.
    """

    row: Table
    names: tuple[str, ...]
    value: str
    allowed: frozenset[str]
    declared: str
    method: str = ""

    def ask(self, runtime: Runtime) -> list[Ending | Raised]:
        """For each feature the error, or how its answer is to be taken."""
        answers = runtime.spoil_each(self.row, self.names, self.value, self.method)
        return [
            answer if isinstance(answer, Raised) else self._taken(name, is_finite=answer)
            for name, answer in zip(self.names, answers, strict=True)
        ]

    def _taken(self, name: str, *, is_finite: bool) -> Ending:
        if is_finite and name in self.allowed:
            return "declared", self.declared
        shown = {"nan": "NaN", "none": "None"}.get(self.value, self.value)
        wrong = f"answers {shown} in {name!r} as if training had seen it"
        return "silent", wrong if is_finite else f"{wrong}, and the answer holds NaN or Inf"


def by_each_method(
    runtime: Runtime,
    table: Table,
    rule: Rule,
    *,
    mentions: Sequence[str] = (),
    without: str = "",
) -> list[Case]:
    """The table given to every method that the runtime has, but for the role `without`."""
    roles = [role for role in runtime.methods if role != without] or [""]
    return [Case(given=table, rule=rule, method=role, mentions=tuple(mentions)) for role in roles]


def array_case(array: Any, rule: Rule) -> Case:
    return Case(given=array, rule=rule)


def never(wrong: str) -> Rule:
    """No answer is right. `wrong` says what the runtime did."""
    return lambda answer, _: ("silent", _told(wrong, answer))


def rows(count: int, wrong: str) -> Rule:
    """So many answers are right."""

    def judge(answer: Outputs, _: Ask) -> Ending:
        if len(answer) == count:
            return "declared", f"{count} rows in, {count} answers out"
        return "silent", _told(wrong, answer)

    return judge


def same_as(tables: Sequence[Table], declared: str, wrong: str) -> Rule:
    """The answer to each of these tables is right, if it is the same for all of them."""

    def judge(answer: Outputs, ask: Ask) -> Ending:
        if all(same(answer, ask(table)) for table in tables):
            return "declared", declared
        return "silent", _told(wrong, answer)

    return judge


def repeated(small: Table, count: int) -> Rule:
    """`count` answers are right that are those to `small` over and over."""

    def judge(answer: Outputs, ask: Ask) -> Ending:
        import numpy as np

        if len(answer) != count:
            return "wrong", f"{count} rows in one batch gave {len(answer)} answers"
        few = ask(small).present
        for name, array in answer.present.items():
            if name not in few or len(few[name]) != len(small):
                return "wrong", f"{len(small)} rows gave {len(few.get(name, ()))} {name}"
            expected = few[name][np.arange(count) % len(small)]
            if not _close(array, expected):
                return "wrong", f"{count} rows in one batch give other {name} than {len(small)} rows do"
        return "declared", f"{count} rows in one batch are answered as {len(small)} rows are"

    return judge


def _close(array: Any, expected: Any) -> bool:
    import numpy as np

    if array.shape != expected.shape:
        return False
    if array.dtype.kind != "f":
        return bool(np.array_equal(array, expected))
    return bool(np.allclose(array, expected, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True))


def _told(wrong: str, answer: Outputs) -> str:
    return wrong if answer.is_finite else f"{wrong}, and the answer holds NaN or Inf"
