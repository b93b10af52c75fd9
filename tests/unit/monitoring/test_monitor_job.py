"""The issue of a model that is due: opened, kept, closed again, and apart from the one about drift."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.test_quality import column, seen
from validator.cli import monitor_job
from validator.github.issue import marker
from validator.monitoring import maintenance


@pytest.mark.parametrize(
    ("features", "wanted"), [((column("a", psi=0.5),), "open"), ((column("a"),), "as it is")]
)
def test_what_the_issue_is_to_become(
    features: tuple[Any, ...], wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    def keep(api: object, repository: str, **more: Any) -> tuple[str, str]:
        asked.append(more)
        return "opened", "https://github.com/o/r/issues/1"

    monkeypatch.setattr("validator.github.issue.keep_issue", keep)
    environ = {
        "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "o/r", "GITHUB_SHA": "a" * 40, "GITHUB_RUN_ID": "1",
        "GITHUB_SERVER_URL": "https://github.com", "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_EVENT_NAME": "schedule", "GITHUB_TOKEN": "t",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary"), "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
    }  # fmt: skip
    (tmp_path / "event.json").write_text("{}")
    one = maintenance.judge(seen(*features), None, retrain_after_days=90)
    log = io.StringIO()
    monitor_job.tell(one, maintenance.markdown(one), environ, log)
    assert asked, log.getvalue()
    assert asked[0]["wanted"] == wanted
    assert asked[0]["kind"] == "maintenance"
    assert "churn" in (tmp_path / "summary").read_text()


def test_both_issues_of_a_model_are_told_apart() -> None:
    assert marker("m") != marker("m", "maintenance")
    assert marker("m") == "<!-- model-preflight drift model=m -->"


def test_outside_of_github_nothing_is_told() -> None:
    one = maintenance.judge(seen(column("a", psi=0.5)), None, retrain_after_days=90)
    log = io.StringIO()
    monitor_job.tell(one, "", {}, log)
    assert log.getvalue() == ""
