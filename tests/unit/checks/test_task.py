"""What a model does is its own to say: being told otherwise must not switch off a classifier's checks."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from validator.checks.load.model import agreed_task
from validator.errors import SettingsError


def _settings(task: str, contract: str | None = None) -> Any:
    return SimpleNamespace(task=task, contract=SimpleNamespace(task=contract))


@pytest.mark.parametrize(
    ("told", "own", "agreed"),
    [
        ("auto", "binary", "binary"),
        ("auto", "unknown", "unknown"),
        ("ranking", "regression", "ranking"),
        ("regression", "unknown", "regression"),
        ("multiclass", "binary", "multiclass"),
    ],
)
def test_a_task_is_told_where_the_model_leaves_it_open(told: str, own: Any, agreed: str) -> None:
    assert agreed_task(_settings(told), own, "Model") == agreed


@pytest.mark.parametrize(("told", "contract"), [("regression", None), ("auto", "ranking")])
def test_a_classifier_is_not_told_to_be_something_else(told: str, contract: str | None) -> None:
    with pytest.raises(SettingsError, match="the LGBMClassifier is a classifier"):
        agreed_task(_settings(told, contract), "binary", "LGBMClassifier")


@pytest.mark.parametrize("own", ["regression", "ranking", "outlier"])
def test_what_gives_no_labels_is_not_told_to_be_a_classifier(own: Any) -> None:
    with pytest.raises(SettingsError, match=f"gives no class labels or probabilities \\({own}\\)"):
        agreed_task(_settings("binary"), own, "LGBMRegressor")
