"""`convert` without rows: the model is loaded once, and the ONNX file is the one that rows would have given."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.integration.command import DIAGNOSIS, TRADING, run
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
    alone = run("convert", model.name, "-o", "alone.onnx", "--quiet", cwd=tmp_path)
    assert alone.code == 0, alone.err
    with_rows = run(
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
    stage = Stages(progress=lambda _: None)
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
