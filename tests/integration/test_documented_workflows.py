"""Every workflow in the documentation, played step by step as GitHub's runner would, against the API's stand-in."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.integration.command import ROOT, TRADING, Ran, judge
from tests.integration.conftest import Job
from tests.integration.github_history import commit, git

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OURS = re.compile(r"model-preflight/model-preflight@v\d+")


def documented() -> Iterator[tuple[str, dict[Any, Any]]]:
    """Whole workflows in the pages, with the name of their page."""
    for page in PAGES:
        for text in re.findall(r"```ya?ml\n(.*?)```", page.read_text(), re.DOTALL):
            found = yaml.safe_load(text)
            jobs = found.get("jobs", {}).values() if isinstance(found, dict) else ()
            if jobs and all("steps" in job for job in jobs):  # what calls a reusable workflow has no steps
                yield page.name, found


def runs_commands_alone(workflow: dict[Any, Any]) -> bool:
    """Whether no step of it is the action: its commands are tried where they are tested."""
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return not any(OURS.fullmatch(step.get("uses", "")) for step in steps)


#: By page and name, or the number in its page. What has no `on` is a part of one.
WHOLE = [
    (f"{page}: {one.get('name', number)}", one)
    for number, (page, one) in enumerate(documented())
    if True in one
]
WORKFLOWS = [(name, one) for name, one in WHOLE if not runs_commands_alone(one)]
#: Where the commands of the others are tried.
ELSEWHERE = {
    "rollout.md: Roll out": "tests/rollout/test_workflow.py",
}


def steps_shown() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step in the pages, of workflows and of parts of them."""
    for page in PAGES:
        for text in re.findall(r"```ya?ml\n(.*?)```", page.read_text(), re.DOTALL):
            found = yaml.safe_load(text)
            jobs = found.get("jobs", {}).values() if isinstance(found, dict) else []
            listed = (
                found if isinstance(found, list) else [step for job in jobs for step in job.get("steps", ())]
            )
            yield from ((page.name, step) for step in listed if isinstance(step, dict) and "uses" in step)


PLAYED = {
    "README.md: Model Preflight",
    "index.md: Model Preflight",
    "github.md: Model Preflight",
    "github.md: Publish Model Preflight",
    "drift.md: 1",
}


def evaluated(expression: str, github: dict[str, Any]) -> Any:
    """A GitHub expression of the few forms that the documentation uses; any other is an error of the test."""
    text = expression.strip()

    def value(match: re.Match[str]) -> str:
        node: Any = {"github": github}
        for key in match[0].split("."):
            node = node.get(key) if isinstance(node, dict) else None
        return repr(node)

    text = re.sub(r"\bgithub(\.\w+)+", value, text).replace("&&", " and ").replace("||", " or ")
    text = text.replace("always()", "True")
    names = {"contains": lambda many, one: one in many, "fromJSON": json.loads}
    return eval(text, {"__builtins__": {}}, names)


def filled(text: Any, github: dict[str, Any]) -> str:
    return re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(evaluated(match[1], github)), str(text))


