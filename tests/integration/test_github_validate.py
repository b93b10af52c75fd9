"""`validate` inside a GitHub job, from the command line to the comment."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.command import DIAGNOSIS, TRADING, Ran, judge
from tests.integration.conftest import Job
from tests.integration.github_history import commit, git
from validator.cli.run_index import begun
from validator.gate.conclusion import write_index

#: What the workflow says. A file of the checkout that loosened as much would be told of.
UNHURRIED = ("--max-latency-ms", "60000", "--max-load-ms", "600000")
MODEL = (
    "--target",
    "direction",
    "--latency-budget-s",
    "0.3",
    "--boundary-rows",
    "500",
    "--baseline",
    "none",
    *UNHURRIED,
)


@dataclass
class Step:
    """Steps of jobs in one checkout, which has the trading model in its root.

    It is a repository whose pull request changes README.md, checked out as GitHub does: merged into its base.
    """

    peer: Any
    make_job: Callable[..., Job]
    folder: Path
    job: Job

    def run(
        self, *arguments: object, name: str = "pull_request", token: str = "t0ken", **variables: Any
    ) -> Ran:
        self.job = self.make_job(name=name, workspace=self.folder, **variables)
        return judge(
            *arguments,
            cwd=self.folder,
            **{**self.job.environ, "CI": "true", "INPUT_GITHUB-TOKEN": token},
        )

    def commit(self) -> None:
        """Commit what lies there to the pull request, and check out its merge into the base."""
        git(self.folder, "checkout", "-q", "feature")
        head = commit(self.folder, "change")
        git(self.folder, "checkout", "-q", "--detach", "main")
        git(self.folder, "merge", "-q", "--no-ff", "-m", "merged", "feature")
        self.peer.seed({"refs": {**self.peer.s["refs"], "feature": head}})

    @property
    def comments(self) -> list[str]:
        return [str(comment["body"]) for comment in self.peer.comments(1)]

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.peer.statuses(self.peer.s["refs"]["feature"])[-1]
        return found


@pytest.fixture
def step(peer: Any, make_job: Callable[..., Job], tmp_path: Path) -> Step:
    folder = tmp_path / "checkout"
    folder.mkdir()
    shutil.copy(TRADING / "model.pkl", folder / "trading.pkl")
    shutil.copy(TRADING / "sample.parquet", folder / "trading.parquet")
    git(folder, "init", "-q", "-b", "main")
    base = commit(folder, "base")
    git(folder, "checkout", "-q", "-b", "feature")
    (folder / "README.md").write_text("changed")
    found = Step(peer, make_job, folder, None)  # type: ignore[arg-type]
    found.commit()
    peer.seed({"git": str(folder), "refs": {"main": base, "feature": peer.s["refs"]["feature"]}})
    return found


def test_a_pass_is_told_everywhere(step: Step) -> None:
    done = step.run("validate", "trading.pkl", "--data", "trading.parquet", *MODEL)
    assert done.code == 0, done.out + done.err
    assert len(step.comments) == 1
    assert "Ready to ship" in step.comments[0]
    assert step.status["state"] == "success"
    assert step.status["description"].startswith("pass: trading:")
    assert "Ready to ship" in step.job.summary
    assert step.job.outputs["result-path"] == "preflight/result.json"
    assert step.job.outputs["comment-url"]
    assert "t0ken" not in done.out + done.err + step.job.summary + str(step.job.outputs)


def test_a_fail_stays_red_when_github_does_not_answer(step: Step) -> None:
    step.peer.fault("read_only", times=-1)
    done = step.run("validate", "trading.pkl", "--data", "trading.parquet", *MODEL, "--quality", "auc=0.99")
    assert done.code == 1
    assert "Blocked" in step.job.summary
    assert "::error" in done.out


def test_several_models_one_comment_the_worst_verdict(step: Step) -> None:
    shutil.copy(DIAGNOSIS / "model.joblib", step.folder / "diagnosis.joblib")
    shutil.copy(DIAGNOSIS / "sample.csv", step.folder / "diagnosis.csv")
    (step.folder / "preflight.toml").write_text(
        """
        latency_budget_s = 0.3
        baseline = "none"
        [[models]]
        model = "trading.pkl"
        data = "trading.parquet"
        target = "direction"
        [[models]]
        model = "diagnosis.joblib"
        data = "diagnosis.csv"
        target = "benign"
        max_latency_ms = 0.000001
        """
    )
    done = step.run("validate")
    assert done.code == 1, done.out + done.err
    (comment,) = step.comments
    assert "trading" in comment
    assert "diagnosis" in comment
    assert step.status["state"] == "failure"
    for name in ("report.md", "report.html", "junit.xml", "trading/result.json", "diagnosis/result.json"):
        assert (step.folder / "preflight" / name).is_file()
    assert "preflight/diagnosis/result.json" in step.job.outputs["result-path"].splitlines()


def test_a_model_that_cannot_be_judged_does_not_hide_the_others(step: Step) -> None:
    (step.folder / "preflight.toml").write_text(
        """
        latency_budget_s = 0.3
        baseline = "none"
        [[models]]
        model = "gone.pkl"
        data = "trading.parquet"
        [[models]]
        model = "trading.pkl"
        data = "trading.parquet"
        target = "direction"
        """
    )
    done = step.run("validate", "--json")
    assert done.code == 2, done.out + done.err
    assert "gone.pkl" in done.err
    assert [one["model"]["name"] for one in json.loads(done.out)] == ["trading"]
    (comment,) = step.comments
    assert "Could not judge" in comment
    assert "trading" in comment
    assert step.status["state"] == "error"
    assert step.job.outputs["result-path"] == "preflight/trading/result.json"


def test_nothing_touched_is_green(step: Step) -> None:
    arguments = ("validate", "trading.pkl", "--data", "trading.parquet", "--only-changed", *MODEL)
    done = step.run(*arguments)
    assert done.code == 0, done.out + done.err
    assert step.status["description"] == "pass: no model changed"
    assert [path.name for path in (step.folder / "preflight").iterdir()] == ["index.json"]
    assert step.comments == []
    again = step.job.publish_folder(step.folder / "preflight")
    assert again.verdict == "pass"


def test_wrong_settings_are_told_on_the_pull_request(step: Step) -> None:
    (step.folder / "preflight.toml").write_text("max_latncy_ms = 3\n")
    done = step.run("validate", "trading.pkl", "--data", "trading.parquet")
    assert done.code == 2
    assert "max_latency_ms" in done.err
    assert "did you mean" in step.comments[0]
    assert step.status["state"] == "error"


def test_no_model_is_loaded_beside_secrets(step: Step) -> None:
    done = step.run("validate", "trading.pkl", "--data", "trading.parquet", name="pull_request_target")
    assert done.code == 2
    assert "pull_request_target" in done.err
    assert not (step.folder / "preflight").exists()


def test_a_link_out_of_the_checkout_is_refused(step: Step, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(TRADING / "sample.parquet", tmp_path / "elsewhere" / "sample.parquet")
    (step.folder / "data").symlink_to(tmp_path / "elsewhere")
    done = step.run("validate", "trading.pkl", "--data", "data/sample.parquet")
    assert done.code == 2
    assert "lies outside of" in done.err
    assert step.status["state"] == "error"


def test_a_lost_comment_fails_the_run_only_where_it_is_required(step: Step) -> None:
    arguments = ("validate", "trading.pkl", "--data", "trading.parquet", *MODEL)
    assert step.run(*arguments, token="").code == 0
    assert step.run(*arguments, "--require-publish", token="").code == 3


def test_an_uploaded_folder_is_published(step: Step) -> None:
    assert step.run("validate", "trading.pkl", "--data", "trading.parquet", *MODEL, "--no-comment").code == 0
    assert step.comments == []
    done = step.run("publish")
    assert done.code == 0, done.out + done.err
    assert len(step.comments) == 1
    assert step.run("publish", "elsewhere").code == 2
    assert "Could not judge" in step.comments[0]


def test_publish_outside_of_a_job_says_so(tmp_path: Path) -> None:
    done = judge("publish", cwd=tmp_path)
    assert done.code == 2
    assert "GitHub Actions" in done.err


def test_a_red_of_an_earlier_step_is_not_replaced_in_the_folder(step: Step) -> None:
    """Two steps write to one folder, the first goes on after its red: what is uploaded is no pass."""
    shutil.copy(step.folder / "trading.pkl", step.folder / "other.pkl")
    bad = step.run("validate", "other.pkl", "--data", "gone.parquet", "--no-status", "--no-comment")
    assert bad.code == 2
    arguments = ("validate", "trading.pkl", "--data", "trading.parquet", "--only-changed", *MODEL)
    assert step.run(*arguments, "--no-status", "--no-comment").code == 0
    published = step.job.publish_folder(step.folder / "preflight")
    assert published.verdict == "error"
    assert "an earlier step of this run" in step.comments[0]
    assert "gone.parquet" in step.comments[0]
    assert step.run(*arguments, "--no-status", "--no-comment", run_attempt=2).code == 0
    assert step.job.publish_folder(step.folder / "preflight").verdict == "pass"


def test_a_step_that_is_killed_leaves_no_pass(step: Step) -> None:
    """What it was killed at does not matter to the next step, which writes to the same folder."""
    target = step.job.target if step.job else step.make_job(workspace=step.folder).target
    write_index(step.folder / "preflight", begun(target, None))
    arguments = ("validate", "trading.pkl", "--data", "trading.parquet", "--only-changed", *MODEL)
    assert step.run(*arguments, "--no-status", "--no-comment").code == 0
    assert step.job.publish_folder(step.folder / "preflight").verdict == "error"
    assert "did not come to its end" in step.comments[0]
