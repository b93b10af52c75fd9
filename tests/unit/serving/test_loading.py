from __future__ import annotations

import copy
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator import Deployment
from validator.errors import ArtifactError
from validator.serving import (
    ArtifactNotFoundError,
    FailedArtifactError,
    OptionError,
    TamperedArtifactError,
    UnjudgedArtifactError,
)

Make = Callable[..., Path]


def test_a_passing_artifact_loads_and_tells_of_itself(make_artifact: Make) -> None:
    folder = make_artifact()
    metadata = Deployment.load(folder).metadata()
    assert metadata["version"] == folder.name
    assert metadata["created_at"] == "2025-11-05T09:30:00Z"
    assert metadata["verdict"] == "pass"
    assert metadata["git_commit"] == "ab" * 20
    assert metadata["model"]["sha256"][:8] == folder.name[-8:]
    assert metadata["onnx"]["sha256"] == metadata["files"]["model.onnx"]
    assert [feature["name"] for feature in metadata["contract"]["features"]] == ["f0", "f1", "f2", "f3"]
    assert metadata["serving"]["override"] is None
    json.dumps(metadata, allow_nan=False)


def test_metadata_is_a_copy(make_artifact: Make) -> None:
    deployment = Deployment.load(make_artifact())
    deployment.metadata()["contract"]["features"].clear()
    assert deployment.metadata()["contract"]["features"]


def test_every_answer_carries_the_version(make_artifact: Make, row: Any) -> None:
    folder = make_artifact()
    deployment = Deployment.load(folder)
    assert deployment.predict_single(row).version == folder.name
    assert deployment.predict_batch([row]).version == folder.name


def test_a_failed_artifact_is_refused_with_its_reason(make_artifact: Make) -> None:
    folder = make_artifact(verdict="fail", reason="latency.p99: 80 ms")
    with pytest.raises(FailedArtifactError, match=r"failed validation: latency\.p99: 80 ms") as caught:
        Deployment.load(folder)
    assert isinstance(caught.value, ValueError)
    assert "override" in caught.value.hint


def test_an_override_is_shown(make_artifact: Make, row: Any) -> None:
    folder = make_artifact(verdict="fail", reason="latency.p99: 80 ms")
    deployment = Deployment.load(folder, override="incident 4711, until Friday")
    assert deployment.metadata()["serving"]["override"] == {
        "reason": "incident 4711, until Friday",
        "refused_for": ["failed validation: latency.p99: 80 ms"],
    }
    assert deployment.metadata()["verdict"] == "fail"
    assert deployment.predict_single(row).valid


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_override_needs_a_reason(make_artifact: Make, reason: str) -> None:
    with pytest.raises(FailedArtifactError, match="no reason"):
        Deployment.load(make_artifact(), override=reason)


def test_a_changed_file_is_refused_and_an_override_says_which(make_artifact: Make) -> None:
    folder = make_artifact()
    (folder / "report.md").write_text("# All good\n")
    with pytest.raises(TamperedArtifactError, match=r"report\.md was changed"):
        Deployment.load(folder)
    deployment = Deployment.load(folder, override="typo in the report")
    (problem,) = deployment.metadata()["serving"]["override"]["refused_for"]
    assert problem.startswith("report.md was changed")


FILES = ("model.onnx", "contract.json", "manifest.json", "SHA256SUMS", "report.md")


def test_a_flipped_byte_anywhere_is_refused_by_name(make_artifact: Make) -> None:
    folder = make_artifact()
    whole = {name: (folder / name).read_bytes() for name in FILES}

    @given(name=st.sampled_from(FILES), place=st.floats(0, 1, exclude_max=True), mask=st.integers(1, 255))
    @settings(max_examples=300, deadline=None)
    def flip(name: str, place: float, mask: int) -> None:
        changed = bytearray(whole[name])
        changed[int(place * len(changed))] ^= mask
        (folder / name).write_bytes(changed)
        try:
            with pytest.raises(ArtifactError) as caught:
                Deployment.load(folder)
        finally:
            (folder / name).write_bytes(whole[name])
        assert name in str(caught.value), "a changed digest is told as the file's, with where it stands"

    flip()
    assert Deployment.load(folder).metadata()["verdict"] == "pass"


