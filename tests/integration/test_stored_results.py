"""What release 0.1.0 wrote, in tests/stored, is still read: published, compared with, verified and served."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from pandas import read_csv
from pydantic import ValidationError

from tests.integration.command import judge
from tests.integration.test_github_forks import run_event
from validator import Deployment
from validator.artifact.read import read_artifact
from validator.baseline.base import Base
from validator.baseline.find import find_base
from validator.errors import UsageError
from validator.github.hostile import HostileResultError, read_run
from validator.results import SCHEMA_VERSION, GateResult, IndexedModel, RunIndex

STORED = Path(__file__).parents[1] / "stored" / "0.1.0"
FOLDERS = {"passed": "pass", "blocked": "fail"}
(ARTIFACT,) = (STORED / "passed" / "artifact" / "fraud").iterdir()
#: Small budgets: what is judged here is reading, not the model.
FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1", "--inconclusive", "warn")


def indexed(folder: Path, **run: Any) -> Path:
    """The folder with the index that a run writes now, and that 0.1.0 did not: publishing believes nothing else."""
    raw = (folder / "result.json").read_bytes()
    path = json.loads(raw)["model"]["path"]
    one = IndexedModel(
        name="fraud",
        path=path,
        folder=".",
        status="judged",
        sha256=hashlib.sha256(raw).hexdigest(),
        files=(path,),
    )
    (folder / "index.json").write_text(RunIndex(tool_version="0.1.0", models=(one,), **run).model_dump_json())
    return folder


def read_results(folder: Path, tmp_path: Path) -> tuple[GateResult, ...]:
    """What publishing reads of a folder."""
    place = tmp_path / "read"
    place.mkdir()
    shutil.copy(folder / "result.json", place)
    return read_run(indexed(place)).results


def lost(old: Any, new: Any, where: str = "") -> list[str]:
    """Places at which something of the old document is not in the new one, which may have further keys."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            place
            for key, value in old.items()
            for place in (lost(value, new[key], f"{where}.{key}") if key in new else [f"{where}.{key}"])
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            place
            for i, (a, b) in enumerate(zip(old, new, strict=True))
            for place in lost(a, b, f"{where}[{i}]")
        ]
    return [] if old == new and type(old) is type(new) else [where]


def document(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STORED / folder / "result.json").read_text())
    return found


@pytest.mark.parametrize(("folder", "verdict"), FOLDERS.items())
def test_a_result_of_schema_1_is_read_whole(folder: str, verdict: str, tmp_path: Path) -> None:
    old = document(folder)
    assert old["schema_version"] == 1
    (result,) = read_results(STORED / folder, tmp_path)
    assert result.schema_version == SCHEMA_VERSION
    assert result.verdict == verdict
    new = json.loads(result.model_dump_json())
    as_before = json.loads(json.dumps(new).replace('"wrapper"', '"custom"')) | {"schema_version": 1}
    assert lost(old, as_before) == [], "nothing is lost or changed but the name of the wrapper's runtime"


def test_the_wrappers_runtime_has_its_present_name_everywhere(tmp_path: Path) -> None:
    (result,) = read_results(STORED / "blocked", tmp_path)
    assert sum(check["runtime"] == "custom" for check in document("blocked")["checks"]) == 35
    assert sum(check.runtime == "wrapper" for check in result.checks) == 35
    assert result.latency.wrapper is not None
    assert '"custom"' not in result.model_dump_json()


@pytest.mark.parametrize("schema", [0, 3, 99, -1, True, 1.0, "1", None, [1], {"a": 1}])
def test_every_other_schema_is_refused_by_its_number(tmp_path: Path, schema: Any) -> None:
    content = json.dumps(document("passed") | {"schema_version": schema})
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(HostileResultError, match="this release reads 1 to 2") as caught:
        read_results(tmp_path, tmp_path)
    assert "newer one" in caught.value.hint
    with pytest.raises(UsageError, match="this release reads 1 to 2"):
        find_base(str(tmp_path / "result.json"), model="model.pkl", environ={})


