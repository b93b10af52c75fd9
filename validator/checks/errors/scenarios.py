"""The scenarios of the error suite: wrong inputs made from good rows, and which answers would be right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from validator.checks.check import Subject
from validator.checks.errors import values
from validator.checks.errors.cases import (
    Case,
    EachFeature,
    Ending,
    array_case,
    by_each_method,
    never,
    repeated,
    rows,
    same_as,
)
from validator.outputs import concatenate, same
from validator.runtimes.runtime import Runtime
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table

_ROWS = 5
_THREADS = 8
_CROWD_ROWS = 64
_SMALL_ROWS = 1_000
#: A prime: no chunk divides it.
_LARGE_ROWS = 20_011
_LARGE_VALUES = 2_000_000

#: Names under which pandas leaves a frame's labels as its first column, and one of ours.
_LABELS = ("index", "Unnamed: 0")
_SURPLUS = ("preflight_extra", *_LABELS)

Maker = Callable[[Subject, Runtime], "Sequence[Case | EachFeature] | str"]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """`cases` makes the inputs, or says why the scenario has no meaning; `broken` names a broken model file; `trial`
    is tried as a whole. `uneven` says what it means where a method refuses some of the inputs and answers others.
    """

    id: str
    cases: Maker = lambda subject, runtime: ()
    broken: str = ""
    trial: Callable[[Subject, Runtime], Ending] | None = None
    uneven: str = ""


def _wrong_names(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    few = subject.head(_ROWS)
    wrong = Table(tuple(c.renamed(f"wrong_{i}") for i, c in enumerate(few.columns)), len(few))
    rule = never("answers rows in which no feature has its name")
    return by_each_method(runtime, wrong, rule, mentions=(*few.names, *map(_as_keyword, wrong.names)))


def _misspelt_name(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    few = subject.head(_ROWS)
    right = few.columns[0]
    misspelt = Table((right.renamed(misspell(right.name, few.names)), *few.columns[1:]), len(few))
    rule = never(f"answers rows in which {right.name!r} is misspelt")
    given = misspelt.columns[0].name
    return by_each_method(runtime, misspelt, rule, mentions=(right.name, _as_keyword(given)))


def _as_keyword(name: str) -> str:
    """How Python itself names what was given wrongly, where a wrapper takes its features as keywords."""
    return f"unexpected keyword argument {name!r}"


def misspell(name: str, taken: Sequence[str]) -> str:
    """The name without its middle letter, or with one more where that is too short or another feature's."""
    middle = len(name) // 2
    wrong = name[:middle] + name[middle + 1 :] if len(name) > 3 else f"{name}_"
    while wrong in taken:
        wrong += "_"
    return wrong


def _missing_features(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    few = subject.head(_ROWS)
    if len(few.columns) < 2:
        return "the model has one feature only"
    name = few.columns[-1].name
    lacking = Table(few.columns[:-1], len(few))
    return by_each_method(runtime, lacking, never(f"answers rows without {name!r}"), mentions=(name,))


def _extra_features(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    import numpy as np

    few = subject.head(_ROWS)
    rule = same_as(
        [few],
        "the surplus column is left out by name",
        "answers rows with a feature too many, and differently",
    )
    cases: list[Case] = []
    for name in _SURPLUS:
        if name not in few.names:
            surplus = Column(name, np.arange(len(few), dtype=np.float64))
            columns = (surplus, *few.columns) if name in _LABELS else (*few.columns, surplus)
            cases += by_each_method(runtime, Table(columns, len(few)), rule)
    return cases


def _reordered(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    few = subject.head(_ROWS)
    if len(few.columns) < 2:
        return "the model has one feature only"
    backwards = Table(tuple(reversed(few.columns)), len(few))
    rule = same_as(
        [few],
        "columns are taken by name, whatever their order",
        "takes the columns by position, so that reordered columns give other answers",
    )
    return by_each_method(runtime, backwards, rule)


def _empty(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    if list(runtime.methods) == ["single"]:
        return "the wrapper takes one row at a time"
    return by_each_method(
        runtime, subject.head(0), rows(0, "answers rows that nobody gave"), without="single"
    )


def _wrong_rank(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    import numpy as np

    count = len(subject.rows.columns)
    kind = subject.rows.matrix().dtype if subject.rows.is_numeric else np.dtype(np.float64)
    return [
        array_case(np.zeros(count, dtype=kind), never("answers a vector where a matrix belongs")),
        array_case(np.zeros((2, count, 2), dtype=kind), never("answers an array of rank three")),
    ]


def _large_batch(subject: Subject, runtime: Runtime) -> Sequence[Case] | str:
    import numpy as np

    count = min(_LARGE_ROWS, max(_SMALL_ROWS, _LARGE_VALUES // max(1, len(subject.rows.columns)) | 1))
    count = min(count, runtime.rows_at_once or count)
    small = subject.head(min(_SMALL_ROWS, count))
    large = small.take(np.arange(count) % len(small))
    return [Case(given=large, rule=repeated(small, count))]


def _many_threads(subject: Subject, runtime: Runtime) -> Ending:
    """Right calls from as many threads as wrong ones: each must be answered as if it were alone."""
    import numpy as np

    if len(subject.rows.columns) < 2:
        return "inapplicable", "the model has one feature only"
    crowd = subject.rows.take(np.arange(_CROWD_ROWS) % len(subject.rows))
    share = _CROWD_ROWS // _THREADS
    shares = [crowd.take(slice(at, at + share)) for at in range(0, _CROWD_ROWS, share)]
    alone = concatenate([runtime.predict(part) for part in shares])
    try:
        together, errors = runtime.crowd(crowd, _THREADS)
    except Raised as error:
        return "wrong", f"a right call beside wrong ones fails: {error.said[:200]}"
    if not same(alone, together):
        return "wrong", "a right call beside wrong ones is answered otherwise than alone"
    if not all(errors):
        return "silent", f"answers rows without {crowd.names[-1]!r} beside right ones"
    return "named", f"{_THREADS} right calls are answered as alone, {_THREADS} wrong ones end in {errors[0]}"


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(id="errors.missing_file", broken="missing"),
    Scenario(id="errors.truncated_file", broken="truncated"),
    Scenario(id="errors.corrupted_file", broken="corrupted"),
    Scenario(id="errors.wrong_names", cases=_wrong_names),
    Scenario(id="errors.missing_features", cases=_missing_features),
    Scenario(id="errors.misspelt_name", cases=_misspelt_name),
    Scenario(
        id="errors.extra_features",
        cases=_extra_features,
        uneven="leaves out some surplus columns without a word, and refuses others",
    ),
    Scenario(id="errors.reordered_features", cases=_reordered),
    Scenario(id="errors.nan", cases=values.nan),
    Scenario(id="errors.inf", cases=values.inf),
    Scenario(id="errors.none", cases=values.none),
    Scenario(id="errors.wrong_dtype", cases=values.wrong_dtype),
    Scenario(id="errors.text", cases=values.text),
    Scenario(id="errors.huge_integer", cases=values.huge_integer),
    Scenario(id="errors.empty_batch", cases=_empty),
    Scenario(id="errors.wrong_rank", cases=_wrong_rank),
    Scenario(id="errors.unseen_category", cases=values.unseen_category),
    Scenario(id="errors.odd_category", cases=values.odd_category),
    Scenario(id="errors.large_batch", cases=_large_batch),
    Scenario(id="errors.many_threads", trial=_many_threads),
)
