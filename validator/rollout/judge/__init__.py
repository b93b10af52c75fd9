"""The judge of a rollout: a pure function from windows of counts to a verdict with its evidence."""

from validator.rollout.judge.verdict import MetricVerdict, Verdict, judge
from validator.rollout.judge.windows import Counts, Metric, Outcome, Rule, StageKind, Window

__all__ = ["Counts", "Metric", "MetricVerdict", "Outcome", "Rule", "StageKind", "Verdict", "Window", "judge"]