def test_a_file_says_one_schema_and_keeps_to_it() -> None:
    latency = document("blocked")["latency"]
    both = document("blocked") | {"latency": {**latency, "wrapper": latency["custom"]}, "schema_version": 2}
    with pytest.raises(ValidationError, match=r"latency\.custom"):
        GateResult.model_validate_json(json.dumps(both))
    with pytest.raises(ValidationError, match=r"checks\.0"):
        GateResult.model_validate_json(
            json.dumps(document("passed") | {"checks": [{"runtime": "custom"}, 3, None]})
        )
    with pytest.raises(ValidationError, match="latency"):
        GateResult.model_validate_json(json.dumps(document("passed") | {"latency": ["custom"]}))


@pytest.mark.parametrize(("folder", "state"), [("passed", "success"), ("blocked", "failure")])
def test_it_is_published(make_job: Any, peer: Any, tmp_path: Path, folder: str, state: str) -> None:
    shutil.copytree(STORED / folder, tmp_path / "preflight")
    head = {"run_id": 5, "run_attempt": 1, "head_sha": peer.s["refs"]["feature"], "pull": 1}
    indexed(tmp_path / "preflight", repository=peer.repo, context="model-preflight", **head)
    conclusion = "success" if state == "success" else "failure"
    job = make_job(run_event(peer, fork=False, conclusion=conclusion), name="workflow_run", run_id=99)
    assert job.publish_folder(tmp_path / "preflight").failed == ()
    (status,) = peer.statuses(peer.s["refs"]["feature"])
    assert status["state"] == state
    (comment,) = peer.comments(1)
    assert ("Your wrapper" in comment["body"]) == (folder == "blocked")


def test_a_candidate_is_compared_with_it(tmp_path: Path) -> None:
    from lightgbm import LGBMClassifier

    sample = read_csv(STORED / "sample.csv")
    model = LGBMClassifier(n_estimators=4, num_leaves=4, min_child_samples=5, verbose=-1)
    model.fit(sample.drop(columns="fraud"), sample["fraud"])
    joblib.dump(model, tmp_path / "model.pkl")
    base = STORED / "passed" / "result.json"
    where = ("--data", STORED / "sample.csv", "--target", "fraud", "--baseline", base)
    ran = judge("validate", "model.pkl", *where, *FAST, cwd=tmp_path)
    change = ran.result["change"]
    assert change["status"] == "compared", ran.err
    assert change["base_version"] == ARTIFACT.name
    assert change["rows"] == 300
    assert change["contract_changes"] == []


@pytest.mark.parametrize("place", [ARTIFACT, STORED / "passed", STORED / "passed" / "result.json"])
def test_every_way_to_name_it_as_the_base_version_finds_the_same(place: Path) -> None:
    base = find_base(str(place), model="model.pkl", environ={})
    assert isinstance(base, Base)
    assert (base.version, base.format, base.data) == (ARTIFACT.name, "onnx", read_artifact(ARTIFACT).onnx)
    assert base.contract is not None
    assert [feature.name for feature in base.contract.features] == ["amount", "age", "visits"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_artifact_verifies(folder: str) -> None:
    (artifact,) = (STORED / folder / "artifact" / "fraud").iterdir()
    stored = read_artifact(artifact)
    assert stored.manifest["tool_version"] == "0.1.0"
    assert stored.manifest["verdict"] == FOLDERS[folder]
    assert stored.onnx is not None


def test_its_artifact_is_served() -> None:
    deployment = Deployment.load(ARTIFACT)
    with (STORED / "sample.csv").open(newline="") as file:
        rows = [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
    answers = deployment.predict_batch(
        [{key: row[key] for key in ("amount", "age", "visits")} for row in rows]
    )
    sample = read_csv(STORED / "sample.csv").drop(columns="fraud")
    native = joblib.load(STORED / "model.pkl").predict_proba(sample)
    assert np.allclose(answers.probabilities, native, rtol=0, atol=1e-12)
    assert deployment.metadata()["version"] == ARTIFACT.name
