"""`drift` as a scheduled job: its inputs, what it leaves for the job, and the model's issue."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.peers.github_api_server import GitHub
from validator.cli.drift import run
from validator.cli.drift_job import from_inputs
from validator.errors import UsageError

Frame = Callable[[int, int], pd.DataFrame]


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as peer:
        yield peer


@pytest.fixture
def job(artifact: Path, github: GitHub, tmp_path: Path) -> Callable[..., Any]:
    """Run the step on some rows: its exit code, and the job's files."""

    def step(frame: pd.DataFrame, **inputs: str) -> tuple[int, str, str]:
        frame.to_parquet(tmp_path / "week.parquet", index=False)
        files = {name: tmp_path / name for name in ("output", "summary")}
        for file in files.values():
            file.write_text("")
        environ: Mapping[str, str] = {
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "schedule",
            "GITHUB_REPOSITORY": github.repo,
            "GITHUB_API_URL": github.url,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_SHA": "ab" * 20,
            "GITHUB_RUN_ID": "7",
            "GITHUB_RUN_ATTEMPT": "1",
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "INPUT_GITHUB-TOKEN": "ghs_token",
            "INPUT_DATA": str(tmp_path / "week.parquet"),
            "INPUT_ARTIFACT": str(artifact),
            "INPUT_OUT": str(tmp_path / "out"),
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
        }
        code = run({}, environ)
        return code, files["output"].read_text(), files["summary"].read_text()

    return step


def test_the_issue_follows_the_data(job: Any, github: GitHub, frame: Frame) -> None:
    like, unlike = frame(2_000, 2), frame(2_000, 3)
    unlike["spend"] *= 2
    code, outputs, summary = job(like)
    assert code == 0
    assert github.issues() == []
    code, outputs, summary = job(unlike)
    assert code == 1
    assert "\nfail\n" in outputs
    assert "drift.json" in outputs
    assert "`spend`" in summary
    (issue,) = github.issues()
    assert issue["title"] == "Drift in the data of churn"
    assert "`spend`" in issue["body"]
    assert "/actions/runs/7" in issue["body"]
    assert job(like.head(20))[0] == 0
    assert github.issues()[0]["state"] == "open"
    assert job(like)[0] == 0
    assert github.issues()[0]["state"] == "closed"
    assert len(github.issues()) == 1
    assert github.problems == []


def test_what_cannot_be_told_passes_in_a_job_unless_it_is_to_fail(job: Any, frame: Frame) -> None:
    code, outputs, _ = job(frame(30, 4))
    assert code == 0
    assert "\nerror\n" in outputs
    assert job(frame(30, 4), insufficient="fail")[0] == 1


def test_a_refused_issue_changes_no_verdict(
    job: Any, github: GitHub, frame: Frame, capsys: pytest.CaptureFixture[str]
) -> None:
    github.fault("read_only", path="/issues", times=99)
    unlike = frame(2_000, 3)
    unlike["spend"] *= 2
    assert job(unlike)[0] == 1
    assert "issues: " in capsys.readouterr().err
    assert job(unlike, issue="false")[0] == 1
    assert "issues: " not in capsys.readouterr().err


def test_an_action_without_data_says_which_input_it_lacks() -> None:
    with pytest.raises(UsageError, match="no data"):
        from_inputs({}, {"GITHUB_ACTIONS": "true"})


def test_flags_win_over_inputs_and_inputs_count_in_a_job_alone() -> None:
    environ = {"INPUT_DATA": "a.parquet b.parquet", "INPUT_ARTIFACT": "x", "INPUT_INDEPENDENT": "true"}
    found = from_inputs({"artifact": "y"}, {"GITHUB_ACTIONS": "true", **environ})
    assert found == {
        "sources": ["a.parquet", "b.parquet"], "artifact": "y", "independent": True, "insufficient": "warn",
    }  # fmt: skip
    assert from_inputs({"artifact": "y"}, environ) == {"artifact": "y"}
