"""docs/deployment.md: its code runs, its tables name what there is."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import validator.serving
from validator.catalog import SPECS
from validator.cli.main import build_parser
from validator.worker.wrapper import Methods, absent, present, start
from validator.worker.wrapper_answers import Reader

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
FEATURES = (
    "returns_1d", "returns_5d", "volatility_10d", "volatility_30d", "momentum_10d", "momentum_30d",
    "volume_ratio_10d", "volume_change_1d", "range_1d", "range_10d",
)  # fmt: skip


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an artifact of a small model of the trading example's features."""
    import lightgbm
    import pandas as pd

    from tests.unit.serving.conftest import contract_of, features, result_of
    from validator.artifact.write import write_artifact
    from validator.libraries.convert import convert_trees
    from validator.libraries.lightgbm import trees as reader
    from validator.results import ModelInfo

    sample = pd.read_parquet(ROOT / "examples/trading/sample.parquet")
    assert set(sample.columns) == {*FEATURES, "direction"}
    model = lightgbm.LGBMClassifier(n_estimators=3, num_leaves=4, verbosity=-1)
    model.fit(sample[list(FEATURES)], sample["direction"])
    text = model.booster_.model_to_string()
    sha = hashlib.sha256(b"pickle").hexdigest()
    info = ModelInfo(path="model.pkl", name="trading", format="pickle", sha256=sha, size_bytes=6)
    folder = tmp_path_factory.mktemp("doc")
    write_artifact(
        folder / "preflight",
        result=result_of(contract_of(features(*FEATURES)), model=info),
        onnx=convert_trees(reader.read(text, class_labels=[0, 1], feature_names=list(FEATURES))).data,
        report_md="# R\n",
    )
    return folder


def run_blocks(names: dict[str, Any]) -> dict[str, Any]:
    for block in BLOCKS:
        exec(compile(block, "docs/deployment.md", "exec"), names)
    return names


def test_the_code_runs_as_it_is_printed(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    names = run_blocks({})
    assert names["model"].counts()["ok"] > 0


def test_the_wrapper_is_one(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    monkeypatch.chdir(workspace)
    made = start(run_blocks({})["Wrapper"], "model.pkl", Methods())
    wrapper, names = made.wrapper, made.names
    assert names == Methods(), "it has the names that are the default"
    assert present(wrapper, names) == {
        "predict": "predict",
        "single": "predict_single",
        "batch": "predict_batch",
    }
    assert absent(wrapper, names) == []
    answer = Reader("binary", [0, 1]).read(wrapper.predict(pd.DataFrame({"returns_1d": [0.1, -0.1]})))
    assert answer.label is not None
    assert answer.label.tolist() == [1, 0]
    assert np.array_equal(answer.present["probabilities"], [[0.4, 0.6]] * 2)


def test_every_error_in_the_table_is_there_and_is_the_built_in_that_it_says() -> None:
    rows = re.findall(r"^\| (`\w+Error`.*?) \| `(\w+)` \|", DOC, re.MULTILINE)
    assert len(rows) == 10
    for names, builtin in rows:
        for name in re.findall(r"`(\w+)`", names):
            assert builtin in {kind.__name__ for kind in getattr(validator.serving, name).__mro__}


def test_every_check_and_flag_that_it_names_is_there() -> None:
    ids = {spec.id for spec in SPECS}
    assert set(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|", DOC, re.MULTILINE)) <= ids
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices
    text = commands["validate"].format_everything()
    for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", DOC)):
        assert flag in text
