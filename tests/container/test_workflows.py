"""What the workflows promise: pinned actions, least rights, every supported Python, one check to require."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
#: A reusable workflow means the release of the action that its caller names: their tags move together.
OUR_RELEASE = "model-preflight/model-preflight@v0 # zizmor: ignore[unpinned-uses]"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.fixture(scope="module")
def pin_action() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pin_action", ROOT / "container" / "pin_action.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    lines = re.findall(r"^\s+(?:- )?uses: (.+)$", path.read_text(), re.MULTILINE)
    assert lines
    for line in lines:
        if path.name == "preflight.yml" and line == OUR_RELEASE:
            continue
        assert line.startswith("./ ") or re.fullmatch(
            r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line
        ), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_rights_are_given_job_by_job(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert "permissions" in job
        assert "timeout-minutes" in job


def test_checks_never_write_and_releases_start_by_hand() -> None:
    ci, release = load(ROOT / ".github/workflows/ci.yml"), load(ROOT / ".github/workflows/release.yml")
    granted = {right for job in ci["jobs"].values() for right in job["permissions"].items()}
    assert granted == {("contents", "read")}
    assert list(release[True]) == ["workflow_dispatch"]


def test_the_reusable_workflow_hands_on_its_inputs_to_inputs_that_the_action_has() -> None:
    workflow, action = load(ROOT / ".github/workflows/preflight.yml"), load(ROOT / "action.yml")
    called = workflow[True]["workflow_call"]
    (job,) = workflow["jobs"].values()
    step = next(step for step in job["steps"] if step.get("id") == "preflight")
    assert set(step["with"]) <= set(action["inputs"])
    used = set(re.findall(r"inputs\.([\w-]+)", str(workflow["jobs"])))
    assert used == set(called["inputs"]), "every input does something"
    for name in job["outputs"]:
        assert name in action["outputs"]
    assert set(called["outputs"]) == set(job["outputs"])


def test_one_job_stands_for_all() -> None:
    jobs = load(ROOT / ".github/workflows/ci.yml")["jobs"]
    required = jobs["required-checks-pass"]
    assert set(required["needs"]) == set(jobs) - {"required-checks-pass"}
    assert required["if"] == "always()"


def test_every_supported_python_is_tested() -> None:
    matrix = load(ROOT / ".github/workflows/ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert matrix == ["3.11", "3.12", "3.13", "3.14"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()


def test_a_release_names_its_image_by_version_and_digest(pin_action: ModuleType) -> None:
    image = f"ghcr.io/octo/model-preflight:1.2.3@{DIGEST}"
    before = (ROOT / "action.yml").read_text()
    after = pin_action.pinned(before, image)
    assert yaml.safe_load(after)["runs"] == {**yaml.safe_load(before)["runs"], "image": f"docker://{image}"}
    assert len(after.splitlines()) == len(before.splitlines())


@pytest.mark.parametrize(
    "image",
    [
        "ghcr.io/octo/m:1.2.3",
        f"ghcr.io/octo/m@{DIGEST}",
        f"ghcr.io/octo/m:latest@{DIGEST}",
        f"m:1.2.3@{DIGEST}\nx",
    ],
)
def test_an_image_that_could_move_is_refused(pin_action: ModuleType, image: str) -> None:
    with pytest.raises(ValueError, match="named by version and digest"):
        pin_action.pinned("runs:\n  image: Dockerfile\n", image)


def test_an_action_that_is_pinned_already_is_refused(pin_action: ModuleType) -> None:
    with pytest.raises(ValueError, match="0 times"):
        pin_action.pinned("runs:\n  image: docker://x\n", f"ghcr.io/octo/m:1.2.3@{DIGEST}")


def test_every_image_of_ours_that_is_named_is_one_that_a_release_pushes() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]
    builds = [one["with"] for one in jobs["image"]["steps"] if "build-push" in one.get("uses", "")]
    tags = [one["tags"].replace("${{ steps.name.outputs.image }}", "IMAGE") for one in builds]
    version, major = "${{ inputs.version }}", "${{ steps.name.outputs.major }}"
    for text, ending in zip(tags, ("", "-serve"), strict=True):
        assert text.splitlines() == [f"IMAGE{ending}:{tag}" for tag in (version, major, "latest")]
    named = re.compile(r"ghcr\.io/model-preflight/model-preflight(-serve)?(?::([\w.-]+))?(?=[\s'\"`}]|$)")
    files = [*(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*"), ROOT / "README.md"]
    seen = [
        match
        for path in files
        if path.is_file()
        for match in named.findall(path.read_text("utf-8", "replace"))
    ]
    assert {tag for _, tag in seen} <= {"", "v0", "latest"}
    assert len(seen) >= 4


def test_the_image_and_the_base_are_pinned() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    external = [
        line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM") and ":" in line
    ]
    assert external
    assert all(re.search(r"@sha256:[0-9a-f]{64}$", name) for name in external)
    # The runner's files belong to the runner's user; the image that serves has no such files, and no root either.
    gate, serving = (dockerfile[dockerfile.index(f" AS {name}\n") :] for name in ("image", "serve"))
    assert "USER" not in {line.split(" ")[0] for line in gate.splitlines()}
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", serving.partition("\nFROM ")[0], re.MULTILINE)
    # What is installed besides is the wheel that was just built.
    assert dockerfile.count("--require-hashes") == 3
    assert dockerfile.count("--no-index /build/wheel") == 2


def test_what_the_wheel_is_made_of_reaches_the_build() -> None:
    """And importing any module has no effect, since all of them are imported to be compiled."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {*build["packages"], *build["force-include"], "pyproject.toml", project["project"]["readme"]}
    wanted |= set(project["project"]["license-files"])
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ")
        for word in line.split()[1:-1]
    }
    assert wanted <= let_in & copied
    for path in (ROOT / "validator").rglob("__main__.py"):
        assert 'if __name__ == "__main__":' in path.read_text(), path
