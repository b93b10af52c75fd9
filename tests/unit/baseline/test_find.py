"""What the setting `baseline` may mean, and what happens when that cannot be read."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.artifact.conftest import build_result
from tests.unit.baseline.repositories import Repository
from validator.artifact.write import write_artifact
from validator.baseline.base import Base, NoBase
from validator.baseline.find import find_base
from validator.errors import ArtifactError, UsageError

PICKLE, OTHER = pickle.dumps({"a": 1}), pickle.dumps({"a": 2})
PULL_REQUEST = {"GITHUB_BASE_REF": "main"}


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    """main holds one pickle, the branch `work` another."""
    made = Repository(tmp_path / "repo")
    made.commit({"m.pkl": PICKLE})
    made.branch("work")
    made.commit({"m.pkl": OTHER, "new.pkl": OTHER})
    made.repo.refs[b"refs/remotes/origin/main"] = made.repo.refs[b"refs/heads/main"]
    yield made
    made.close()


@pytest.fixture
def model(repository: Repository) -> str:
    return str(repository.folder / "m.pkl")


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """What a run of the gate leaves behind, as far as it is needed here."""
    folder = tmp_path / "out"
    folder.mkdir()
    result = build_result()
    artifact = write_artifact(folder, result=result, onnx=b"onnx bytes", report_md="report")
    (folder / "result.json").write_text(result.model_copy(update={"artifact": artifact}).model_dump_json())
    return folder


def artifact_of(output: Path) -> Path:
    return next((output / "artifact").glob("*/*"))


def test_none_switches_off(model):
    found = find_base("none", model, PULL_REQUEST)
    assert isinstance(found, NoBase)
    assert not found.missing


def test_without_a_setting_there_is_none_but_on_a_pull_request(model):
    assert isinstance(find_base(None, model, {}), NoBase)
    found = find_base(None, model, PULL_REQUEST)
    assert isinstance(found, Base)
    assert (found.data, found.format, found.name) == (PICKLE, "pickle", "origin/main")


def test_a_new_model_has_none(model, repository):
    for baseline in (None, "main"):
        found = find_base(baseline, str(repository.folder / "new.pkl"), PULL_REQUEST)
        assert isinstance(found, NoBase)
        assert "new model" in found.reason
        assert not found.missing


def test_a_base_branch_that_was_not_fetched_is_told_of_and_is_no_error(model, repository):
    del repository.repo.refs[b"refs/remotes/origin/main"]
    found = find_base(None, model, PULL_REQUEST)
    assert isinstance(found, NoBase)
    assert found.missing
    assert "origin/main" in found.reason


def test_a_base_that_is_no_model_is_told_of(model, repository):
    repository.switch("main")
    repository.commit({"m.pkl": b"no model at all"})
    repository.repo.refs[b"refs/remotes/origin/main"] = repository.repo.refs[b"refs/heads/main"]
    found = find_base(None, model, PULL_REQUEST)
    assert isinstance(found, NoBase)
    assert found.missing
    assert "m.pkl" in found.reason
    assert "preflight-base" not in found.reason, "names no temporary folder"


def test_a_reference(model):
    found = find_base("HEAD~1", model, {})
    assert isinstance(found, Base)
    assert found.data == PICKLE
    assert found.contract is None


def test_a_model_file(model, tmp_path):
    path = tmp_path / "old.pkl"
    path.write_bytes(PICKLE)
    found = find_base(str(path), model, {})
    assert isinstance(found, Base)
    assert found.data == PICKLE
    assert found.size_bytes == len(PICKLE)


def test_an_artifact_its_result_and_the_folder_of_both_are_the_same(model, output):
    for place in (artifact_of(output), output / "result.json", output):
        found = find_base(str(place), model, {})
        assert isinstance(found, Base)
        assert (found.data, found.format) == (b"onnx bytes", "onnx")
        assert found.sha256 == build_result().model.sha256
        assert found.contract == build_result().contract


def test_a_result_finds_its_artifact_after_both_were_moved(model, output, tmp_path):
    moved = output.rename(tmp_path / "elsewhere")
    assert isinstance(find_base(str(moved / "result.json"), model, {}), Base)


@pytest.mark.parametrize("fault", ["tampered", "no artifact", "no result", "no model", "nothing", "a folder"])
def test_what_was_asked_for_and_cannot_be_read_is_an_error_with_a_hint(model, output, tmp_path, fault):
    place = output / "result.json"
    if fault == "tampered":
        place = artifact_of(output)
        (place / "model.onnx").write_bytes(b"another")
    elif fault == "no artifact":
        artifact_of(output).rename(tmp_path / "gone")
    elif fault == "no result":
        place.write_text(place.read_text().replace('"verdict"', '"vrdct"', 1))
    elif fault == "no model":
        place = tmp_path / "m.bin"
        place.write_bytes(b"no model at all")
    elif fault == "nothing":
        place = tmp_path / "nosuch.pkl"
    else:
        place = tmp_path / "empty"
        place.mkdir()
    with pytest.raises((UsageError, ArtifactError)) as caught:
        find_base(str(place), model, {})
    assert caught.value.exit_code == 2
    assert caught.value.hint
