"""Verdicts on quality: limits, and losses against the base version with their three readings."""

from __future__ import annotations

import pytest

from validator.checks.quality.judging import judge_base, judge_limits, without_base
from validator.results import MetricResult


def metric(
    name: str, value: float | None, base: float | None = None, low: float | None = None,
    high: float | None = None, slice_: str = "",
) -> MetricResult:  # fmt: skip
    return MetricResult(
        name=name, slice=slice_, rows=100, value=value, base=base, difference_low=low, difference_high=high
    )


AUC = [metric("auc", 0.70, 0.75, -0.06, -0.04)]
LOSS = [metric("log_loss", 0.60, 0.55, 0.04, 0.06)]


@pytest.mark.parametrize("metrics", [AUC, LOSS])
@pytest.mark.parametrize(
    ("allowed", "status"),
    [(0.03, "fail"), (0.039, "fail"), (0.041, "warn"), (0.05, "warn"), (0.059, "warn"), (0.061, "pass")],
)
def test_beyond_the_near_end_fails_and_within_the_far_end_passes(metrics, allowed, status):
    losses = {metrics[0].name: allowed}
    assert judge_base(metrics, losses, inconclusive="estimate").status == status


def test_what_is_inconclusive_fails_where_that_was_asked_for():
    assert judge_base(AUC, {"auc": 0.05}, inconclusive="fail").status == "fail"
    assert judge_base(AUC, {"auc": 0.05}, inconclusive="warn").status == "warn"


def test_a_certain_loss_without_a_limit_warns_and_names_it():
    found = judge_base([*AUC, metric("accuracy", 0.7, 0.71, -0.03, 0.01)], {}, inconclusive="estimate")
    assert found.status == "warn"
    assert "auc" in found.message
    assert "accuracy" not in found.message


def test_a_gain_passes():
    assert (
        judge_base([metric("auc", 0.8, 0.7, 0.05, 0.15)], {"auc": 0.0}, inconclusive="fail").status == "pass"
    )


def test_the_same_model_passes_a_limit_of_nothing():
    assert judge_base([metric("auc", 0.8, 0.8, 0, 0)], {"auc": 0.0}, inconclusive="fail").status == "pass"


def test_a_metric_that_lost_its_value_is_worse():
    assert judge_base([metric("auc", None, 0.8)], {"auc": 0.5}, inconclusive="warn").status == "fail"


def test_without_an_interval_nothing_is_certain():
    assert judge_base([metric("auc", 0.8, 0.8)], {"auc": 0.5}, inconclusive="estimate").status == "warn"


def test_a_limit_on_what_was_not_measured_fails():
    found = judge_base(AUC, {"rmse": 1.0}, inconclusive="estimate")
    assert found.status == "fail"
    assert "auc" in found.hint


SLICED = [
    metric("auc", 0.75, 0.75, -0.01, 0.01),
    metric("auc", 0.60, 0.80, -0.25, -0.15, slice_="region=north"),
]


def test_a_slice_that_loses_more_than_the_whole_may_warns_and_its_own_limit_fails_it():
    whole = judge_base(SLICED, {"auc": 0.02}, inconclusive="estimate")
    assert whole.status == "warn"
    assert "region=north" in whole.message
    own = judge_base(SLICED, {"auc": 0.02, "auc[region=north]": 0.1}, inconclusive="estimate")
    assert own.status == "fail"


def test_absolute_limits_of_the_whole_and_of_a_slice():
    assert judge_limits(SLICED, {"auc": 0.7}).status == "pass"
    assert judge_limits(SLICED, {"auc": 0.7, "auc[region=north]": 0.7}).status == "fail"
    assert judge_limits(LOSS, {"log_loss": 0.5}).status == "fail"
    assert judge_limits([metric("auc", None)], {"auc": 0.1}).status == "fail"
    assert judge_limits([], {"auc": 0.1}).status == "fail"


def test_without_a_base_nothing_blocks_but_a_limit_that_cannot_be_held():
    assert without_base("none", {"auc": 0.1}, troubled=False).required is False
    assert without_base("it is refused", {}, troubled=True).status == "warn"
    assert without_base("it is refused", {"auc": 0.1}, troubled=True).status == "fail"
