"""What the conversion stage says of hazards: refused ones block, repaired and noted ones do not."""

from __future__ import annotations

import pytest

from validator.results import Hazard
from validator.stages.conversion import _judge_hazards
from validator.suites.common import result


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