@dataclass
class Runner:
    """Plays the jobs of a workflow. `artifacts` are what earlier runs have uploaded, by run and name."""

    peer: Any
    make_job: Callable[..., Job]
    folder: Path
    artifacts: dict[tuple[str, str], Path] = field(default_factory=dict)
    count: int = 0

    def play(self, workflow: dict[Any, Any], kind: str, event: dict[str, Any], run_id: int) -> list[Ran]:
        triggers = workflow[True]  # YAML reads the key `on` so
        assert kind in ([triggers] if isinstance(triggers, str) else triggers)
        github = {"event": event, "token": "t0ken", "ref": "refs/pull/1/merge"}
        ran: list[Ran] = []
        for job in workflow["jobs"].values():
            granted = {**workflow.get("permissions", {}), **job.get("permissions", {})}
            if kind == "pull_request" and self.peer.s["pulls"][0].get("fork"):
                granted = dict.fromkeys(granted, "read")
            tokens = {"t0ken": {name.replace("-", "_"): how for name, how in granted.items()}}
            self.peer.seed({"tokens": tokens})
            if evaluated(job.get("if", "True"), github):
                self.count += 1
                ran += self._job(job, kind, event, github, run_id)
        return ran

    def _job(
        self, job: dict[str, Any], kind: str, event: dict[str, Any], github: dict[str, Any], run_id: int
    ) -> list[Ran]:
        workspace = self.folder / f"workspace{self.count}"
        workspace.mkdir()
        ran: list[Ran] = []
        for step in job["steps"]:
            given = {name: filled(value, github) for name, value in step.get("with", {}).items()}
            name = step["uses"].partition("@")[0]
            if ran and ran[-1].code and step.get("if") != "always()":
                continue
            if name == "actions/checkout":
                wanted = self._commit(kind, event)
                git(self.folder, "clone", "-q", str(self.folder / "repository"), str(workspace / ".c"))
                git(workspace / ".c", "checkout", "-q", "--detach", wanted)
                for path in list((workspace / ".c").iterdir()):
                    shutil.move(path, workspace / path.name)
                (workspace / ".c").rmdir()
            elif name == "actions/upload-artifact":
                self.artifacts[str(run_id), given["name"]] = workspace / given["path"]
            elif name == "actions/download-artifact":
                found = self.artifacts.get((given["run-id"], given["name"]))
                if found is not None:
                    shutil.copytree(found, workspace / given["path"])
            else:
                assert OURS.fullmatch(step["uses"]), step["uses"]
                ran.append(self._ours(given, kind, event, run_id, workspace))
        return ran

    def _commit(self, kind: str, event: dict[str, Any]) -> str:
        if kind == "merge_group":
            return str(event["merge_group"]["head_sha"])
        if kind == "schedule":
            return git(self.folder / "repository", "rev-parse", "main")
        git(self.folder / "repository", "checkout", "-q", "--detach", "main")
        git(self.folder / "repository", "merge", "-q", "--no-ff", "-m", "merged", "feature")
        return git(self.folder / "repository", "rev-parse", "HEAD")

    def _ours(
        self, given: dict[str, str], kind: str, event: dict[str, Any], run_id: int, workspace: Path
    ) -> Ran:
        declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
        assert set(given) <= set(declared)
        inputs = {f"INPUT_{name.upper()}": value for name, value in given.items()}
        token = {} if inputs.get("INPUT_GITHUB-TOKEN") else {"INPUT_GITHUB-TOKEN": "t0ken"}
        job = self.make_job(event, name=kind, run_id=run_id, workspace=workspace)
        quick = {
            "PREFLIGHT_LATENCY_BUDGET_S": "0.3",
            "PREFLIGHT_BOUNDARY_ROWS": "500",
            "PREFLIGHT_BASELINE": "none",
        }
        if given.get("command") == "drift":  # as action.yml's `args` name it
            return judge("drift", cwd=workspace, **{**job.environ, **inputs, **token, "CI": "true"})
        return judge(cwd=workspace, **{**job.environ, **inputs, **token, **quick, "CI": "true"})


@pytest.fixture
def runner(peer: Any, make_job: Callable[..., Job], tmp_path: Path) -> Runner:
    """A repository whose pull request, of a fork, changes the model that the documentation's workflows judge."""
    place = tmp_path / "repository"
    (place / "models").mkdir(parents=True)
    git(place, "init", "-q", "-b", "main")
    sample = pd.read_parquet(TRADING / "sample.parquet").rename(columns={"direction": "label"})
    sample.to_parquet(place / "models/sample.parquet")
    base = commit(place, "base")
    git(place, "checkout", "-q", "-b", "feature")
    shutil.copy(TRADING / "model.pkl", place / "models/model.pkl")
    head = commit(place, "a model")
    pull = {**peer.s["pulls"][0], "fork": True}
    peer.seed({"git": str(place), "refs": {"main": base, "feature": head}, "pulls": [pull]})
    return Runner(peer, make_job, tmp_path)


def by_name(part: str, *, of: str) -> dict[Any, Any]:
    return next(one for name, one in WORKFLOWS if part in name and of in name)


def recipe() -> tuple[dict[Any, Any], dict[Any, Any]]:
    """The two workflows for forks: the first judges, the second publishes."""
    first = [one for name, one in WORKFLOWS if "status" in str(one["jobs"]) and "upload-artifact" in str(one)]
    return first[0], by_name("Publish", of="github.md")


def test_the_documentation_has_workflows_of_known_events():
    """Each of them is played below: a further one needs a test too."""
    assert {name for name, _ in WORKFLOWS} == PLAYED
    assert {name for name, one in WHOLE if runs_commands_alone(one)} == set(ELSEWHERE)
    assert all((ROOT / place).exists() for place in ELSEWHERE.values())
    for name, one in WORKFLOWS:
        triggers = one[True]
        kinds = {triggers} if isinstance(triggers, str) else set(triggers)
        assert kinds <= {"pull_request", "merge_group", "workflow_run", "push", "schedule"}, name


def test_every_step_in_the_documentation_gives_inputs_that_there_are():
    declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    ours = [(page, step) for page, step in steps_shown() if "model-preflight/" in step["uses"]]
    assert len(ours) > len(WORKFLOWS)
    for page, step in ours:
        assert OURS.fullmatch(step["uses"]), page
        assert set(step["with"]) <= set(declared), page


def of_the_repository(runner: Runner) -> None:
    """The pull request is of a branch of the repository, not a fork's."""
    runner.peer.seed({"pulls": [{**runner.peer.s["pulls"][0], "fork": False}]})


def break_the_sample(runner: Runner) -> None:
    """The pull request takes the column of true answers away."""
    place = runner.folder / "repository"
    git(place, "checkout", "-q", "feature")
    sample = pd.read_parquet(place / "models/sample.parquet")
    sample.drop(columns="label").to_parquet(place / "models/sample.parquet")
    head = commit(place, "a worse sample")
    runner.peer.seed({"refs": {**runner.peer.s["refs"], "feature": head}})


