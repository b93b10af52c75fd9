"""Sorted rows are answered by the same bits as unsorted ones, and are sorted only where that is certain."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import lightgbm as lgb
import numpy as np
import onnxruntime
import pytest

from validator import onnx_runtime, row_order
from validator.libraries.convert import convert_trees
from validator.libraries.export import export
from validator.libraries.read import read

RANDOM = np.random.default_rng(5)
TRAINED_ON = RANDOM.normal(size=(2_000, 6))
MANY = row_order.LEAST_ROWS


def trees(kind: Any, trees: int, classes: int) -> bytes:
    score = TRAINED_ON[:, 4] + TRAINED_ON[:, 1] * TRAINED_ON[:, 2]
    target = (
        score
        if classes == 0
        else np.digitize(score, np.quantile(score, np.linspace(0, 1, classes + 1)[1:-1]))
    )
    model = kind(n_estimators=trees, num_leaves=15, verbosity=-1, n_jobs=1).fit(TRAINED_ON, target)
    return convert_trees(read(*export(model))).data


@pytest.fixture(scope="module", params=["binary", "three classes", "regression"])
def session(request: pytest.FixtureRequest) -> Any:
    kind, count, classes = {
        "binary": (lgb.LGBMClassifier, 60, 2),
        "three classes": (lgb.LGBMClassifier, 20, 3),
        "regression": (lgb.LGBMRegressor, 60, 0),
    }[request.param]
    return onnx_runtime.open_session(trees(kind, count, classes), threads=1)


@pytest.mark.parametrize("count", [MANY, MANY + 1, MANY + 63, MANY + 71])
def test_the_answers_are_the_same_bits_in_the_same_places(session: Any, count: int) -> None:
    features = row_order.features_of(session)
    assert len(set(features)) == 3
    rows = RANDOM.normal(size=(count, 6))
    rows[::7, features[0]] = np.nan
    rows[::11, features[1]] = -0.0
    given: list[Any] = []

    def run(table: Any) -> list[Any]:
        given.append(table)
        found: list[Any] = session.run(None, {"features": table})
        return found

    answers = row_order.run_sorted(run, rows, features)
    assert not np.array_equal(given[0], rows, equal_nan=True)
    for one, other in zip(answers, session.run(None, {"features": rows}), strict=True):
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes()


def test_neighbours_agree_in_all_three_features() -> None:
    rows = RANDOM.normal(size=(MANY, 6))
    seen: list[Any] = []
    row_order.run_sorted(lambda table: seen.append(table) or [table], rows, (0, 3, 5))
    for feature in (0, 3, 5):
        assert np.abs(np.diff(seen[0][:, feature])).mean() < 0.3 * np.abs(np.diff(rows[:, feature])).mean()


def test_few_rows_are_given_as_they_are() -> None:
    rows = RANDOM.normal(size=(MANY - 1, 6))
    assert row_order.run_sorted(lambda table: [table], rows, (0, 1, 2))[0] is rows


def test_all_rows_alike_and_all_missing_are_answered() -> None:
    for value in (1.0, np.nan, np.inf):
        rows = np.full((MANY, 3), value)
        (found,) = row_order.run_sorted(lambda table: [table[:, 0]], rows, (0, 1, 2))
        assert np.array_equal(found, rows[:, 0], equal_nan=True)


def session_of(told: str, *, threads: int = 1, width: Any = 6, provider: str = "CPUExecutionProvider") -> Any:
    return SimpleNamespace(
        get_modelmeta=lambda: SimpleNamespace(custom_metadata_map={row_order.KEY: told} if told else {}),
        get_inputs=lambda: [SimpleNamespace(shape=["N", width])],
        get_session_options=lambda: SimpleNamespace(intra_op_num_threads=threads),
        get_providers=lambda: [provider],
    )


@pytest.mark.parametrize(
    ("told", "options", "expected"),
    [
        ("4,1,2", {}, (4, 1, 2)),
        ("", {}, ()),
        ("4,1", {}, ()),
        ("4,1,6", {}, ()),
        ("4,-1,2", {}, ()),
        ("4,1,2,0", {}, ()),
        ("4,1,٢", {}, ()),
        ("4,1," + "9" * 5_000, {}, ()),
        ("4,1,2", {"threads": 2}, ()),
        ("4,1,2", {"threads": 0}, ()),
        ("4,1,2", {"width": "F"}, ()),
        ("4,1,2", {"provider": "CUDAExecutionProvider"}, ()),
    ],
)
def test_a_hint_is_taken_only_where_it_is_whole_and_bits_cannot_change(
    told: str, options: dict[str, Any], expected: tuple[int, ...]
) -> None:
    assert row_order.features_of(session_of(told, **options)) == expected


def test_few_trees_carry_no_hint() -> None:
    data = trees(lgb.LGBMClassifier, row_order.LEAST_TREES - 1, 2)
    assert row_order.features_of(onnxruntime.InferenceSession(data)) == ()
