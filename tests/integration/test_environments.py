"""Models saved by older releases, each judged in its own environment, and without it.

The environments come from the package index and are kept in the user's cache; without an index they are skipped.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.command import Ran, judge, unhurried
from validator.environments import build, interpreter, requirements
from validator.environments.installer import find_installer
from validator.errors import UsageError

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "model-preflight-tests"
TRAIN = Path(__file__).parent / "train_older.py"
BASE = ("--latency-budget-s", "0.5", "--target", "target")


@dataclass(frozen=True)
class Trained:
    """Models that an older environment saved: a folder of files, and how to have that environment again."""

    folder: Path
    python: str
    wanted: tuple[str, ...]
    interpreter: str

    def judge(self, name: str, *arguments: object, data: str = "sample.csv") -> Ran:
        return judge(
            "validate", self.folder / name, "--data", self.folder / data, *BASE, *arguments,
            cwd=self.folder, out=f"out-{name}", PREFLIGHT_ENVIRONMENT_CACHE=str(CACHE),
            PREFLIGHT_OUT=f"out-{name}",
        )  # fmt: skip

    @property
    def own(self) -> list[str]:
        """The flags that name the environment."""
        return ["--python", self.python, *(part for one in self.wanted for part in ("--requirements", one))]


Train = Callable[..., Trained]


@pytest.fixture(scope="session")
def train(tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Trains model kinds under a Python with those requirements; skips where either is not to be had."""

    def trained(python: str, *wanted: str, kinds: str) -> Trained:
        environ = dict(os.environ)
        try:
            base = interpreter.choose(python, environ)
        except UsageError as error:
            pytest.skip(error.message)
        try:
            built = build.ensure(requirements.read(wanted), base, CACHE, find_installer(environ), environ)
        except UsageError as error:
            if "reached" not in error.hint:
                raise
            pytest.skip(f"the package index cannot be reached: {error.message[:300]}")
        folder = tmp_path_factory.mktemp("trained")
        command = [built.python.path, "-W", "ignore", str(TRAIN), str(folder), *kinds.split()]
        subprocess.run(command, check=True)
        unhurried(folder)
        return Trained(folder, python, wanted, built.python.path)

    return trained


def _checks(ran: Ran, id: str) -> list[dict]:
    return [check for check in ran.result["checks"] if check["id"] == id]


def test_a_model_of_an_older_scikit_learn_is_judged_in_its_own_environment(train):
    older = train("3.9", "scikit-learn==1.0.2", "pandas", kinds="forest")
    ran = older.judge("forest.pkl", *older.own)
    assert ran.code == 0, ran.out + ran.err
    packages = ran.result["environment"]["packages"]
    assert packages["scikit-learn"] == "1.0.2"
    assert packages["native Python"].startswith("3.9.")
    assert ran.result["parity"]["level"] == "proved"
    assert _checks(ran, "load.versions")[0]["status"] == "pass"
    layers = {layer["name"]: layer["state"] for layer in ran.result["environment"]["isolation"]}
    assert layers["landlock"] == layers["seccomp"] == "applied"

    ran = older.judge("forest.pkl")
    assert ran.code == 1
    assert ran.result["reason"].startswith("Library versions match: saved with scikit-learn 1.0.2 (here ")
    assert 'requirements = ["scikit-learn==1.0.2"]' in _checks(ran, "load.versions")[0]["hint"]


@pytest.mark.long
@pytest.mark.parametrize("python", ["3.9", "3.10"])
def test_pipelines_of_text_categories_and_numbers_are_converted_where_they_were_trained(train, python):
    older = train(python, "scikit-learn==1.2.2", "pandas<2.2", kinds="mixed")
    for name in ("mixed-logit.pkl", "mixed-forest.pkl"):
        ran = older.judge(name, *older.own, data="mixed.csv")
        assert ran.code == 0, ran.out + ran.err
        assert ran.result["conversion"]["method"] == "skl2onnx"


@pytest.mark.long
@pytest.mark.parametrize(
    ("wanted", "name", "said"),
    [
        ("lightgbm==3.3.5", "lightgbm.pkl", "lightgbm before 4.0 (model text v3)"),
        ("lightgbm==3.3.5", "lightgbm.txt", "lightgbm before 4.0 (model text v3)"),
        ("xgboost==1.6.2", "xgboost.pkl", "xgboost 1.6.2"),
        ("xgboost==1.6.2", "xgboost.json", "xgboost 1.6.2"),
        ("xgboost==1.7.6", "xgboost.pkl", "xgboost 1.7.6"),
        ("xgboost==1.7.6", "xgboost.ubj", "xgboost 1.7.6"),
    ],
)
def test_models_of_older_boosting_libraries(train, wanted, name, said):
    older = train("3.9", wanted, "scikit-learn==1.2.2", "pandas<2", kinds=wanted.partition("=")[0])
    ran = older.judge(name, *older.own)
    assert ran.code == 0, ran.out + ran.err
    assert ran.result["parity"]["level"] == "proved"
    ran = older.judge(name)
    assert ran.code == 1
    assert ran.result["reason"].startswith("Library versions match: saved with ")
    assert said in ran.result["reason"]


