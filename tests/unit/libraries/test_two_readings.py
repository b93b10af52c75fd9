"""Files that say more than one model: early-stopped XGBoost, and files that their library reads otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import xgboost

from validator.errors import ConversionError
from validator.libraries.adapter import Adapter
from validator.libraries.convert import convert_trees
from validator.libraries.read import read
from validator.worker.jobs.export import ExportJob
from validator.worker.loading import load_model

_RNG = np.random.default_rng(0)
_ROWS = _RNG.normal(size=(400, 4)).astype(np.float32)
_TRUTH = _ROWS[:, 0] + _RNG.normal(size=400)


def _early(kind: str) -> Any:
    options = {"n_estimators": 60, "early_stopping_rounds": 5, "learning_rate": 0.5, "n_jobs": 1}
    made = xgboost.XGBRegressor(**options) if kind == "regressor" else xgboost.XGBClassifier(**options)
    truth = {"regressor": _TRUTH, "binary": _TRUTH > 0, "multiclass": np.digitize(_TRUTH, [-1, 1])}[kind]
    return made.fit(_ROWS[:300], truth[:300], eval_set=[(_ROWS[300:], truth[300:])], verbose=False)


def _saved(model: Any, path: Path) -> bytes:
    model.save_model(path)
    return path.read_bytes()


def _raw(model: Any) -> Any:
    """What ONNX Runtime makes of the exported trees: probabilities or predictions."""
    header, arrays = model
    converted = convert_trees(read(header, arrays))
    session = onnxruntime.InferenceSession(converted.data)
    names = [output.name for output in session.get_outputs()]
    given = session.get_inputs()
    feed = (
        {given[0].name: _ROWS}
        if len(given) == 1
        else {column.name: _ROWS[:, [i]] for i, column in enumerate(given)}
    )
    answers = dict(zip(names, session.run(None, feed), strict=True))
    return answers.get("probabilities", answers.get("prediction"))


def _exported(data: bytes, format: str, reading: str = "auto") -> tuple[dict[str, Any], dict[str, Any]]:
    job = ExportJob(format, reading=reading)
    job.load([data])
    told, arrays = job.export([])
    return told["header"], dict(zip(told["names"], arrays, strict=True))


@pytest.mark.parametrize("kind", ["regressor", "binary", "multiclass"])
@pytest.mark.parametrize("ending", ["json", "ubj"])
def test_a_file_is_read_as_what_saved_it_reads_it_unless_told(kind: str, ending: str, tmp_path: Path) -> None:
    model = _early(kind)
    rounds = model.get_booster().num_boosted_rounds()
    assert model.best_iteration + 1 < rounds
    own = type(model)()
    form = f"xgboost-{ending}"
    files = {
        "wrapper": _saved(model, tmp_path / f"own.{ending}"),
        "booster": _saved(model.get_booster(), tmp_path / f"bare.{ending}"),
    }
    own.load_model(tmp_path / f"own.{ending}")
    asked = own.predict if kind == "regressor" else own.predict_proba
    whole = xgboost.Booster(model_file=tmp_path / f"own.{ending}").predict(xgboost.DMatrix(_ROWS))
    right = {
        "wrapper": asked(_ROWS),
        "booster": np.column_stack([1 - whole, whole]) if kind == "binary" else whole,
    }
    assert np.abs(right["wrapper"] - right["booster"]).max() > 0.01
    for saved_by, data in files.items():
        for reading in ("auto", "wrapper", "booster"):
            expected = right[saved_by if reading == "auto" else reading]
            adapter = Adapter(load_model(data, form, (), False, reading))
            outputs = adapter.predict(adapter.from_array(_ROWS))
            native = outputs.prediction if kind == "regressor" else outputs.probabilities
            np.testing.assert_allclose(native, expected, atol=1e-6)
            np.testing.assert_allclose(_raw(_exported(data, form, reading)), expected, atol=1e-5)
            assert "estimators" in adapter.facts["reading"]
            assert adapter.facts["reading_marked"] is (
                reading == "wrapper" or (reading == "auto" and saved_by == "wrapper")
            )


def test_one_reading_is_not_spoken_of(tmp_path: Path) -> None:
    model = xgboost.XGBRegressor(n_estimators=3, n_jobs=1).fit(_ROWS, _TRUTH)
    adapter = Adapter(load_model(_saved(model, tmp_path / "m.ubj"), "xgboost-ubj", (), False))
    assert adapter.facts["reading"] == ""
    assert adapter.facts["reading_marked"] is True


def _dart_as_later_releases_write_it(path: Path) -> bytes:
    """XGBoost 3.4 keeps dart's weights among the trees, of a booster that is called gbtree."""
    options = {"booster": "dart", "rate_drop": 0.5, "nthread": 1, "max_depth": 3}
    model = xgboost.train(options, xgboost.DMatrix(_ROWS, _TRUTH), 6)
    document = json.loads(_saved(model, path))
    booster = document["learner"]["gradient_booster"]
    assert min(booster["weight_drop"]) < 1
    inner = {**booster["gbtree"]["model"], "weight_drop": booster["weight_drop"]}
    document["learner"]["gradient_booster"] = {"name": "gbtree", "model": inner}
    return json.dumps(document).encode()


def test_what_a_library_drops_of_a_later_file_is_no_proof_of_that_file(tmp_path: Path) -> None:
    data = _dart_as_later_releases_write_it(tmp_path / "m.json")
    with pytest.raises(ConversionError, match=r"XGBoost holds another model than the file says.*leaf_value"):
        read(*_exported(data, "xgboost-json"))


def test_the_same_trees_in_another_notation_are_the_file(tmp_path: Path) -> None:
    model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(_ROWS, _TRUTH > 0)
    header, arrays = _exported(_saved(model, tmp_path / "m.json"), "xgboost-json")
    assert not np.array_equal(arrays["file"], arrays["model"])
    assert read(header, arrays) is not None
    arrays["file"] = np.frombuffer(
        arrays["file"].tobytes().replace(b'"base_score":"[4', b'"base_score":"[3'), dtype=np.uint8
    )
    with pytest.raises(ConversionError, match="another model"):
        read(header, arrays)
