"""What stands in a model's or sample's place is named, with the way to the thing itself."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from pathlib import Path
from typing import Any

import pytest

from validator.checks.load.sample import need_sample
from validator.errors import PreflightError, SampleError, UsageError
from validator.model.file import identify
from validator.runtimes.sample import Sample
from validator.settings.table import Settings

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"


def archive(compressed: bool) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("model.pkl"))
    return gzip.compress(stream.getvalue(), mtime=0) if compressed else stream.getvalue()


@pytest.mark.parametrize(
    ("address", "hint"),
    [
        ("s3://bucket/model.pkl", "aws s3 cp"),
        ("https://host/model.pkl", "curl -LO"),
        ("gs://bucket/model.pkl", "gcloud storage cp"),
        ("models:/churn/3", "mlflow artifacts download"),
        ("~/model.pkl", "Write the path out"),
    ],
)
@pytest.mark.parametrize("what", ["model", "sample"])
def test_what_is_not_here_is_named_with_the_way_to_it(address: str, hint: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        identify(address) if what == "model" else need_sample(Settings(data=address))
    assert hint in str(caught.value.hint)


def test_files_that_other_tools_keep_are_named(tmp_path: Path) -> None:
    (tmp_path / "model.pkl.dvc").write_text("outs:\n- md5: 00\n  path: model.pkl\n")
    (tmp_path / "annexed.pkl").symlink_to(".git/annex/objects/aa/bb/SHA256E-s1--00.pkl")
    (tmp_path / "unlocked.pkl").write_bytes(b"/annex/objects/SHA256E-s1--00.pkl\n")
    for name, hint in (
        ("model.pkl", "dvc pull"),
        ("model.pkl.dvc", "and give"),
        ("annexed.pkl", "git annex get"),
        ("unlocked.pkl", "git annex get"),
    ):
        with pytest.raises(PreflightError) as caught:
            identify(tmp_path / name)
        assert hint in str(caught.value.hint)


@pytest.mark.parametrize(
    ("name", "data", "hint"),
    [
        ("model.tar.gz", archive(compressed=True), "tar -xf"),
        ("model", archive(compressed=False), "tar -xf"),
        ("churn.bentomodel", archive(compressed=True), "saved model inside"),
    ],
)
def test_wrappings_are_named(tmp_path: Path, name: str, data: bytes, hint: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(PreflightError) as caught:
        identify(path)
    assert hint in str(caught.value.hint)


def test_a_folder_of_several_models_lists_them(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.onnx", "notes.md", "requirements.txt"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match=r"it holds a\.onnx, b\.pkl"):
        identify(tmp_path)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("rows.csv", LFS, "Git-LFS pointer"),
        ("rows.csv.dvc", b"outs:\n- md5: 00\n  path: rows.csv\n", "DVC's pointer"),
        ("rows.csv.gz", gzip.compress(b"a,b\n1,2\n", mtime=0), "compressed"),
        ("rows", b"", "names no known format"),
    ],
)
def test_samples_too(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(SampleError, match=said):
        Sample.open(None, str(path))  # type: ignore[arg-type]
    (tmp_path / "parts").mkdir()
    with pytest.raises(SampleError, match="is a folder without Parquet files"):
        Sample.open(None, str(tmp_path / "parts"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "pack"),
    [
        (b"tree\nversion=v4\n", gzip.compress),
        (b'{"learner": {}}', bz2.compress),
        (archive(False), lzma.compress),
    ],
    ids=["LightGBM text", "JSON", "tar"],
)
def test_what_was_compressed_as_a_whole_is_no_joblib_file(tmp_path: Path, text: bytes, pack: Any) -> None:
    (tmp_path / "model.pkl").write_bytes(pack(text))
    with pytest.raises(PreflightError) as caught:
        identify(tmp_path / "model.pkl")
    assert "Unpack it" in str(caught.value.hint)


def test_a_folder_of_many_models_tells_how_many(tmp_path: Path) -> None:
    for number in range(33):
        (tmp_path / f"{number:02}.pkl").touch()
    with pytest.raises(UsageError, match=r"19\.pkl and 13 more"):
        identify(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(UsageError, match="SavedModel"):
        identify(tmp_path)
