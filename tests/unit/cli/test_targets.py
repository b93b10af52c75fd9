"""Which models a run judges."""

from __future__ import annotations

import pytest

from validator.cli.targets import targets
from validator.errors import UsageError
from validator.settings.table import Settings


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("models/a.onnx", "models/b.onnx", "preflight/a/artifact/a/v_1/model.onnx"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_a_pattern_does_not_find_what_an_earlier_run_wrote(checkout):
    found = targets(Settings(model=("**/*.onnx",)))
    assert [one.model[0] for one in found] == ["models/a.onnx", "models/b.onnx"]
    with pytest.raises(UsageError, match="no file matches"):
        targets(Settings(model=("preflight/**/*.onnx",)))


def test_a_path_is_taken_wherever_it_lies(checkout):
    path = "preflight/a/artifact/a/v_1/model.onnx"
    assert [one.model[0] for one in targets(Settings(model=(path,)))] == [path]


def test_results_beside_the_models_hide_none(checkout):
    found = targets(Settings(model=("models/*.onnx",), out="."))
    assert [one.model[0] for one in found] == ["models/a.onnx", "models/b.onnx"]
