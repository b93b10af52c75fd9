"""What the conversion stage says of hazards: refused ones block, repaired and noted ones do not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from validator.checks.check import result
from validator.checks.convert import _judge_hazards, _refuse_booster
from validator.errors import ConversionError
from validator.results import Hazard


def hazard(action):
    return Hazard(id="half-moved-thresholds", action=action, message=f"thresholds moved, {action}")


def judged(*actions):
    """The check `convert.hazards` on hazards that ended so."""
    return result("convert.hazards", "", _judge_hazards(tuple(hazard(action) for action in actions)))


def test_a_hazard_that_is_refused_fails():
    found = judged("repaired", "refused")
    assert found.status == "fail"
    assert found.message == "thresholds moved, refused"
    assert found.hint


@pytest.mark.parametrize(("actions", "status"), [((), "pass"), (("repaired",), "pass"), (("noted",), "warn")])
def test_others_do_not(actions, status):
    assert judged(*actions).status == status


def _refuse(framework: str, header: dict[str, Any]) -> None:
    _refuse_booster(framework, SimpleNamespace(header=header))


def test_a_booster_that_is_not_expressed_is_refused_for_the_reason_that_was_found():
    header = {
        "kind": "other",
        "reason": "the CatBoost model has text features",
        "hint": "turn them into numbers",
    }
    with pytest.raises(ConversionError, match="has text features") as caught:
        _refuse("catboost", header)
    assert caught.value.hint == "turn them into numbers"
    _refuse("sklearn", header)