def test_what_was_never_judged_is_refused(make_artifact: Make, row: Any) -> None:
    folder = make_artifact()
    with pytest.raises(UnjudgedArtifactError, match="is a file, not an artifact folder"):
        Deployment.load(folder / "model.onnx")
    for name in ("manifest.json", "SHA256SUMS", "report.md"):
        (folder / name).unlink()
    with pytest.raises(UnjudgedArtifactError, match="no gate ever judged it"):
        Deployment.load(folder)
    deployment = Deployment.load(folder, override="a first try on my desk")
    assert deployment.metadata()["verdict"] is None
    assert "never judged" in deployment.metadata()["serving"]["override"]["refused_for"][0]
    assert deployment.predict_single(row).version == "unjudged"


def test_a_missing_folder_is_a_file_not_found_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no artifact folder") as caught:
        Deployment.load(tmp_path / "nowhere")
    assert isinstance(caught.value, ArtifactNotFoundError)


def test_an_artifact_without_a_model_has_nothing_to_serve(make_artifact: Make) -> None:
    folder = make_artifact()
    (folder / "model.onnx").unlink()
    with pytest.raises(FailedArtifactError, match=r"has no model\.onnx"):
        Deployment.load(folder, override="try")


def test_a_truncated_model_is_a_named_error(serve: Callable[..., Deployment], logistic: Any) -> None:
    whole = logistic()
    for content in (whole[: len(whole) // 2], b"\x00" * 64, b"not a model"):
        with pytest.raises(FailedArtifactError, match=r"cannot load model\.onnx|does not"):
            serve(content)


def test_a_model_that_does_not_fit_its_contract_does_not_load(
    serve: Callable[..., Deployment], logistic: Any
) -> None:
    with pytest.raises(FailedArtifactError, match="takes 3 features, the contract names 4"):
        serve(logistic(width=3))
    with pytest.raises(FailedArtifactError, match=r"probabilities is \[1, 2\], not \[1, 3\]"):
        serve(classes=(0, 1, 2), task="multiclass")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "poetry"}, "task is 'poetry'"),
        ({"features": []}, "names no feature"),
        ({"features": [{"name": "a", "dtype": "datetime64[ns]", "missing": False}]}, "cannot be served"),
        ({"features": [{"name": "a", "dtype": "category", "missing": False}]}, "lists no categories"),
        ({"features": [{"dtype": "float64"}]}, "has no name"),
        ({"allow_missing": "no"}, "neither true nor false"),
        ({"n_outputs": True}, "n_outputs is True"),
        ({"output_minimum": "low"}, "output_minimum is 'low'"),
        ({"classes": [None]}, "is no category or class"),
    ],
)
def test_a_malformed_contract_names_itself(change: dict[str, Any], message: str, logistic: Any) -> None:
    contract = {
        "features": [{"name": "f0", "dtype": "float64", "missing": False}],
        "task": "binary",
        "classes": [0, 1],
        "n_outputs": 1,
        "allow_missing": False,
        "allow_infinite": False,
    }
    with pytest.raises(TamperedArtifactError, match=message) as caught:
        Deployment.for_validation(onnx=logistic(width=1), contract=contract | change)
    assert caught.value.file == "contract.json"