@pytest.mark.long
@pytest.mark.parametrize("python", ["3.9", "3.10", "3.12", "3.13"])
def test_a_ready_made_interpreter_of_any_supported_python(train, python):
    newest = "scikit-learn==1.6.1"
    older = train(python, newest, "pandas", kinds="forest logit")
    for name in ("forest.pkl", "logit.pkl"):
        ran = older.judge(name, "--python", older.interpreter)
        assert ran.code == 0, ran.out + ran.err
        assert ran.result["environment"]["packages"]["native Python"].startswith(f"{python}.")


@pytest.mark.long
def test_an_mlflow_folder_is_judged_in_the_environment_that_it_records(train):
    older = train("3.9", "scikit-learn==1.2.2", "pandas<2.2", kinds="forest")
    model = older.folder / "mlflow-model"
    model.mkdir()
    (model / "model.pkl").write_bytes((older.folder / "forest.pkl").read_bytes())
    (model / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: model.pkl\n    sklearn_version: 1.2.2\nmodel_uuid: 1\n"
    )
    (model / "requirements.txt").write_text("mlflow==2.9.2\nscikit-learn==1.2.2\npandas<2.2\n")
    (model / "python_env.yaml").write_text("python: 3.9.18\ndependencies:\n- -r requirements.txt\n")
    ran = older.judge("mlflow-model", "--requirements", "mlflow")
    assert ran.code == 0, ran.out + ran.err
    ran = older.judge("mlflow-model")
    assert ran.code == 1
    assert 'requirements = "mlflow"' in _checks(ran, "load.versions")[0]["hint"]


@pytest.mark.parametrize(
    ("flags", "said", "remedy"),
    [
        (["--python", "/absent/python"], "cannot run /absent/python", "--python"),
        (["--python", "3.8"], "3.9 or later only", "newer Python"),
        (["--python", "/bin/sh"], "no Python interpreter", "--python"),
        (["--requirements", "absent.txt"], "no requirements file absent.txt", "path"),
        (["--requirements", "-e ."], "-e is not taken here", "wheels"),
        (["--requirements", "mlflow"], "no MLflow folder", "file or a list"),
    ],
)
def test_what_cannot_be_had_is_one_error_with_a_remedy(tmp_path, flags, said, remedy):
    (tmp_path / "model.txt").write_text("tree\nversion=v4\n")
    (tmp_path / "sample.csv").write_text("a,b\n1,2\n")
    flags = [f"{flags[0]}={flags[1]}"]
    ran = judge("validate", "model.txt", "--data", "sample.csv", *flags, cwd=tmp_path)
    assert ran.code == 2
    assert said in ran.err
    assert remedy in ran.err
    assert "Traceback" not in ran.err


def test_an_environment_without_numpy_or_the_library_fails_by_name(tmp_path):
    import sys

    import lightgbm
    import numpy as np

    rows = np.arange(200.0).reshape(100, 2)
    booster = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(rows, rows[:, 0] > 100), num_boost_round=2)
    booster.save_model(tmp_path / "model.txt")
    (tmp_path / "sample.csv").write_text("a,b\n1,2\n3,4\n")
    subprocess.run([sys._base_executable, "-m", "venv", "--without-pip", "bare"], cwd=tmp_path, check=True)  # type: ignore[attr-defined]
    ran = judge("validate", "model.txt", "--data", "sample.csv", "--python", "bare/bin/python", cwd=tmp_path)
    assert ran.code == 1
    check = _checks(ran, "load.versions")[0]
    assert check["message"].startswith("the model needs numpy, which cannot be imported under ")
    assert check["hint"] == "install numpy there, or give another --python"
    assert ran.result["reason"].startswith("Library versions match: the model needs numpy")


def test_inspect_shows_what_file_and_folder_record(tmp_path):
    import pickle

    from sklearn.linear_model import LinearRegression

    model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    (tmp_path / "MLmodel").write_text(
        "flavors:\n  python_function:\n    python_version: 3.9.18\n  sklearn:\n    pickled_model: model.pkl\n"
    )
    (tmp_path / "requirements.txt").write_text("lightgbm==3.3.5\n")
    ran = judge("inspect", ".", cwd=tmp_path)
    assert ran.code == 0, ran.err
    for line in ("with lightgbm 3.3.5", "with scikit-learn 1.", "with python 3.9.18"):
        assert f"  saved    {line}" in ran.out
