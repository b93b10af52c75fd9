"""The workflows of examples/life, played one after the other on one repository: its whole life on GitHub."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.command import ROOT, Ran, run, unhurried
from tests.integration.conftest import Job
from tests.integration.github_history import commit, git

FOLDER = ROOT / "examples" / "life" / "workflows"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
OURS = "model-preflight/model-preflight@v0"
REGISTRY = "oci://ghcr.io/acme/models/trading"
TRAIN = """
import pathlib, lightgbm, numpy, pandas
seed = int(pathlib.Path("seed").read_text())
random = numpy.random.default_rng(seed)
table = pandas.DataFrame(random.normal(size=(3_000, 4)), columns=["a", "b", "c", "d"])
table["label"] = (table["a"] + 0.5 * table["b"] + random.normal(0, 0.4, len(table)) > 0).astype(int)
model = lightgbm.LGBMClassifier(n_estimators=20 + seed, num_leaves=15, n_jobs=1, verbose=-1)
model.fit(table[["a", "b", "c", "d"]], table["label"])
pathlib.Path("models").mkdir(exist_ok=True)
model.booster_.save_model("models/model.txt")
table.to_parquet("models/sample.parquet")
"""


def steps_of(workflow: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_rights_are_few_inputs_exist_and_no_expression_is_code(name: str) -> None:
    workflow = WORKFLOWS[name]
    for job in workflow["jobs"].values():
        granted = {**workflow["permissions"], **job.get("permissions", {})}
        assert granted, "rights are stated, not inherited"
        assert job["timeout-minutes"]
    for step in steps_of(workflow):
        assert "${{" not in step.get("run", ""), "expressions belong into `env`: elsewhere they are code"
        if step.get("uses") == OURS:
            assert set(step["with"]) <= set(ACTION["inputs"])
    assert "pull_request_target" not in workflow[True]


def test_every_part_of_the_life_has_its_workflow_and_its_line() -> None:
    told = (FOLDER.parent / "README.md").read_text()
    links = set(re.findall(r"\]\(([\w./-]+\.yml)\)", told))
    assert {link for link in links if link.startswith("workflows/")} == {
        f"workflows/{n}.yml" for n in WORKFLOWS
    }
    assert all((FOLDER.parent / link).is_file() for link in links)
    pushed = steps_of(WORKFLOWS["publish"])
    assert [step.get("with", {}).get("command") for step in pushed][-1] == "test"
    assert pushed[-1]["with"]["image"] == "${{ steps.gate.outputs.image }}"


def test_a_branch_is_offered_after_the_gate_alone() -> None:
    """A step runs where all before it have passed, unless it or one of those says otherwise."""
    steps = steps_of(WORKFLOWS["retrain"])
    gate = next(place for place, step in enumerate(steps) if step.get("uses") == OURS)
    offered = next(place for place, step in enumerate(steps) if "git push" in step.get("run", ""))
    assert gate < offered
    assert steps[gate]["with"].get("command", "validate") == "validate"
    assert not [step for step in steps if "if" in step or "continue-on-error" in step]


@dataclass
class Repository:
    """A repository, what GitHub keeps beside it, and a runner for its workflows."""

    peer: Any
    make_job: Callable[..., Job]
    folder: Path
    runs: int = 10

    @property
    def place(self) -> Path:
        return self.folder / "repository"

    @property
    def registry(self) -> str:
        return f"oci:{self.folder / 'registry'}"

    @property
    def image(self) -> str:
        """The registry as images in it are named."""
        return self.registry.removeprefix("oci:").removeprefix("//")

    def play(
        self, name: str, kind: str, event: dict[str, Any] | None = None, ref: str = "main", **inputs: str
    ) -> tuple[list[Ran], dict[str, str], str]:
        """Each step of the one job, until one fails: how they ended, the job's outputs, and its summary."""
        workflow = WORKFLOWS[name]
        assert kind in workflow[True]
        ((_, job),) = workflow["jobs"].items()
        self.runs += 1
        granted = {**workflow["permissions"], **job.get("permissions", {})}
        rights = {right.replace("-", "_"): how for right, how in granted.items()}
        self.peer.seed({"tokens": {"t0ken": rights}})
        sha = git(self.place, "rev-parse", ref)
        workspace = self.folder / f"workspace{self.runs}"
        made = self.make_job(event or {}, name=kind, run_id=self.runs, workspace=workspace, sha=sha)
        context: dict[str, Any] = {
            "github": {
                "token": "t0ken", "sha": sha, "run_id": str(self.runs), "event_name": kind, "event": event or {},
                "server_url": "https://github.com", "repository": self.peer.repo,
            },
            "inputs": inputs, "steps": {},
        }  # fmt: skip
        assert self._condition(job.get("if"), context)
        environ = {**made.environ, "CI": "true"}
        ran: list[Ran] = []
        for step in job["steps"]:
            if ran and ran[-1].code:
                break
            if str(step.get("uses", "")).startswith("actions/checkout"):
                git(self.folder, "clone", "-q", str(self.place), str(workspace))
                git(workspace, "checkout", "-q", "--detach", sha)
                continue
            output = self.folder / f"output{self.runs}-{len(ran)}"
            output.touch()
            environ["GITHUB_OUTPUT"] = str(output)
            workspace.mkdir(exist_ok=True)
            if "run" in step:
                ran.append(self.shell(step, environ, workspace, context))
            else:
                assert step["uses"] == OURS
                ran.append(self.ours(step["with"], environ, workspace, context))
            if "id" in step:
                context["steps"][step["id"]] = {"outputs": read_outputs(output)}
        outputs = {key: self.filled(value, context) for key, value in job.get("outputs", {}).items()}
        return ran, outputs, Path(environ["GITHUB_STEP_SUMMARY"]).read_text()

    def ours(
        self, given: dict[str, str], environ: dict[str, str], workspace: Path, context: dict[str, Any]
    ) -> Ran:
        values = {name: self.filled(value, context) for name, value in given.items()}
        command = values.pop("command", ACTION["inputs"]["command"]["default"])
        inputs = {f"INPUT_{name.upper()}": value for name, value in values.items()}
        quick = {"PREFLIGHT_LATENCY_BUDGET_S": "0.3"} if command == "validate" else {}
        token = {"INPUT_GITHUB-TOKEN": "t0ken"}
        # As action.yml's `args` name it.
        return run(command, cwd=workspace, **{**environ, **inputs, **token, **quick})

    def shell(
        self, step: dict[str, Any], environ: dict[str, str], workspace: Path, context: dict[str, Any]
    ) -> Ran:
        own = {name: self.filled(value, context) for name, value in step.get("env", {}).items()}
        path = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        script = step["run"].replace(REGISTRY, self.registry)
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script],
            cwd=workspace, env={**environ, **path, **own, "HOME": str(self.folder)},
            capture_output=True, text=True, check=False, timeout=200,
        )  # fmt: skip
        return Ran(code=done.returncode, out=done.stdout, err=done.stderr, folder=workspace)

    def filled(self, text: object, context: dict[str, Any]) -> str:
        def value(match: re.Match[str]) -> str:
            node: Any = context
            for key in match[1].split("."):
                node = node[key]
            return str(node)

        plain = str(text).lower() if isinstance(text, bool) else str(text)
        return re.sub(r"\$\{\{\s*([\w.]+)\s*\}\}", value, plain).replace(REGISTRY, self.registry)

    def _condition(self, text: str | None, context: dict[str, Any]) -> bool:
        if text is None:
            return True
        event = context["github"]["event"]
        known = {
            "github.event_name": repr(context["github"]["event_name"]),
            "github.event.label.name": repr(event.get("label", {}).get("name")),
        }
        for name, value in known.items():
            text = text.replace(name, value)
        return bool(eval(text.replace("||", " or ").replace("&&", " and "), {"__builtins__": {}}, {}))


