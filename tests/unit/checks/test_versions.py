"""Which recorded versions count as those that are here."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from validator.checks.load.environment import Installed
from validator.checks.load.versions import _remedy, mismatch
from validator.environments import interpreter
from validator.libraries.known import package_and_version


def _mismatch(recorded: dict[str, str], **here: str) -> str:
    versions = {name.replace("_", "-"): version for name, version in here.items()}
    return mismatch(recorded, Installed(python=interpreter.own(), versions=versions, failed={}))


@pytest.mark.parametrize(
    ("recorded", "here"),
    [
        ({"scikit-learn": "1.2.2"}, {"scikit_learn": "1.2.0"}),
        ({"xgboost": "3.0.1"}, {"xgboost_cpu": "3.0.5"}),
        ({"lightgbm model text": "v4"}, {"lightgbm": "4.7.0"}),
        ({"lightgbm model text": "v3"}, {"lightgbm": "3.3.5"}),
        ({"skops": "0.10"}, {"skops": "0.13.0"}),
        ({"scikit-learn": "1.2.2"}, {}),
        ({}, {"scikit_learn": "1.2.0"}),
    ],
)
def test_versions_that_go_together(recorded, here):
    assert _mismatch(recorded, **here) == ""


@pytest.mark.parametrize(
    ("recorded", "here", "said"),
    [
        ({"scikit-learn": "1.0.2"}, {"scikit_learn": "1.9.1"}, "saved with scikit-learn 1.0.2 (here 1.9.1)"),
        ({"xgboost": "1.7.6"}, {"xgboost_cpu": "3.2.0"}, "saved with xgboost 1.7.6 (here 3.2.0)"),
        (
            {"lightgbm model text": "v3", "scikit-learn": "1.0.2"},
            {"lightgbm": "4.7.0", "scikit_learn": "1.0.1"},
            "saved with lightgbm before 4.0 (model text v3) (here 4.7.0)",
        ),
        (
            {"lightgbm model text": "v4"},
            {"lightgbm": "3.3.5"},
            "saved with lightgbm 4.0 or later (model text v4) (here 3.3.5)",
        ),
        ({"skops": "0.14"}, {"skops": "0.13.0"}, "saved with skops 0.14 (here 0.13.0)"),
    ],
)
def test_versions_that_do_not(recorded, here, said):
    assert _mismatch(recorded, **here) == said


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (("lightgbm model text", "v4"), ("lightgbm", "4.0 or later (model text v4)")),
        (("lightgbm model text", "v3"), ("lightgbm", "before 4.0 (model text v3)")),
        (("lightgbm model text", "v9"), ("lightgbm", "of an unknown release (model text v9)")),
        (("scikit-learn", "1.9.1"), ("scikit-learn", "1.9.1")),
    ],
)
def test_a_format_is_not_shown_as_a_package(recorded, shown):
    assert package_and_version(*recorded) == shown


def test_a_release_that_nobody_knows_is_no_requirement() -> None:
    context = SimpleNamespace(
        file=SimpleNamespace(format="lightgbm-text"), settings=SimpleNamespace(requirements=(), python=None)
    )
    assert "requirements" not in _remedy(context, {"lightgbm model text": "v9"})
    assert 'requirements = ["lightgbm==3.3.5"]' in _remedy(context, {"lightgbm model text": "v3"})
