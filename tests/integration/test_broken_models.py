"""Models broken on purpose, through the real command: the check meant for a fault blocks, and is told first."""

from __future__ import annotations

import importlib.util
import pickle
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.command import TRADING, judge

MODULE = Path(__file__).with_name("faulty_models.py")
ROWS = 40
FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 2_000, "--batch-sizes", "1,10")


@pytest.fixture(scope="session")
def trained():
    return pickle.loads((TRADING / "model.pkl").read_bytes())


@pytest.fixture(scope="session")
def faulty():
    """The module of broken models under the name that a user's own package has."""
    spec = importlib.util.spec_from_file_location("faulty_models", MODULE)
    module = importlib.util.module_from_spec(spec)
    sys.modules["faulty_models"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["faulty_models"]


@pytest.fixture
def judged(tmp_path, faulty):
    """Runs the gate on broken models by name, with their package beside them."""

    def on(models, *flags, rows=ROWS):
        shutil.copy(MODULE, tmp_path)
        for name, model in models.items():
            (tmp_path / f"{name}.pkl").write_bytes(pickle.dumps(model))
        pd.read_parquet(TRADING / "sample.parquet").head(rows).to_parquet(tmp_path / "sample.parquet")
        return judge(
            "validate", *(f"{name}.pkl" for name in models), "--data", "sample.parquet",
            "--target", "direction", "--allow", "faulty_models.*", *FAST, *flags, cwd=tmp_path,
        )  # fmt: skip

    return on


def convert(model) -> bytes:
    """A sound ONNX file of a LightGBM model."""
    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    return convert_trees(read(*export(model))).data


def assert_told_first(found, id, *, runtime, words, hint, name="model"):
    """Verdict, terminal and report begin with this check, what was seen, and what to do."""
    check = next(c for c in found.result["checks"] if (c["id"], c["runtime"]) == (id, runtime))
    assert check["status"] == "fail"
    assert words in check["message"]
    assert hint in check["hint"]
    assert found.result["verdict"] == "fail"
    assert found.result["reason"].startswith(check["title"])
    terminal = found.out[found.out.index(f"FAIL  {name} ") :]
    for text in (terminal, (found.folder / "report.md").read_text()):
        head = " ".join("\n".join(text.splitlines()[:18]).replace("\\", "").split())
        assert id in head
        assert words in head
        assert hint in head


def wrong(found):
    """What failed. How long a call takes is another test's concern: on a busy machine it may be too long."""
    return {id for id in found.failing() if not id.startswith("latency.")}


#: Fault -> the one check that it must fail, words of what was seen, and words of the remedy.
FAULTS = {
    "GivesNaN": ("smoke.finite", "NaN", "division"),
    "InfiniteRegressor": ("smoke.finite", "Inf", "division"),
    "AboveOne": ("smoke.range", "are outside", "return probabilities"),
    "NotSummingToOne": ("smoke.range", "sum to", "return probabilities"),
    "Random": ("smoke.repeatable", "differ", "remove randomness"),
    "BatchDependent": ("smoke.rowwise", "than in a batch", "other rows"),
    "NotThreadSafe": ("smoke.threads", "a thread's answer differs", "mutable state"),
    "ThirdClass": ("smoke.shape", "3 columns for 2 classes", "one column a class"),
    "LosesRows": ("smoke.batch", f"{ROWS - 1} probabilities", "one answer for each row"),
    "Sound": ("convert.onnx", "no converter for faulty_models.Sound", "--onnx"),
}


#: What may follow from a fault: other checks compare answers too.
CONSEQUENCES = {
    "Random": {"errors.large_batch/native", "errors.many_threads/native"},
    "LosesRows": {"errors.large_batch/native"},
    "NotThreadSafe": {"errors.many_threads/native"},
}
COMMON = ("GivesNaN", "AboveOne", "Random", "BatchDependent")


@pytest.mark.parametrize(
    "names",
    [COMMON, pytest.param(tuple(sorted(set(FAULTS) - set(COMMON))), marks=pytest.mark.long)],
    ids=["common", "rare"],
)
def test_a_fault_is_blocked_by_the_check_that_is_meant_for_it_and_told_first(names, judged, faulty, trained):
    """A class of the user's own has no ONNX form: that is told too, but after the model's own fault."""
    found = judged({name: getattr(faulty, name)(trained) for name in names})
    assert found.code == 1
    each = {name: replace(found, folder=found.folder / name) for name in names}
    for name, one in each.items():
        meant = {*_native(FAULTS[name][0]), "convert.onnx"}
        assert meant <= wrong(one) <= meant | CONSEQUENCES.get(name, set()), name
    for name in names:
        id, words, hint = FAULTS[name]
        runtime = "native" if _native(id) else ""
        assert_told_first(each[name], id, runtime=runtime, words=words, hint=hint, name=name)


def _native(id):
    return set() if id == "convert.onnx" else {f"{id}/native"}


def test_with_an_onnx_file_of_its_own_a_sound_class_passes(judged, faulty, trained, tmp_path):
    (tmp_path / "given.onnx").write_bytes(convert(trained))
    found = judged({"model": faulty.Sound(trained)}, "--onnx", "given.onnx")
    assert wrong(found) == set(), found.out


def test_a_predict_of_200_ms_is_blocked_by_latency_alone(judged, faulty, trained, tmp_path):
    (tmp_path / "given.onnx").write_bytes(convert(trained))
    found = judged({"model": faulty.Slow(trained)}, "--onnx", "given.onnx", rows=12)
    assert {"smoke.latency/native", "latency.single/native"} <= found.failing()
    assert wrong(found) == {"smoke.latency/native"}
    assert_told_first(
        found, "smoke.latency", runtime="native", words="ms, the limit is 50 ms", hint="prune or simplify"
    )


def test_the_onnx_file_of_another_model_is_blocked_by_parity(judged, trained, tmp_path):
    (tmp_path / "other.onnx").write_bytes(convert(_retrained(trained)))
    found = judged({"model": trained}, "--onnx", "other.onnx")
    disagreeing = wrong(found)
    assert {"parity.sample", "parity.boundary"} <= disagreeing
    assert {id.partition(".")[0] for id in disagreeing} == {"parity"}
    assert_told_first(
        found, "parity.sample", runtime="", words="sample rows differ", hint="do not ship this ONNX file"
    )


def _retrained(trained):
    """The same kind of model after other training."""
    sample = pd.read_parquet(TRADING / "sample.parquet")
    fresh = type(trained)(**{**trained.get_params(), "n_estimators": 20, "random_state": 8})
    return fresh.fit(sample.drop(columns="direction"), sample["direction"])


def test_a_threshold_one_ulp_away_is_found_although_no_row_of_the_sample_shows_it(judged, trained, tmp_path):
    import onnx
    from onnx import numpy_helper

    proto = onnx.load_from_string(convert(trained))
    node = next(node for node in proto.graph.node if node.op_type == "TreeEnsemble")
    attribute = next(attribute for attribute in node.attribute if attribute.name == "nodes_splits")
    splits = numpy_helper.to_array(attribute.t).copy()
    at = int(np.argmax(np.abs(splits)))
    splits[at] = np.nextafter(splits[at], np.inf)
    attribute.t.CopyFrom(numpy_helper.from_array(splits))
    (tmp_path / "moved.onnx").write_bytes(proto.SerializeToString())
    found = judged({"model": trained}, "--onnx", "moved.onnx", "--boundary-rows", 20_000)
    assert {"parity.proof", "parity.boundary"} <= wrong(found)
    assert "parity.sample" not in wrong(found)
    assert_told_first(found, "parity.proof", runtime="", words="tree ", hint="do not ship this ONNX file")
