"""`validator.validate` as scripts and notebooks call it: by a program without a file of its own, on real models."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import validator
from tests.integration.command import ROOT, TRADING, waived
from validator.errors import SampleError, SettingsError, UsageError

#: As a notebook runs it: read from standard input, with no `__main__` that another process could import.
PROGRAM = """
import json, pickle, sys, threading
import pandas as pd
import validator

with open({model!r}, "rb") as file:
    model = pickle.load(file)
data = pd.read_parquet({data!r}).head(60)
fast = dict(latency_budget_s=0.2, boundary_rows=500, batch_sizes=(1, 10), max_latency_ms=60_000)
found = []

def judge():
    pair = (data.drop(columns="direction"), data["direction"])
    found.append(validator.validate(model, pair, out="pair", quality={{"auc": 0.999}}, **fast))

one = threading.Thread(target=judge)
one.start()
one.join()
found.append(validator.validate(model, data, target="direction", **fast))
print(json.dumps([[one.verdict, [c.id for c in one.failures], str(one.artifact)] for one in found]))
from validator import Deployment
print(Deployment.load(found[1].artifact).predict_single(data.drop(columns="direction").iloc[0].to_dict()).label)
assert "lightgbm" in sys.modules
"""


def test_a_program_without_a_file_judges_a_model_in_memory_and_serves_it(tmp_path):
    (tmp_path / "preflight.toml").write_text('name = "mine"\n' + waived("latency.single", "latency.speedup"))
    program = PROGRAM.format(model=str(TRADING / "model.pkl"), data=str(TRADING / "sample.parquet"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-"],
        input=program,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    verdicts, label = done.stdout.splitlines()
    (failed, ids, _), (passed, none, artifact) = json.loads(verdicts)
    assert (failed, ids) == ("fail", ["quality.limits"])
    assert (passed, none) == ("pass", [])
    assert artifact.startswith(str(tmp_path / "preflight" / "artifact" / "mine" / "v_"))
    assert label in ("0", "1")
    assert done.stderr == ""
    assert {path.name for path in tmp_path.iterdir()} == {"preflight.toml", "pair", "preflight"}


@pytest.mark.parametrize(
    ("given", "kind", "says"),
    [
        ({"max_latency": 3}, SettingsError, "max_latency is no known key"),
        ({"max_latency_ms": -1}, SettingsError, "max_latency_ms: input should be greater than 0"),
        ({"comment": False}, SettingsError, "publishes nothing"),
        ({"only_changed": True}, SettingsError, "judges one model"),
        ({"model": "absent.pkl"}, UsageError, "absent.pkl"),
        ({"data": "absent.csv"}, UsageError, "absent.csv"),
        ({"data": {"a": [1.0]}}, SampleError, "no column 'direction'"),
        ({"config": "absent.toml"}, SettingsError, "absent.toml does not exist"),
    ],
)
def test_what_cannot_be_judged_raises_by_its_name(given, kind, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)  # where the checkout would be this folder
    settings = {"model": TRADING / "model.pkl", "data": TRADING / "sample.parquet", "out": "here", **given}
    with pytest.raises(kind) as error:
        validator.validate(settings.pop("model"), settings.pop("data"), **settings)
    assert says in str(error.value)


def test_importing_the_package_or_its_pytest_plugin_imports_nothing_else():
    code = (
        "import sys, {}; print(*sorted({{'numpy', 'pydantic', 'pandas', 'onnxruntime'}} & set(sys.modules)))"
    )
    for module in ("validator", "validator.api.pytest_plugin"):
        done = subprocess.run(
            [sys.executable, "-c", code.format(module)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout == "\n"


def test_without_the_gate_the_function_names_the_extra():
    code = "import sys; sys.modules['pydantic'] = None; import validator; validator.validate('m', 'd')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "UsageError: this needs the module pydantic, which is not installed" in done.stderr
    assert "pip install 'model-preflight[gate]'" in done.stderr
