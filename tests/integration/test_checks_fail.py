"""Models and files that fail one check of loading, conversion, parity or quality, through the real command."""

from __future__ import annotations

import pickle
import shutil

import joblib
import onnx
import pandas as pd
import pytest

from tests.integration.command import DIAGNOSIS, TRADING, judge

FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1,10")


@pytest.fixture(scope="module")
def converted() -> onnx.ModelProto:
    """The trading model's own ONNX file."""
    from validator.libraries.convert import convert_trees
    from validator.libraries.export import export
    from validator.libraries.read import read

    return onnx.load_from_string(
        convert_trees(read(*export(pickle.loads((TRADING / "model.pkl").read_bytes())))).data
    )


def judged(folder, *flags):
    """The trading model on a small sample."""
    shutil.copy(TRADING / "model.pkl", folder)
    pd.read_parquet(TRADING / "sample.parquet").head(40).to_parquet(folder / "sample.parquet")
    return judge(
        "validate",
        "model.pkl",
        "--data",
        "sample.parquet",
        "--target",
        "direction",
        *FAST,
        *flags,
        cwd=folder,
    )


def wrong(found):
    return {id for id in found.failing() if not id.startswith("latency.")}


def test_a_model_of_an_older_library_fails_the_check_of_versions(tmp_path):
    """The version that scikit-learn wrote into the pickle is exchanged for one of as many letters."""
    import sklearn

    data = pickle.dumps(joblib.load(DIAGNOSIS / "model.joblib"))
    now = sklearn.__version__.encode()
    old = (b"0.8" + b".1" * len(now))[: len(now)]
    assert now in data
    (tmp_path / "model.pkl").write_bytes(data.replace(now, old))
    shutil.copy(DIAGNOSIS / "preflight.toml", tmp_path)
    for sample in DIAGNOSIS.glob("sample.*"):
        shutil.copy(sample, tmp_path)
    found = judge("validate", "model.pkl", *FAST, cwd=tmp_path)
    assert wrong(found) == {"load.versions"}
    assert old.decode() in found.result["reason"]
    assert "requirements" in found.out


def test_an_onnx_file_that_the_runtime_refuses_fails_its_loading(converted, tmp_path):
    broken = onnx.ModelProto()
    broken.CopyFrom(converted)
    next(node for node in broken.graph.node if node.op_type == "Exp").op_type = "Expp"
    (tmp_path / "given.onnx").write_bytes(broken.SerializeToString())
    found = judged(tmp_path, "--onnx", "given.onnx")
    assert wrong(found) in ({"load.model/onnx"}, {"convert.onnx"})
    assert "Expp" in found.result["reason"]


def test_missing_values_sent_elsewhere_fail_the_check_of_missing_values(converted, tmp_path):
    moved = onnx.ModelProto()
    moved.CopyFrom(converted)
    trees = next(node for node in moved.graph.node if node.op_type == "TreeEnsemble")
    tracks = next(a for a in trees.attribute if a.name == "nodes_missing_value_tracks_true")
    flipped = [1 - value for value in tracks.ints]
    del tracks.ints[:]
    tracks.ints.extend(flipped)
    (tmp_path / "given.onnx").write_bytes(moved.SerializeToString())
    found = judged(tmp_path, "--onnx", "given.onnx", "--serves", "onnx")
    assert {"parity.missing"} <= wrong(found)
    assert "parity.sample" not in wrong(found)
    assert {id.partition(".")[0] for id in wrong(found)} == {"parity"}


def test_quality_below_its_limit_fails_that_check_alone(tmp_path):
    found = judged(tmp_path, "--quality", "auc=0.99")
    assert wrong(found) == {"quality.limits"}
    assert "auc" in found.result["reason"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("flags", "missing", "level"),
    [
        ((), False, "proved for rows without missing values"),
        (("--serves", "onnx"), False, "measured"),
        ((), True, "measured"),
    ],
    ids=["the deployment serves", "the file itself serves", "the contract lets missing values through"],
)
def test_a_stock_forest_is_judged_by_what_it_can_be_asked(tmp_path, flags, missing, level):
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    sample = (
        pd.read_parquet(TRADING / "sample.parquet").drop(columns="direction").head(300).select_dtypes("float")
    )
    sample = sample.fillna(0).astype("float32")
    target = (sample.iloc[:, 0] > sample.iloc[:, 0].median()).astype(int) ^ (sample.iloc[:, 1] > 0)
    model = RandomForestClassifier(9, max_depth=5, random_state=0).fit(sample, target)
    given = to_onnx(model, sample.to_numpy()[:1], options={"zipmap": False}, target_opset=17)
    joblib.dump(model, tmp_path / "model.joblib")
    (tmp_path / "given.onnx").write_bytes(given.SerializeToString())
    sample.to_parquet(tmp_path / "sample.parquet")
    features = "".join(
        f'[[contract.features]]\nname = "{name}"\ndtype = "float32"\nmissing = {str(missing).lower()}\n'
        for name in sample.columns
    )
    (tmp_path / "preflight.toml").write_text(f'data = "sample.parquet"\nonnx = "given.onnx"\n{features}')
    found = judge("validate", "model.joblib", *FAST, *flags, cwd=tmp_path)
    assert found.result["parity"]["level"] == level
    assert wrong(found) == set() if level != "measured" else "parity.proof" in wrong(found)