def read_outputs(path: Path) -> dict[str, str]:
    """The runner's file: `name<<END`, lines, `END`."""
    found = re.findall(r"^([\w-]+)<<(\w+)\n(.*?)\n?\2$", path.read_text(), re.DOTALL | re.MULTILINE)
    return {name: value for name, _, value in found}


@pytest.fixture
def repository(peer: Any, make_job: Callable[..., Job], tmp_path: Path) -> Repository:
    return founded(Repository(peer, make_job, tmp_path))


def founded(one: Repository) -> Repository:
    """The first model on main, another on a branch with a pull request."""
    peer, binaries = one.peer, one.folder / "bin"
    binaries.mkdir()
    programs = {
        "model-preflight": f'exec {sys.executable} -m validator.cli "$@"',
        "python": f'exec {sys.executable} "$@"',
        "pip": "exit 0",  # what is installed is here already
    }
    for name, line in programs.items():
        (binaries / name).write_text(f"#!/bin/sh\n{line}\n")
        (binaries / name).chmod(0o755)
    one.place.mkdir()
    git(one.place, "init", "-q", "-b", "main")
    (one.place / "train.py").write_text(TRAIN)
    (one.place / "requirements.txt").touch()
    unhurried(one.place)
    (one.place / "seed").write_text("1")
    trained = subprocess.run(
        [sys.executable, "train.py"], cwd=one.place, capture_output=True, text=True, check=False
    )
    assert trained.returncode == 0, trained.stderr
    base = commit(one.place, "the first model")
    git(one.place, "checkout", "-q", "-b", "feature")
    (one.place / "seed").write_text("2")
    subprocess.run([sys.executable, "train.py"], cwd=one.place, capture_output=True, check=True)
    head = commit(one.place, "another model")
    pull = {**peer.s["pulls"][0], "fork": False}
    peer.seed({"git": str(one.place), "refs": {"main": base, "feature": head}, "pulls": [pull]})
    return one


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_whole_life_on_github(repository: Repository) -> None:
    live(repository)