def queued(runner: Runner) -> dict[str, Any]:
    refs = runner.peer.s["refs"]
    return {"merge_group": {"head_sha": refs["feature"], "base_sha": refs["main"]}}


def test_the_first_workflow_tells_the_pull_request_and_the_scheduled_one_watches_its_data(runner: Runner):
    """README's; docs/index.md has the same, and docs/drift.md takes the artifact that it leaves."""
    of_the_repository(runner)
    first = by_name("Model Preflight", of="README.md")
    assert first == by_name("Model Preflight", of="index.md")
    event = runner.peer.event("pull-request-synchronize")
    (judged,) = runner.play(first, "pull_request", event, 5)
    assert judged.code == 0, judged.out + judged.err
    assert "Not published" not in judged.out
    (status,) = runner.peer.statuses(runner.peer.s["refs"]["feature"])
    assert (status["context"], status["state"]) == ("model-preflight", "success")
    assert len(runner.peer.comments(1)) == 1

    place = runner.folder / "repository"
    git(place, "checkout", "-q", "-f", "main")
    (artifact,) = (judged.folder / "artifact").rglob("v_*Z_*")
    shutil.copytree(artifact, place / "artifact")
    (place / "data").mkdir()
    sample = pd.read_parquet(place / "models/sample.parquet").rename(columns={"label": "churned"})
    for number, (factor, code) in enumerate(((1.0, 0), (50.0, 1))):
        moved = sample.copy()
        numbers = moved.columns.drop("churned")
        moved[numbers] = moved[numbers] * factor
        moved.to_parquet(place / "data/last_week.parquet")
        commit(place, f"week {number}")
        drift = next(one for name, one in WORKFLOWS if name.startswith("drift.md"))
        (ran,) = runner.play(drift, "schedule", {}, 10 + number)
        assert ran.code == code, ran.out + ran.err
        issues = [one for one in runner.peer.store["issue"].values() if "pull_request" not in one]
        assert len(issues) == code


@pytest.mark.parametrize("kind", ["pull_request", "merge_group"])
def test_the_workflow_of_the_page_on_github_blocks_what_cannot_be_judged(runner: Runner, kind: str):
    of_the_repository(runner)
    break_the_sample(runner)
    alone = by_name("Model Preflight", of="github.md")
    event = runner.peer.event("pull-request-synchronize") if kind == "pull_request" else queued(runner)
    (judged,) = runner.play(alone, kind, event, 5)
    assert judged.code == 2, judged.out + judged.err
    assert "Not published" not in judged.out
    (status,) = runner.peer.statuses(runner.peer.s["refs"]["feature"])
    assert (status["context"], status["state"]) == ("model-preflight", "error")
    assert len(runner.peer.comments(1)) == (1 if kind == "pull_request" else 0)


@pytest.mark.parametrize("kind", ["pull_request", "merge_group"])
def test_a_required_status_arrives_for_forks_and_in_a_queue(runner: Runner, kind: str):
    first, second = recipe()
    head = runner.peer.s["refs"]["feature"]
    event = runner.peer.event("pull-request-synchronize") if kind == "pull_request" else queued(runner)
    (judged,) = runner.play(first, kind, event, 5)
    assert judged.code == 0, judged.out + judged.err
    assert runner.peer.statuses() == []
    fork = kind == "pull_request"
    triggered = {
        "id": 5,
        "run_attempt": 1,
        "event": kind,
        "head_sha": head,
        "head_branch": "feature" if fork else "gh-readonly-queue/main/pr-1",
        "head_repository": {"full_name": "octocat/models" if fork else runner.peer.repo},
        "conclusion": "failure" if judged.code else "success",
        "name": first["name"],
    }
    assert second[True]["workflow_run"]["workflows"] == [first["name"]]
    (published,) = runner.play(second, "workflow_run", {"workflow_run": triggered}, 6)
    status = runner.peer.statuses(head)[-1]
    assert status["context"] == "model-preflight"
    assert (published.code, status["state"]) == ((0, "success") if not judged.code else (1, "failure"))
    assert len(runner.peer.comments(1)) == (1 if fork else 0)


def test_a_run_that_uploads_nothing_blocks(runner: Runner):
    _, second = recipe()
    head = runner.peer.s["refs"]["feature"]
    triggered = {
        "id": 5, "run_attempt": 1, "event": "pull_request", "head_sha": head, "head_branch": "feature",
        "head_repository": {"full_name": "octocat/models"}, "conclusion": "failure",
    }  # fmt: skip
    (published,) = runner.play(second, "workflow_run", {"workflow_run": triggered}, 6)
    assert published.code == 2
    assert runner.peer.statuses(head)[-1]["state"] == "error"
    assert (
        runner.play(second, "workflow_run", {"workflow_run": {**triggered, "conclusion": "cancelled"}}, 7)
        == []
    )
