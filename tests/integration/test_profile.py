"""The profile through the real command: shipped, compared with, and drift found against it."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.command import TRADING, Ran, judge

FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1,10")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of the same features, the sample, and the same rows in other units."""
    from lightgbm import LGBMClassifier

    place = tmp_path_factory.mktemp("profile")
    sample = pd.read_parquet(TRADING / "sample.parquet")
    features = [name for name in sample.columns if name != "direction"]
    small = LGBMClassifier(n_estimators=5, num_leaves=5, verbosity=-1, n_jobs=1)
    small.fit(sample[features].iloc[:600], np.random.default_rng(0).integers(0, 2, 600))
    (place / "champion.pkl").write_bytes(pickle.dumps(small))
    shutil.copy(TRADING / "model.pkl", place / "model.pkl")
    sample.to_parquet(place / "sample.parquet")
    sample.assign(volume_ratio_10d=sample["volume_ratio_10d"] * 100).to_parquet(place / "other.parquet")
    return place


@pytest.fixture(scope="module")
def champion(folder: Path) -> Ran:
    return judge(
        "validate", "champion.pkl", "--data", "sample.parquet", "--target", "direction",
        "--quality-chance", "fail", *FAST, cwd=folder, out="preflight",
    )  # fmt: skip


def failing(ran: Ran) -> set[str]:
    return {id for id in ran.failing() if not id.startswith("latency.")}


def artifact_of(ran: Ran) -> Path:
    return next((ran.folder / "artifact").glob("*/v_*"))


def test_a_model_that_is_no_better_than_chance_fails_where_that_is_asked_for(champion: Ran) -> None:
    assert failing(champion) == {"quality.chance"}
    assert "a constant prediction's 0.5" in champion.result["reason"]


def test_the_artifact_ships_the_profile(champion: Ran) -> None:
    profile = json.loads((artifact_of(champion) / "profile.json").read_text())
    assert profile["rows"] == 1_005
    assert profile["ordered"] is True
    assert [one["name"] for one in profile["outputs"]] == ["probabilities[1]"]
    assert {one["metric"] for one in profile["quality"]} == {"auc", "log_loss", "brier", "accuracy"}
    assert len(profile["features"]) == 10


def test_data_unlike_the_champions_profile_fails_where_that_is_asked_for(folder: Path, champion: Ran) -> None:
    found = judge(
        "validate", "model.pkl", "--data", "sample.parquet", "--reference", "other.parquet",
        "--target", "direction", "--baseline", artifact_of(champion), "--profile-drift", "fail",
        *FAST, cwd=folder, out="candidate",
        PREFLIGHT_OUT="candidate",
    )  # fmt: skip
    assert failing(found) == {"profile.drift"}
    check = next(one for one in found.result["checks"] if one["id"] == "profile.drift")
    assert "volume_ratio_10d" in check["message"]
    assert "→" in check["evidence"][0]["seen"]
    profile = json.loads((artifact_of(found) / "profile.json").read_text())
    assert profile["source"] == "reference"


def test_drift_judges_data_with_that_artifact(folder: Path, champion: Ran) -> None:
    artifact = ("--artifact", artifact_of(champion), "--override", "no better than chance")
    same = judge("drift", "sample.parquet", *artifact, cwd=folder)
    other = judge("drift", "other.parquet", *artifact, cwd=folder)
    assert same.code == 4
    assert "FAIL" not in same.out
    assert other.code == 1
    assert "FAIL  volume_ratio_10d" in other.out


def test_a_server_answers_the_golden_requests_and_counts_in_the_profiles_bins(
    folder: Path, champion: Ran
) -> None:
    from validator.serving.server.limits import ServeOptions
    from validator.serving.server.serve import assemble

    told: list[str] = []
    artifact = artifact_of(champion)
    service = assemble(str(artifact), ServeOptions(override="a drill"), told.append).service
    golden = json.loads((artifact / "golden.json").read_text())
    assert f"{len(golden['rows'])} golden requests answered right" in told
    seen = pd.read_parquet(folder / "sample.parquet")[list(golden["rows"][0])].to_dict("records")
    assert not [row for row in golden["rows"] if row in seen]
    form = service._forms["/predict"]
    for chunk in (golden["rows"][:1], golden["rows"]):
        reply = service.predictor.compute(form, json.dumps({"rows": chunk}).encode(), None, "id")
        assert reply.status == 200
        service.predictor.settle(reply, "id", 0.001)
    assert service.metrics.bins.features.rows == len(golden["rows"]) + 1
    assert service.metrics.bins.outputs.rows == len(golden["rows"]) + 1
