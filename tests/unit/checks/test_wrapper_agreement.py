"""A wrapper's answers against its model's: legitimate post-processing is recognised, everything else is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.checks.wrapper.agreement import agreement
from validator.outputs import Outputs

P = np.random.default_rng(1).uniform(0.01, 0.99, 400)
BOTH = np.column_stack([1 - P, P])
LABEL = (P >= 0.5).astype(np.int64)
MODEL = Outputs(label=LABEL, probabilities=BOTH)
REGRESSION = Outputs(prediction=np.random.default_rng(2).normal(size=400) * 30)


def read(wrapper: Outputs, model: Outputs = MODEL, classes: Any = (0, 1)) -> Any:
    (found,) = agreement(model, wrapper, classes)
    return found


HONEST: dict[str, tuple[Outputs, str]] = {
    "both probabilities": (Outputs(probabilities=BOTH), "the model's probabilities"),
    "float32": (
        Outputs(probabilities=BOTH.astype(np.float32).astype(np.float64)),
        "the model's probabilities",
    ),
    "the second's": (Outputs(score=P), "probability of the second class"),
    "the label": (Outputs(label=LABEL), "the model's label"),
    "a truth value": (Outputs(label=LABEL.astype(bool)), "the model's label"),
    "a scorecard": (Outputs(score=np.round(300 + 550 * P)), "a rising function"),
    "log odds": (Outputs(score=np.log(P / (1 - P))), "a rising function"),
    "calibrated": (Outputs(probabilities=np.column_stack([1 - P**2, P**2])), "a rising function"),
    "a decision": (Outputs(label=np.where(P >= 0.5, "approve", "deny").astype(object)), "by another name"),
    "at another threshold": (Outputs(label=np.where(P >= 0.8, "yes", "no").astype(object)), "a threshold"),
    "its own threshold": (Outputs(label=(P >= 0.7).astype(np.int64)), "a threshold of its own"),
    "three bands": (
        Outputs(label=np.select([P < 0.3, P < 0.6], ["low", "medium"], "high").astype(object)),
        "a threshold",
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_is_a_function_of_the_model_s_answer_agrees(name):
    wrapper, reading = HONEST[name]
    found = read(wrapper)
    assert found.agrees, found
    assert reading in found.reading


SHUFFLED = np.random.default_rng(3).permutation(400)
WRONG: dict[str, Outputs] = {
    "the first class for the second": Outputs(probabilities=BOTH[:, ::-1]),
    "the first class's score": Outputs(score=1 - P),
    "the other label": Outputs(label=1 - LABEL),
    "rows in another order": Outputs(probabilities=BOTH[SHUFFLED]),
    "labels in another order": Outputs(label=LABEL[SHUFFLED]),
    "decisions in another order": Outputs(label=np.where(P[SHUFFLED] >= 0.5, "yes", "no").astype(object)),
    "another model's": Outputs(score=np.clip(P + np.random.default_rng(4).normal(0, 0.1, 400), 0, 1)),
    "one answer to all": Outputs(score=np.full(400, 0.3)),
    "one label to all": Outputs(label=np.zeros(400, dtype=np.int64)),
    "NaN in a row": Outputs(score=np.where(np.arange(400) == 7, np.nan, P)),
    "a row exchanged": Outputs(score=np.where(np.arange(400) == 7, P[8], P)),
    "a shape of its own": Outputs(probabilities=np.column_stack([P, P, P])),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_none_is_found(name):
    assert not read(WRONG[name]).agrees


def test_the_row_that_differs_is_named():
    found = read(Outputs(score=np.where(np.arange(400) == 7, 0.999, P)))
    assert np.flatnonzero(found.wrong).tolist() == [7]


def test_a_regressor_s_units_may_change_and_its_sign_may_not():
    values = REGRESSION.prediction
    assert read(Outputs(prediction=values * 1.8 + 32), REGRESSION, ()).agrees
    assert read(Outputs(prediction=np.exp(values / 50)), REGRESSION, ()).agrees
    assert not read(Outputs(prediction=-values), REGRESSION, ()).agrees
    assert not read(Outputs(prediction=values**2), REGRESSION, ()).agrees


def test_several_classes_are_held_to_each_column():
    probabilities = np.random.default_rng(5).dirichlet([1, 1, 1], 200)
    model = Outputs(label=probabilities.argmax(1), probabilities=probabilities)
    assert read(Outputs(probabilities=probabilities), model, (0, 1, 2)).agrees
    assert not read(Outputs(probabilities=probabilities[:, [1, 0, 2]]), model, (0, 1, 2)).agrees
    names = np.array(["a", "b", "c"], dtype=object)[model.label]
    assert read(Outputs(label=names), model, (0, 1, 2)).agrees
    assert not read(Outputs(label=names[::-1]), model, (0, 1, 2)).agrees
    merged = np.array(["a", "b", "b"], dtype=object)[model.label]
    assert not read(Outputs(label=merged), model, (0, 1, 2)).agrees


@given(st.lists(st.floats(0, 1, width=32), min_size=2, max_size=60), st.floats(0.1, 5), st.floats(-3, 3))
def test_any_rising_line_agrees_and_a_permuted_one_does_not(values, slope, shift):
    p = np.array(values)
    model = Outputs(label=(p >= 0.5).astype(np.int64), probabilities=np.column_stack([1 - p, p]))
    if len(set(values)) > 1:
        assert read(Outputs(score=p * slope + shift), model).agrees or np.ptp(p) * slope < 1e-4
    if np.ptp(p) > 1e-3:
        assert not read(Outputs(score=-(p * slope) + shift), model).agrees or np.ptp(p) * slope < 1e-3
