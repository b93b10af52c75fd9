"""Models in MLflow's own stores: judged by address, their verdict written back as tags. With mlflow-skinny alone."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.integration.command import ROOT, TRADING, Ran, judge, unhurried
from validator.cli.mlflow_store import TAGS, fetched
from validator.errors import SettingsError, UsageError
from validator.settings.anchoring import anchored, is_address
from validator.settings.sources import resolve
from validator.settings.table import Settings

#: MLflow's own libraries may be out of date with each other.
pytestmark = pytest.mark.filterwarnings("default")
needs_mlflow = pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed here: it is heavy"
)
FAST = ("--target", "direction", "--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1,10")
_OPTIONS = ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_ALLOW_FILE_STORE")
_MLMODEL = """\
flavors:
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: {version}
model_uuid: 0123456789abcdef0123456789abcdef
"""


class Store:
    """A tracking server's database in a folder, with one run and two versions of a model."""

    def __init__(self, folder: Path) -> None:
        import sklearn
        from mlflow.tracking import MlflowClient

        database = importlib.util.find_spec("sqlalchemy") is not None  # which mlflow-skinny does without
        self.uri = f"sqlite:///{folder / 'mlflow.db'}" if database else (folder / "store").as_uri()
        logged = folder / "logged"
        logged.mkdir()
        shutil.copy(TRADING / "model.pkl", logged)
        (logged / "MLmodel").write_text(_MLMODEL.format(version=sklearn.__version__))
        self.client = MlflowClient(tracking_uri=self.uri)
        experiment = self.client.create_experiment("e", artifact_location=(folder / "artifacts").as_uri())
        self.run = self.client.create_run(experiment).info.run_id
        self.client.log_artifacts(self.run, str(logged), "churn")
        self.client.create_registered_model("churn")
        source = f"{self.client.get_run(self.run).info.artifact_uri}/churn"
        for _ in range(2):
            self.client.create_model_version("churn", source, self.run)
        self.client.set_registered_model_alias("churn", "challenger", "2")

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version("churn", version).tags)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        for name in _OPTIONS:
            patch.setenv(name, "true")
        yield Store(tmp_path_factory.mktemp("store"))


def judged(folder: Path, store: Store, address: str, *flags: object) -> Ran:
    pd.read_parquet(TRADING / "sample.parquet").head(60).to_parquet(folder / "sample.parquet")
    unhurried(folder)
    arguments = ("validate", address, "--data", "sample.parquet", *FAST, *flags)
    return judge(*arguments, cwd=folder, MLFLOW_TRACKING_URI=store.uri, **dict.fromkeys(_OPTIONS, "true"))


@needs_mlflow
def test_an_alias_is_judged_as_the_version_that_it_names_and_that_version_is_tagged(tmp_path, store):
    ran = judged(tmp_path, store, "models:/churn@challenger")
    assert ran.code == 0, ran.out + ran.err
    assert ran.result["model"]["path"] == "models:/churn/2"
    assert ran.result["model"]["name"] == "churn"
    said, tags = ran.result, store.tags("2")
    reason = f"Judged less strictly: {'; '.join(said['loosened'])}. {said['reason']}"
    values = ("pass", said["version"], said["tool_version"], said["model"]["sha256"], reason[:500])
    assert tags == dict(zip(TAGS, values, strict=True))
    assert said["loosened"], "the test's own waivers"
    assert store.tags("1") == {}
    assert "preflight-mlflow" not in (tmp_path / "preflight" / "report.md").read_text()
    index = json.loads((tmp_path / "preflight" / "index.json").read_text())
    assert index["models"][0]["path"] == "models:/churn/2"


@needs_mlflow
def test_a_failure_is_told_too(tmp_path, store):
    ran = judged(tmp_path, store, "models:/churn/1", "--quality", "auc=0.99")
    assert ran.code == 1
    assert store.tags("1")["preflight.verdict"] == "fail"
    assert "auc is" in store.tags("1")["preflight.reason"]


@needs_mlflow
def test_a_runs_model_is_judged_and_the_run_is_tagged(tmp_path, store):
    ran = judged(tmp_path, store, f"runs:/{store.run}/churn")
    assert ran.code == 0, ran.out + ran.err
    assert ran.result["model"]["path"] == f"runs:/{store.run}/churn"
    assert store.client.get_run(store.run).data.tags["preflight.verdict"] == "pass"


@needs_mlflow
@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("models:/churn/9", "MLflow does not give models:/churn/9"),
        ("models:/nobody/1", "MLflow does not give models:/nobody/1"),
        ("models:/churn@nothing", "MLflow does not give models:/churn@nothing"),
        ("models:/churn", "is no address of a model"),
        ("models:/churn/Production", "names no version and no alias"),
        ("runs:/not-a-run/churn", "is no address of a model"),
    ],
)
def test_what_mlflow_does_not_know_is_named_with_the_address(address, says, store, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store.uri)
    with pytest.raises(UsageError) as error, fetched(Settings(model=(address,)), {}):
        pass
    assert says in error.value.message
    assert error.value.hint


def test_without_mlflow_the_extra_is_named(tmp_path):
    code = "import sys; sys.modules['mlflow'] = None; from validator.cli.main import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "validate", "models:/churn/1", "--data", "s.csv"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "models:/churn/1 needs the module mlflow" in done.stderr
    assert "pip install 'model-preflight[mlflow]'" in done.stderr


def test_an_address_in_a_configuration_file_stays_one_and_is_refused_in_a_job_on_github(tmp_path):
    assert is_address("models:/a/1")
    assert is_address("runs:/0/a")
    assert not is_address("models/a.pkl")
    values = {"model": "models:/churn/1", "models": [{"model": "runs:/0/m"}, {"model": "m.pkl"}]}
    found = anchored(values, tmp_path / "sub", tmp_path)
    assert found["model"] == ["models:/churn/1"]
    assert [entry["model"] for entry in found["models"]] == ["runs:/0/m", "sub/m.pkl"]
    (tmp_path / "preflight.toml").write_text('model = "models:/churn/1"\n')
    assert resolve({}, {}, tmp_path).model == ("models:/churn/1",)
    with pytest.raises(SettingsError, match="in a GitHub job"):
        resolve({}, {"GITHUB_ACTIONS": "true"}, tmp_path)
    (tmp_path / "preflight.toml").write_text('[[models]]\nmodel = "runs:/0/m"\n')
    with pytest.raises(SettingsError, match="in a GitHub job"):
        resolve({}, {"GITHUB_ACTIONS": "true"}, tmp_path)
