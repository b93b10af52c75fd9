"""Columns that are looked at together end as those that are looked at one by one: same answers, same errors.

The oracle is the way by columns, to which every column of every call is taken when the short ways are closed.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.serving.conftest import features, logistic_graph
from validator.results import FeatureSpec
from validator.serving import DeploymentError, deployment, intake, session

NAMES = [f"f{i}" for i in range(10)]
SPECS = (
    *features(*NAMES[:5]),
    *features(*NAMES[5:7], missing=True),
    FeatureSpec(name="f7", dtype="float64", minimum=-1.0, maximum=2.0, fixed_range=True),
    FeatureSpec(name="f8", dtype="float64", minimum=0.0),
    FeatureSpec(name="f9", dtype="int64"),
)
ALL_FLOAT = (*SPECS[:8], *features("f8", "f9"))
PLAIN = tuple(features(*NAMES))
VALUES = st.sampled_from(
    [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, 3.0, 1e-320, 1e300, 2.0**53, np.nan, np.inf, -np.inf]
)
ORDINARY = st.sampled_from([0.0, 0.5, 1.0, 2.0])
FORMS = {
    "float64": lambda held: np.array(held),
    "float32": lambda held: np.array(held, dtype=np.float32),
    "float16": lambda held: np.array(held, dtype=np.float16),
    "longdouble": lambda held: np.array(held, dtype=np.longdouble),
    "big-endian": lambda held: np.array(held, dtype=">f8"),
    "int64": lambda held: np.nan_to_num(np.array(held), posinf=7, neginf=-7).clip(-9, 9).astype(np.int64),
    "bool": lambda held: np.array(held) > 0,
    "object": lambda held: np.array([None if value != value else value for value in held], dtype=object),
    "text": lambda held: np.array([str(value) for value in held]),
    "list": lambda held: list(held),
    "tuple": lambda held: tuple(held),
    "column": lambda held: np.array(held).reshape(-1, 1),
    "matrix": lambda held: np.array([held, held]),
    "scalar": lambda held: np.float64(1.0),
    "strided": lambda held: np.repeat(np.array(held), 2)[::2],
    "masked": lambda held: np.ma.masked_greater(np.array(held), 1.5),
    "subclass": lambda held: np.array(held).view(np.recarray),
    "series": lambda held: pd.Series(held),
}  # fmt: skip


def mostly(usual: Any, others: list[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(lambda n: st.just(usual) if n else st.sampled_from(others))


@st.composite
def calls(draw: st.DrawFn) -> dict[Any, Any]:
    rows = draw(mostly(draw(st.sampled_from([1, 2])), [0, 3]))
    usual = draw(mostly(draw(st.sampled_from(["float64", "list"])), list(FORMS)))
    found: dict[Any, Any] = {}
    for name in draw(mostly(NAMES, [NAMES[::-1], NAMES[1:], [*NAMES[:-1], "g"], [*NAMES, "g"], []])):
        values = draw(mostly(ORDINARY, [VALUES]))
        height = draw(mostly(rows, [1]))
        held = draw(st.lists(values, min_size=height, max_size=height))
        with np.errstate(over="ignore"):
            found[name] = FORMS[draw(mostly(usual, list(FORMS)))](held)
    return found


class _Closed:
    def sound(self, columns: Any) -> dict[str, Any]:
        return {}


def ending(served: Any, data: Any) -> Any:
    """The answer, or the error with its message and hint, in a form that compares NaN and types too."""
    try:
        found = served.predict(data)
    except DeploymentError as error:
        return type(error).__name__, error.message, error.hint, error.features
    parts = {
        name: (str(array.dtype), array.shape, array.tobytes() if array.dtype != object else array.tolist())
        for name in ("label", "probabilities")
        if (array := getattr(found, name)) is not None
    }
    return repr(parts), found.valid.tolist(), repr(found.problems)


@pytest.fixture(scope="module")
def pairs(serve):
    """Deployments, and such as look at every column by itself."""

    def make(specs: Any, **options: Any) -> tuple[Any, Any]:
        graph = logistic_graph(width=10, double=options.pop("double", True))
        open_, closed = (serve(graph, specs, **options) for _ in range(2))
        closed._guard._model._together = _Closed()
        return open_, closed

    return [
        make(SPECS),
        make(SPECS, on_invalid="flag"),
        make(SPECS, on_range="flag", on_invalid="flag", extra="ignore"),
        make(ALL_FLOAT),
        make(ALL_FLOAT, double=False),
        make(ALL_FLOAT, on_range="ignore", on_invalid="flag"),
        make(PLAIN),
        make(PLAIN, on_invalid="flag"),
        make(PLAIN, double=False, on_invalid="flag"),
    ]


@pytest.mark.parametrize("which", range(9))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(data=calls())
def test_every_call_ends_as_it_does_column_by_column(pairs, which, data):
    served, closed = pairs[which]
    with patch.object(deployment, "uniform_matrix", lambda data, names: None):
        expected = ending(closed, data)
    assert ending(served, data) == expected


def test_the_short_ways_are_taken_and_many_rows_are_not_copied(pairs, monkeypatch):
    served, _ = pairs[3]
    data = {name: np.full(3, 0.5) for name in NAMES}
    assert served._guard._model._together.sound(data).keys() == set(NAMES)
    assert intake.uniform_matrix(data, NAMES).flags.c_contiguous
    data["f0"] = np.array([1.0, np.nan, 1.0])
    assert served._guard._model._together.sound(data).keys() == set(NAMES[1:])
    assert served._guard._model._together.sound({name: [0.5] for name in NAMES}).keys() == set(NAMES)
    assert served._guard._model._together.sound({name: [1] for name in NAMES}) == {}
    long = {name: np.zeros(session.MANY_ROWS + 1) for name in NAMES}
    assert served._guard._model._together.sound(long) == {}
    assert intake.uniform_matrix(long, NAMES) is None


def test_what_the_caller_gave_is_not_changed_and_not_kept(pairs):
    served, _ = pairs[3]
    data = {name: np.full(2, 0.5) for name in NAMES}
    first = served.predict(data).probabilities.copy()
    for values in data.values():
        values[:] = 9.0
    assert np.array_equal(served.predict({name: np.full(2, 0.5) for name in NAMES}).probabilities, first)