def live(repository: Repository) -> None:
    """Each workflow in its turn."""
    place, peer = repository.place, repository.peer

    # A pull request: judged against the base branch, told in a comment, and its status blocks or not.
    event = peer.event("pull-request-synchronize")
    (judged,), _, summary = repository.play("preflight", "pull_request", event, ref="feature")
    assert judged.code == 0, judged.out + judged.err
    (status,) = peer.statuses(peer.s["refs"]["feature"])
    assert (status["context"], status["state"]) == ("model-preflight", "success")
    assert len(peer.comments(1)) == 1
    assert "trading" in summary

    # The merge: judged as it is on main, stored under its version, and what the registry gives is tried.
    before = git(place, "rev-parse", "main")
    git(place, "checkout", "-q", "main")
    git(place, "merge", "-q", "--no-ff", "-m", "merged", "feature")
    merged = git(place, "rev-parse", "main")
    peer.seed({"refs": {**peer.s["refs"], "main": merged}})
    push = {**peer.event("push"), "before": before, "after": merged, "ref": "refs/heads/main"}
    ran, outputs, summary = repository.play("publish", "push", push)
    assert [one.code for one in ran] == [0, 0], ran[-1].out + ran[-1].err
    image = outputs["image"]
    assert re.fullmatch(re.escape(repository.image) + r"@sha256:[0-9a-f]{64}", image)
    assert "works as published" in ran[-1].out
    assert "works as published" in summary
    tried = json.loads((ran[-1].folder.parent / "preflight-test/test.json").read_text())
    assert tried["digest"] == image.partition("@")[2]

    # Promoted once its rollout was: the registry's history and GitHub's deployments say so.
    digest = image.partition("@")[2]
    ran, _, _ = repository.play(
        "promote", "workflow_dispatch", candidate=digest, reason="its rollout said so"
    )
    assert [one.code for one in ran] == [0, 0], ran[-1].out + ran[-1].err
    (deployment,) = peer.deployments()
    assert deployment["environment"] == "production"
    history = run("registry", "history", repository.registry, cwd=place)
    assert "its rollout said so" in history.out

    # Mondays: one issue while the data drifts, closed when it does no more.
    (place / "data").mkdir()
    sample = place / "models/sample.parquet"
    for factor, code, state in ((1.0, 0, []), (5.0, 1, ["open"]), (1.0, 0, ["closed"])):
        code_of_data = (
            "import pandas, sys; table = pandas.read_parquet(sys.argv[1]); "
            "table['a'] *= float(sys.argv[3]); table.to_parquet(sys.argv[2])"
        )
        data = place / "data/last_week.parquet"
        subprocess.run([sys.executable, "-c", code_of_data, str(sample), str(data), str(factor)], check=True)
        git(place, "add", "-A")
        git(place, "commit", "-q", "--allow-empty", "-m", "a week")
        (ran_drift,), _, _ = repository.play("drift", "schedule")
        assert ran_drift.code == code, ran_drift.out + ran_drift.err
        issues = [one for one in peer.store["issue"].values() if "pull_request" not in one]
        assert [one["state"] for one in issues] == state

    # Retrained by a label: judged against the model as it is, and offered as a branch. The main branch is as it was.
    (place / "seed").write_text("3")
    main = commit(place, "newer data")
    labelled = {"action": "labeled", "label": {"name": "retrain"}, "issue": {"number": 2}}
    ran, _, summary = repository.play("retrain", "issues", labelled)
    assert [one.code for one in ran] == [0, 0, 0, 0], ran[-1].out + ran[-1].err
    branch = f"retrain/{repository.runs}"
    assert git(place, "diff", "--name-only", main, branch).split() == [
        "models/model.txt",
        "models/sample.parquet",
    ]
    assert git(place, "rev-parse", "main") == main
    assert f"compare/{branch}?expand=1" in summary
    result = json.loads((ran[2].folder / "result.json").read_text())
    assert result["change"] is not None, "it was compared with the model as it is"
