"""`convert` without rows: the model is loaded once, and the ONNX file is the one that rows would have given."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.command import DIAGNOSIS, TRADING, judge
from validator.checks.load.model import load_native
from validator.checks.load.safety import inspect
from validator.checks.load.versions import compare_versions
from validator.gate.result_builder import Stages
from validator.gate.session import open_context
from validator.model.file import identify
from validator.settings.table import Settings
from validator.table import Column, Table


@pytest.mark.parametrize(
    ("model", "sample", "target"),
    [
        (TRADING / "model.pkl", TRADING / "sample.parquet", "direction"),
        (DIAGNOSIS / "model.joblib", DIAGNOSIS / "sample.csv", "benign"),
    ],
    ids=["trees", "pipeline"],
)
def test_rows_change_nothing_in_the_file(model: Path, sample: Path, target: str, tmp_path: Path) -> None:
    shutil.copy(model, tmp_path)
    alone = judge("convert", model.name, "-o", "alone.onnx", "--quiet", cwd=tmp_path)
    assert alone.code == 0, alone.err
    with_rows = judge(
        "convert",
        model.name,
        "-o",
        "rows.onnx",
        "--data",
        sample,
        "--target",
        target,
        "--quiet",
        cwd=tmp_path,
    )
    assert with_rows.code == 0, with_rows.err
    assert (tmp_path / "alone.onnx").read_bytes() == (tmp_path / "rows.onnx").read_bytes()


def test_a_model_that_is_asked_nothing_is_loaded_by_the_exporter_alone_until_it_is_asked() -> None:
    path = str(TRADING / "model.pkl")
    stage = Stages(progress=lambda *_: None)
    with open_context(Settings(model=(path,)), path, identify(path), {}, stage) as context:
        versions = compare_versions(context, inspect(context))
        started: list[str] = []
        start = context.pool.start

        def noted(job: str, **how: object) -> object:
            started.append(job)
            return start(job, **how)

        context.pool.start = noted
        native = load_native(context, versions, asked=False)
        assert started == ["export"]
        names = native.facts.feature_names
        row = Table.of(Column(name, np.zeros(1), None) for name in names)
        answer = native.runtime.predict(row).present
        assert started == ["export", "native"]
        assert native.runtime.predict(row).present.keys() == answer.keys()
        assert started == ["export", "native"]
        told = native.runtime.worker.call("load", [context.data]).result
        assert {
            name: getattr(native.facts, name) for name in ("library", "model_class", "task", "n_features")
        } == {name: told[name] for name in ("library", "model_class", "task", "n_features")}
        assert list(native.facts.classes) == told["classes"]
        assert list(names) == told["feature_names"]


def _saved_by(release: str, folder: Path) -> None:
    """An early-stopped estimator's own file, as if another release had written it."""
    import xgboost

    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    truth = rows[:, 0] + np.random.default_rng(1).normal(size=300)
    model = xgboost.XGBRegressor(n_estimators=40, early_stopping_rounds=4, learning_rate=0.5, n_jobs=1)
    model.fit(rows[:200], truth[:200], eval_set=[(rows[200:], truth[200:])], verbose=False)
    model.save_model(folder / "model.json")
    document = json.loads((folder / "model.json").read_text())
    document["version"] = [int(part) for part in release.split(".")]
    (folder / "model.json").write_text(json.dumps(document))


def test_versions_are_judged_as_validate_judges_them(tmp_path: Path) -> None:
    _saved_by("1.7.6", tmp_path)
    refused = judge("convert", "model.json", "-o", "m.onnx", "--quiet", cwd=tmp_path)
    assert refused.code == 1
    assert "saved with xgboost 1.7.6" in refused.out
    assert "xgboost==1.7.6" in refused.out
    assert not (tmp_path / "m.onnx").exists()
    expires = dt.date.today() + dt.timedelta(days=20)
    (tmp_path / "preflight.toml").write_text(
        f'[[waivers]]\ncheck = "load.versions"\nreason = "tried out by hand"\nexpires = "{expires}"\n'
    )
    waived = judge("convert", "model.json", "-o", "m.onnx", "--quiet", cwd=tmp_path)
    assert waived.code == 0, waived.err
    assert "read as XGBoost's estimators read it" in waived.out
    assert (tmp_path / "m.onnx").exists()
