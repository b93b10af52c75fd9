"""What a change does to answers and contract, batch by batch, held to the same computed at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.checks.change.behaviour import Behaviour, Measure, NotComparableError, contract_changes
from validator.outputs import Outputs
from validator.results import Contract, FeatureSpec


def contract(task: str = "binary", classes: Any = (0, 1), n_outputs: int = 1, **features: Any) -> Contract:
    specs = tuple(
        FeatureSpec(name=name, dtype=dtype)
        if isinstance(dtype, str)
        else FeatureSpec(name=name, dtype="category", categories=dtype)
        for name, dtype in (features or {"a": "float64"}).items()
    )
    return Contract(task=task, classes=classes, n_outputs=n_outputs, features=specs)


def binary(positive: Any) -> Outputs:
    positive = np.asarray(positive, dtype=float)
    return Outputs(
        label=(positive > 0.5).astype(np.int64), probabilities=np.column_stack([1 - positive, positive])
    )


def behaviour(new: Contract, old: Contract, *pairs: tuple[Outputs, Outputs]) -> Behaviour:
    found = Behaviour(measure=Measure.of(new, old))
    for candidate, base in pairs:
        found.add(candidate, base, len(candidate))
    return found


@given(st.data(), st.integers(1, 40), st.integers(1, 7))
def test_batches_do_not_matter(data, rows, batch):
    unit = st.floats(0, 1, width=16)
    new, old = (np.array(data.draw(st.lists(unit, min_size=rows, max_size=rows))) for _ in range(2))
    found = behaviour(
        contract(),
        contract(),
        *((binary(new[i : i + batch]), binary(old[i : i + batch])) for i in range(0, rows, batch)),
    )
    difference = new - old
    assert found.rows == rows
    assert found.label_changes == ((new > 0.5) != (old > 0.5)).sum()
    assert found.score_changes == (difference != 0).sum()
    assert found.quantiles["p50"] == pytest.approx(np.median(difference))
    assert found.quantiles["min"] == difference.min()
    order = np.argsort(-np.abs(difference), kind="stable")[: min(5, found.score_changes)]
    assert [abs(one.difference) for one in found.worst] == pytest.approx(np.abs(difference[order]).tolist())
    for one in found.worst:
        assert (one.candidate, one.base) == (new[one.row], old[one.row])


def test_equal_answers_change_nothing_nan_included():
    same = Outputs(prediction=np.array([1.0, np.nan, np.inf]))
    found = behaviour(contract("regression", ()), contract("regression", ()), (same, same))
    assert found.score_changes == 0
    assert found.worst == []


def test_what_is_no_number_any_more_comes_first():
    new, old = Outputs(prediction=np.array([9.0, np.nan])), Outputs(prediction=np.array([1.0, 1.0]))
    found = behaviour(contract("regression", ()), contract("regression", ()), (new, old))
    assert found.worst[0].row == 1
    assert found.quantiles["max"] == 8


def test_regression_is_in_the_targets_units():
    new, old = Outputs(prediction=np.array([10.0, 20.0])), Outputs(prediction=np.array([12.5, 20.0]))
    found = behaviour(contract("regression", ()), contract("regression", ()), (new, old))
    assert found.measure.score == "prediction"
    assert found.label_changes is None
    assert (found.worst[0].row, found.worst[0].difference) == (0, -2.5)


def test_classes_in_another_order_are_set_side_by_side_by_name():
    values = np.array([[0.2, 0.5, 0.3]])
    new = Outputs(label=np.array(["b"], dtype=object), probabilities=values)
    old = Outputs(label=np.array(["b"], dtype=object), probabilities=values[:, ::-1])
    found = behaviour(
        contract("multiclass", ("a", "b", "c")), contract("multiclass", ("c", "b", "a")), (new, old)
    )
    assert found.score_changes == 0
    assert found.label_changes == 0


def test_of_several_classes_the_one_that_moved_most_counts():
    new = Outputs(probabilities=np.array([[0.1, 0.6, 0.3]]))
    old = Outputs(probabilities=np.array([[0.2, 0.3, 0.5]]))
    three = contract("multiclass", ("a", "b", "c"))
    assert behaviour(three, three, (new, old)).worst[0].difference == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        (contract("binary"), contract("regression", ())),
        (contract(classes=("x", "y")), contract(classes=(0, 1))),
    ],
)
def test_what_has_no_common_measure_is_not_compared(new, old):
    with pytest.raises(NotComparableError):
        Measure.of(new, old)


@pytest.mark.parametrize(
    "base",
    [
        Outputs(prediction=np.zeros((2, 3))),
        Outputs(prediction=np.zeros(3)),
        Outputs(prediction=np.array(["a", "b"], dtype=object)),
        Outputs(label=np.zeros((2, 2)), prediction=np.zeros(2)),
        Outputs(label=np.zeros(2)),
    ],
)
def test_answers_of_another_form_are_not_compared(base):
    regression = contract("regression", ())
    with pytest.raises(NotComparableError):
        behaviour(regression, regression, (Outputs(prediction=np.zeros(2)), base))


def test_of_several_outputs_the_one_that_moved_most_counts():
    regression = contract("regression", ())
    new, old = Outputs(prediction=np.array([[1.0, 5.0]])), Outputs(prediction=np.array([[2.0, 9.0]]))
    assert behaviour(regression, regression, (new, old)).worst[0].difference == -4


def test_contracts_feature_by_feature():
    new = contract(a="float64", b="string", d="float64", kind=("x", "z"))
    old = contract(a="float64", b="float64", c="float64", kind=("x", "y"))
    assert contract_changes(new, old) == (
        "feature `c` is gone",
        "feature `d` is new",
        "feature `b` is string, was float64",
        "feature `kind` takes `z`",
        "feature `kind` no longer takes `y`",
    )


def test_contracts_that_are_alike_have_no_change():
    assert contract_changes(contract(), contract()) == ()


def test_features_and_classes_in_another_order_are_told():
    new = contract(classes=(1, 0), a="float64", b="float64")
    old = contract(classes=(0, 1), b="float64", a="float64")
    assert contract_changes(new, old) == (
        "the features come in another order",
        "the classes come in another order: `1`, `0`, was `0`, `1`",
    )


def test_classes_task_and_outputs():
    new, old = contract("multiclass", ("a", "b", "c"), 3), contract("binary", ("a", "b"))
    assert contract_changes(new, old) == (
        "the task is multiclass, was binary",
        "class `c` new",
        "3 outputs, was 1",
    )
