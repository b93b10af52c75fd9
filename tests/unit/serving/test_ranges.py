"""Numbers outside a feature's range: refused where it was promised, and as the caller says elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from validator.results import FeatureSpec
from validator.serving import Deployment, MissingValueError, OptionError, OutOfRangeError

Serve = Callable[..., Deployment]
NAMES = ("f0", "f1", "f2", "f3")


def specs(*, fixed: bool) -> list[FeatureSpec]:
    return [
        FeatureSpec(name=name, dtype="float64", minimum=-1.0, maximum=3.0, fixed_range=fixed)
        for name in NAMES
    ]


@pytest.fixture
def outside(row: Mapping[str, float]) -> dict[str, float]:
    return {**row, "f1": 500.0}


def ways(rows: list[dict[str, float]]) -> list[tuple[str, Any]]:
    matrix = np.array([[row[name] for name in NAMES] for row in rows])
    return [
        ("predict_batch", rows),
        ("predict", matrix),
        ("predict", pd.DataFrame(rows)),
        ("predict", {name: matrix[:, i] for i, name in enumerate(NAMES)}),
    ]


def test_a_range_that_was_fixed_is_kept_in_every_way(serve: Serve, row: Any, outside: Any) -> None:
    deployment = serve(specs=specs(fixed=True))
    assert deployment.predict_single(row).valid
    with pytest.raises(OutOfRangeError, match=r"'f1' holds 500\.0, outside of -1 to 3"):
        deployment.predict_single(outside)
    with pytest.raises(OutOfRangeError, match="'f1'"):
        deployment.predict_single({**row, "f1": 500})
    for rows in ([outside], [row, outside, row]):
        for method, data in ways(rows):
            with pytest.raises(OutOfRangeError, match="'f1'"):
                getattr(deployment, method)(data)
    edge = {**row, "f1": 3.0, "f2": -1.0}
    assert deployment.predict_single(edge).valid


def test_a_range_that_was_seen_is_ignored_unless_the_caller_says_otherwise(
    serve: Serve, outside: Any
) -> None:
    assert serve(specs=specs(fixed=False)).predict_single(outside).valid
    with pytest.raises(OutOfRangeError):
        serve(specs=specs(fixed=False), on_range="refuse").predict_single(outside)
    assert serve(specs=specs(fixed=True), on_range="ignore").predict_single(outside).valid


def test_flagged_rows_are_answered_and_marked(serve: Serve, row: Any, outside: Any) -> None:
    plain, flagging = serve(), serve(specs=specs(fixed=False), on_range="flag")
    for method, data in ways([row, outside, row]):
        found = getattr(flagging, method)(data)
        assert found.valid.tolist() == [True, False, True]
        assert found.problems[0].error == "OutOfRangeError"
        np.testing.assert_array_equal(found.probabilities, getattr(plain, method)(data).probabilities)
    one = flagging.predict_single(outside)
    assert (one.valid, one.probabilities) == (False, plain.predict_single(outside).probabilities)
    assert flagging.counts()["flagged"] == 5


def test_a_missing_value_is_not_out_of_range(serve: Serve, row: Any) -> None:
    with pytest.raises(MissingValueError):
        serve(specs=specs(fixed=True)).predict_single({**row, "f1": None})


def test_another_word_is_refused(serve: Serve) -> None:
    with pytest.raises(OptionError, match="on_range is 'drop'"):
        serve(on_range="drop")
