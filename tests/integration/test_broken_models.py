"""Models broken on purpose, through the real command: the check meant for a fault blocks, and is told first."""

from __future__ import annotations

import importlib.util
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.command import TRADING, run

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
    """Runs the gate on a broken model, with its package beside it."""

    def judge(model, *flags, rows=ROWS, target="direction"):
        shutil.copy(MODULE, tmp_path)
        (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
        pd.read_parquet(TRADING / "sample.parquet").head(rows).to_parquet(tmp_path / "sample.parquet")
        return run(
            "validate", "model.pkl", "--data", "sample.parquet", "--target", target,
            "--allow", "faulty_models.*", *FAST, *flags, cwd=tmp_path,
        )  # fmt: skip

    return judge


def convert(model) -> bytes:
    """A sound ONNX file of a LightGBM model."""
    from validator.convert import convert_trees
    from validator.convert.readers import read
    from validator.exporters import export

    return convert_trees(read(*export(model))).data


def assert_told_first(found, id, *, runtime, words, hint):
    """Verdict, terminal and report begin with this check, what was seen, and what to do."""
    assert found.code == 1
    assert found.result["verdict"] == "fail"
    check = next(c for c in found.result["checks"] if (c["id"], c["runtime"]) == (id, runtime))
    assert check["status"] == "fail"
    assert words in check["message"]
    assert hint in check["hint"]
    assert found.result["reason"].startswith(check["title"])
    for text, marks in ((found.out, 12), ((found.folder / "report.md").read_text(), 12)):
        head = "\n".join(text.splitlines()[:marks])
        assert id in head
        assert words.split()[0] in head
        assert hint.split()[0] in head


#: Fault -> the one check that it must fail, words of what was seen, and words of the remedy.
FAULTS = {
    "GivesNaN": ("smoke.finite", "NaN", "division"),
    "AboveOne": ("smoke.range", "outside [0, 1]", "probabilities"),
    "NotSummingToOne": ("smoke.range", "sum to", "probabilities"),
    "Random": ("smoke.repeatable", "differ", "randomness"),
    "BatchDependent": ("smoke.rowwise", "alone", "other rows"),
    "NotThreadSafe": ("smoke.threads", "thread", "mutable state"),
    "ThirdClass": ("smoke.shape", "3 columns for 2 classes", "column"),
    "LosesRows": ("smoke.batch", f"{ROWS - 1} probabilities", "one answer"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_blocked_by_the_check_that_is_meant_for_it(fault, judged, faulty, trained):
    id, words, hint = FAULTS[fault]
    found = judged(getattr(faulty, fault)(trained))
    # A class of the user's own has no ONNX form; that it cannot be converted is told, after the model's own fault.
    assert found.failing() == {f"{id}/native", "convert.onnx"}
    assert_told_first(found, id, runtime="native", words=words, hint=hint)
    assert found.out.index(f"[{id}]") < found.out.index("[convert.onnx]")


def test_a_sound_model_of_an_own_class_lacks_its_conversion_alone(judged, faulty, trained):
    found = judged(faulty.Sound(trained))
    assert found.failing() == {"convert.onnx"}
    assert_told_first(
        found, "convert.onnx", runtime="", words="no converter for faulty_models.Sound", hint="--onnx"
    )


def test_with_an_onnx_file_of_its_own_a_sound_class_passes(judged, faulty, trained, tmp_path):
    (tmp_path / "given.onnx").write_bytes(convert(trained))
    found = judged(faulty.Sound(trained), "--onnx", "given.onnx")
    assert (found.code, found.failing()) == (0, set()), found.out


def test_a_predict_of_200_ms_is_blocked_by_latency_alone(judged, faulty, trained, tmp_path):
    (tmp_path / "given.onnx").write_bytes(convert(trained))
    found = judged(faulty.Slow(trained), "--onnx", "given.onnx", rows=12)
    assert found.failing() == {"smoke.latency/native", "latency.single/native"}
    assert_told_first(found, "smoke.latency", runtime="native", words="ms, the limit is 50 ms", hint="prune")


def test_infinite_predictions_are_blocked_by_the_check_of_finite_answers(judged, faulty, trained):
    found = judged(faulty.InfiniteRegressor(trained))
    assert found.failing() == {"smoke.finite/native", "convert.onnx"}
    assert_told_first(found, "smoke.finite", runtime="native", words="Inf", hint="division")


def test_the_onnx_file_of_another_model_disagrees_everywhere(judged, faulty, trained, tmp_path):
    other = _retrained(trained)
    (tmp_path / "other.onnx").write_bytes(convert(other))
    found = judged(trained, "--onnx", "other.onnx")
    assert {"parity.sample", "parity.boundary"} <= found.failing() <= PARITY
    assert_told_first(found, "parity.proof", runtime="", words="", hint="ONNX")


PARITY = {"parity.proof", "parity.sample", "parity.boundary", "parity.missing", "parity.labels"}


def _retrained(trained):
    """The same kind of model after other training."""
    sample = pd.read_parquet(TRADING / "sample.parquet")
    fresh = type(trained)(**{**trained.get_params(), "n_estimators": 20, "random_state": 8})
    return fresh.fit(sample.drop(columns="direction"), sample["direction"])


def test_a_threshold_one_ulp_away_is_found_by_proof_and_boundary_rows(judged, trained, tmp_path):
    """No row of the sample tells the two files apart."""
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
    found = judged(trained, "--onnx", "moved.onnx", "--boundary-rows", 20_000)
    assert found.failing() == {"parity.proof", "parity.boundary"}
    assert_told_first(found, "parity.proof", runtime="", words="", hint="ONNX")
