"""Run where `stumps` was added: everything that happens to a model file, up to its ONNX file and the proof."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import stumps_of_somebody
from packaging.specifiers import SpecifierSet

from validator.checks.load.environment import distributions
from validator.checks.preload import JUDGING, LOADING
from validator.environments import older
from validator.libraries.adapter import Adapter
from validator.libraries.convert import convert_trees
from validator.libraries.description import describe
from validator.libraries.export import export
from validator.libraries.read import read
from validator.model.file import identify, read_verified
from validator.model.safety import framework_of, scan
from validator.pipelines.foreseen import foreseen
from validator.table import Column, Table
from validator.trees.proof import Status, prove
from validator.worker.loading import load_model
from validator.worker.onnx_session import OnnxModel

path = Path(sys.argv[1])
stumps_of_somebody.Stump(feature=1, cut=0.25, low=-1.0, high=7.5, width=3).save(path)

file = identify(path)
assert file.format == "stumps-json", file
data = read_verified(file)
report = scan(data, file.format)
assert report.ok, report
assert framework_of(report) == "stumps_of_somebody"
assert dict(report.versions) == {"stumps-of-somebody": "1.2.0"}
assert [one.id for one in foreseen((), dict(report.facts))] == ["lone-split"]
damaged = scan(data.replace(b'"width": 3', b'"width": 1'), file.format)
assert str(damaged.findings[0].reason) == "it splits on a feature that does not exist", damaged

model = load_model(data, file.format, (), False)
adapter = Adapter(model)
assert (adapter.library, adapter.task, adapter.n_features) == ("stumps_of_somebody", "regression", 3)
assert describe(model)["sums_to_one"] is True
rows = np.random.default_rng(0).normal(size=(50, 3))
given = Table.of(Column(name, rows[:, i]) for i, name in enumerate("abc"))
native = adapter.predict(adapter.inputs(given)).prediction

ensemble = read(*export(model))
assert ensemble is not None
converted = convert_trees(ensemble)
assert [hazard.id for hazard in converted.hazards] == ["lone-split"]
assert prove(ensemble, converted.data).status is Status.PROVED
session = OnnxModel(converted.data)
np.testing.assert_array_equal(session.predict(session.inputs(given)).prediction, native)

assert distributions("stumps_of_somebody") == ("stumps-of-somebody",)
assert "numpy<2" in older.constraints({"stumps-of-somebody": SpecifierSet("==1.0")})
assert "validator.libraries.stumps_of_somebody.live" in LOADING
assert "validator.libraries.stumps_of_somebody.trees" in JUDGING
print("judged")
