"""Identifying model files: every format under its own name, and everything else refused with a reason."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.errors import ModelError, UsageError
from validator.model.file import identify, open_regular, read_verified, refuse_outside
from validator.model.formats import HEAD_BYTES, format_of, is_pickle

STATE = {"weights": np.arange(30.0), "names": ["a", "b"] * 40}


@pytest.fixture(scope="module")
def trained():
    import lightgbm

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(80, 3)), rng.integers(0, 2, 80)
    params = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}
    return lightgbm.train(params, lightgbm.Dataset(X, y), 3), X, y


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(STATE, protocol))
    found = identify(path)
    assert (found.format, found.compression) == ("pickle", "")
    assert found.is_pickle


@pytest.mark.parametrize("method", ["", "zlib", "gzip", "bz2", "xz", "lzma"])
def test_joblib_and_its_compressions(tmp_path: Path, method: str) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(STATE, path, compress=(method, 3) if method else 0)
    found = identify(path)
    assert (found.format, found.compression) == ("joblib", method)


def test_array_far_into_the_file_still_makes_it_joblib(tmp_path: Path) -> None:
    path = tmp_path / "model.joblib"
    joblib.dump(["x" * (1 << 20) + "y" * 7, np.arange(5)], path)
    assert identify(path).format == "joblib"


def test_lightgbm_text(tmp_path: Path, trained) -> None:
    booster, _, _ = trained
    text = tmp_path / "model.txt"
    text.write_text(booster.model_to_string())
    assert identify(text).format == "lightgbm-text"


@pytest.mark.parametrize("indent", [None, 1])
def test_a_dump_of_lightgbm_is_refused_by_name(tmp_path: Path, trained, indent: int | None) -> None:
    import json

    booster, _, _ = trained
    dump = tmp_path / "model.json"
    dump.write_text(json.dumps(booster.dump_model(), indent=indent))
    with pytest.raises(ModelError, match="LightGBM's JSON dump, which LightGBM itself cannot load") as caught:
        identify(dump)
    assert "booster.save_model(path)" in str(caught.value.hint)


def test_xgboost_json_and_ubj(tmp_path: Path, trained) -> None:
    xgboost = pytest.importorskip("xgboost")
    _, X, y = trained
    model = xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(X, y)
    for suffix in ("json", "ubj"):
        model.save_model(tmp_path / f"model.{suffix}")
        assert identify(tmp_path / f"model.{suffix}").format == f"xgboost-{suffix}"


def test_catboost(tmp_path: Path, trained) -> None:
    catboost = pytest.importorskip("catboost")
    _, X, y = trained
    model = catboost.CatBoostClassifier(
        iterations=2, depth=2, verbose=False, thread_count=1, allow_writing_files=False
    )
    model.fit(X, y).save_model(str(tmp_path / "model.cbm"))
    assert identify(tmp_path / "model.cbm").format == "catboost-cbm"


def test_onnx_and_skops(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [out])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    assert identify(tmp_path / "model.onnx").format == "onnx"

    skops_io = pytest.importorskip("skops.io")
    skops_io.dump(STATE, tmp_path / "model.skops")
    assert identify(tmp_path / "model.skops").format == "skops"


def test_onnx_beyond_what_protobuf_reads_is_named_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [value])
    (tmp_path / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    monkeypatch.setattr("validator.model.file._MOST_ONNX_BYTES", 10)
    with pytest.raises(ModelError, match=r"takes 0\.0 GiB, and an ONNX file that stands alone ends at 2 GiB"):
        identify(tmp_path / "model.onnx")


def _mlflow_folder(folder: Path, flavour: str = "sklearn") -> Path:
    folder.mkdir()
    (folder / "model.pkl").write_bytes(pickle.dumps(STATE))
    (folder / "MLmodel").write_text(
        "artifact_path: model\nflavors:\n  python_function:\n    loader_module: mlflow.sklearn\n"
        f"  {flavour}:\n    code: null\n    pickled_model: model.pkl\n    sklearn_version: 1.9.1\nrun_id: a\n"
    )
    return folder


def test_mlflow_folder_names_its_payload_and_hashes_every_file(tmp_path: Path) -> None:
    folder = _mlflow_folder(tmp_path / "m")
    found = identify(folder)
    assert found.format == "mlflow"
    assert found.payload is not None
    assert found.payload.format == "pickle"
    assert found.loadable.path == folder / "model.pkl"
    (folder / "requirements.txt").write_text("scikit-learn==1.9.1\n")
    assert identify(folder).sha256 != found.sha256


def test_mlflow_custom_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no flavour that can be judged"):
        identify(_mlflow_folder(tmp_path / "m", flavour="custom"))


@pytest.mark.parametrize("name", ["../secret.pkl", "/etc/passwd"])
def test_mlflow_payload_outside_of_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder = _mlflow_folder(tmp_path / "m")
    (tmp_path / "secret.pkl").write_bytes(pickle.dumps(STATE))
    text = (folder / "MLmodel").read_text().replace("pickled_model: model.pkl", f"pickled_model: {name}")
    (folder / "MLmodel").write_text(text)
    with pytest.raises(UsageError, match="outside"):
        identify(folder)


def test_link_in_mlflow_folder_is_refused(tmp_path: Path) -> None:
    folder = _mlflow_folder(tmp_path / "m")
    (folder / "extra").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="symbolic link"):
        identify(folder)


def test_missing_file_and_plain_folder_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model file") as missing:
        identify(tmp_path / "nothing.pkl")
    assert "path" in missing.value.hint
    with pytest.raises(UsageError, match="without an MLmodel"):
        identify(tmp_path)


def test_empty_file_is_a_model_error(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").touch()
    with pytest.raises(ModelError, match="is empty"):
        identify(tmp_path / "model.pkl")


def test_lfs_pointer_says_how_to_fetch_the_file(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 52428800\n"
    )
    with pytest.raises(ModelError, match="Git-LFS pointer") as refused:
        identify(path)
    assert "lfs: true" in refused.value.hint


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        (b"PK\x03\x04" + bytes(26) + b"archive/data.pkl", r"PyTorch model \(\.pt\)"),
        (b"PK\x03\x04" + bytes(26) + b"metadata.json", r"Keras model \(\.keras\)"),
        (b"\x40" + bytes(7) + b'{"__metadata__":{"format":"pt"}}', "safetensors"),
        (b'<?xml version="1.0"?>\n<PMML version="4.4">', "PMML"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"hello world, I am no model", "text"),
        (bytes(200), "no format known"),
        (b"\x80\x06.", "no format known"),
        (b"PK\x03\x04" + bytes(60), "zip"),
    ],
)
def test_other_files_are_named(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(ModelError, match=what):
        identify(tmp_path / "model")


@pytest.mark.parametrize("entry", ["my_net/version", "archive/.format_version", "config.json"])
def test_models_of_other_kinds_are_told_how_to_become_one_that_can_be_judged(
    tmp_path: Path, entry: str
) -> None:
    with zipfile.ZipFile(tmp_path / "model", "w") as archive:
        archive.writestr(entry, "1")
    with pytest.raises(ModelError, match="cannot be judged as it is") as refused:
        identify(tmp_path / "model")
    assert "ONNX" in refused.value.hint


def test_links_pipes_and_devices_are_refused_without_waiting(tmp_path: Path) -> None:
    (tmp_path / "real.pkl").write_bytes(pickle.dumps(STATE))
    (tmp_path / "link.pkl").symlink_to(tmp_path / "real.pkl")
    (tmp_path / "dangling.pkl").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe.pkl")
    for name, what in [("link.pkl", "symbolic link"), ("dangling.pkl", "symbolic"), ("pipe.pkl", "pipe")]:
        with pytest.raises(UsageError, match=what):
            identify(tmp_path / name)
    with pytest.raises(UsageError, match="device"):
        identify("/dev/zero")


def test_open_regular_refuses_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a folder"):
        open_regular(tmp_path)


def test_what_lies_outside_of_every_root_is_refused(tmp_path: Path) -> None:
    inside = tmp_path / "work"
    inside.mkdir()
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(STATE))
    (inside / "up").symlink_to(tmp_path)
    for path in (inside / ".." / "model.pkl", inside / "up" / "model.pkl"):
        with pytest.raises(UsageError, match="outside"):
            refuse_outside(path, [inside])
        refuse_outside(path, [inside, tmp_path])
    refuse_outside(inside / "model.pkl", [inside])


def test_null_byte_in_path_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        identify("model\0.pkl")


def test_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(STATE))
    found = identify(path)
    assert read_verified(found) == path.read_bytes()
    path.write_bytes(pickle.dumps({**STATE, "names": []}))
    with pytest.raises(ModelError, match="changed"):
        read_verified(found)


def test_long_first_string_of_a_text_pickle_is_still_a_pickle() -> None:
    assert is_pickle(pickle.dumps(["x" * (2 * HEAD_BYTES)], 0)[:HEAD_BYTES])


@given(st.binary(max_size=300))
def test_any_bytes_get_a_format_without_an_error(content: bytes) -> None:
    format_of(io.BytesIO(content), len(content))


def test_any_bytes_on_disk_end_in_a_format_or_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "model"

    @given(st.binary(max_size=100))
    def check(content: bytes) -> None:
        path.write_bytes(content)
        with contextlib.suppress(ModelError):
            assert identify(path).size_bytes == len(content)

    check()


def test_zip_with_only_a_schema_name_is_taken_for_skops_and_no_more(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model", "w") as archive:
        archive.writestr("schema.json", "{}")
    assert identify(tmp_path / "model").format == "skops"