def test_the_import_is_light() -> None:
    code = (
        "import sys, json; from validator import Deployment; "
        "heavy = ('pydantic', 'jinja2', 'pandas', 'pyarrow', 'sklearn', 'scipy', 'onnx', 'onnxruntime', 'rich'); "
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_serving_loads_numpy_and_onnxruntime_alone(make_artifact: Make, row: Any) -> None:
    code = (
        "import sys, json; from validator import Deployment; d = Deployment.load(sys.argv[1]); "
        "d.predict_single(json.loads(sys.argv[2])); "
        "heavy = ('pydantic', 'jinja2', 'pandas', 'pyarrow', 'sklearn', 'scipy', 'onnx', 'rich', 'dulwich'); "
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    command = [sys.executable, "-c", code, str(make_artifact()), json.dumps(row)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert json.loads(done.stdout) == []
    assert done.stderr == ""


def test_the_package_offers_nothing_else_lazily() -> None:
    import validator

    with pytest.raises(AttributeError, match="Deploymint"):
        validator.Deploymint  # noqa: B018


def test_a_folder_around_versions_names_the_newest(make_artifact: Make) -> None:
    artifact = make_artifact()
    for folder in (artifact.parent, artifact.parent.parent):
        with pytest.raises(ArtifactNotFoundError, match="it holds 1 of them") as caught:
            Deployment.load(folder)
        assert str(artifact) in caught.value.hint


@pytest.mark.parametrize("place", ["s3://bucket/v_1", "file:///models/v_1", "~/models/v_1"])
def test_a_place_that_is_no_path_is_told(place: str) -> None:
    with pytest.raises(ArtifactNotFoundError) as caught:
        Deployment.load(place)
    assert "address" in caught.value.hint or "`~`" in caught.value.hint


def test_what_file_systems_leave_behind_is_passed_over(make_artifact: Make, row: Any) -> None:
    artifact = make_artifact()
    for name in (".DS_Store", ".nfs00000001", "._model.onnx", "Thumbs.db"):
        (artifact / name).write_text("x")
    (artifact / "lost+found").mkdir()
    assert Deployment.load(artifact).predict_single(row).valid
    (artifact / "notes.txt").write_text("x")
    with pytest.raises(TamperedArtifactError, match=r"notes\.txt"):
        Deployment.load(artifact)


@pytest.mark.parametrize("inside", [True, False])
def test_a_volume_of_kubernetes_is_an_artifact(
    make_artifact: Make, row: Any, tmp_path: Path, inside: bool
) -> None:
    """Its files are links into a folder beside them, `..data`, itself a link to a folder with a date for a name."""
    artifact = make_artifact()
    volume = tmp_path / "volume" / artifact.name
    volume.mkdir(parents=True)
    dated = (volume if inside else volume.parent) / "..2026_11_28_09_00_00.123"
    shutil.copytree(artifact, dated)
    (dated.parent / "..data").symlink_to(dated.name)
    for file in dated.iterdir():
        (volume / file.name).symlink_to(dated.parent / "..data" / file.name)
    assert Deployment.load(volume).predict_single(row).valid
    (dated / "contract.json").write_text("{}")
    with pytest.raises(TamperedArtifactError, match=r"contract\.json"):
        Deployment.load(volume)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"extra": "drop"}, "extra is 'drop'"),
        ({"providers": "CPUExecutionProvider"}, "providers is 'CPUExecutionProvider'"),
        ({"providers": ()}, "providers is"),
        ({"providers": ("TensorFlowExecutionProvider",)}, "has no 'TensorFlowExecutionProvider'"),
        ({"threads": -1}, "threads is -1"),
    ],
)
def test_an_option_that_cannot_be_is_refused(make_artifact: Make, options: Any, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Deployment.load(make_artifact(), **options)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_says_what_to_do_instead(make_artifact: Make, how: Any) -> None:
    with pytest.raises(TypeError, match=r"Deployment\.load"):
        how(Deployment.load(make_artifact()))


@pytest.mark.parametrize("given", [None, b"/models/v_1", 3, {"path": "/models/v_1"}])
def test_what_is_no_path_is_refused_before_anything_is_opened(given: Any) -> None:
    with pytest.raises(OptionError, match="no path"):
        Deployment.load(given)
