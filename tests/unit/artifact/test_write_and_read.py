from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.artifact.read import (
    ArtifactNotFoundError,
    TamperedArtifactError,
    UnjudgedArtifactError,
    read_artifact,
    read_leniently,
)
from validator.artifact.write import safe_name, write_artifact
from validator.errors import ArtifactError
from validator.results import CheckResult, GateResult

ONNX = b"\x08\x0apretend graph"
FILES = ["SHA256SUMS", "contract.json", "manifest.json", "model.onnx", "report.md"]

Make = Callable[..., GateResult]


@pytest.fixture
def folder(tmp_path: Path, make_result: Make) -> Path:
    return Path(write_artifact(tmp_path, result=make_result(), onnx=ONNX, report_md="# Passed\n").path)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_artifact_holds_what_the_design_names(folder: Path, tmp_path: Path, make_result: Make) -> None:
    assert folder == tmp_path / "artifact" / "churn" / make_result().version
    assert sorted(contents(folder)) == FILES
    stored = read_artifact(folder)
    assert stored.onnx == ONNX
    assert stored.contract is not None
    assert [feature["name"] for feature in stored.contract["features"]] == ["age", "plan"]
    assert stored.contract["features"][0]["maximum"] == "Infinity"
    assert stored.manifest["created_at"] == "2025-11-05T09:30:00Z"
    assert stored.manifest["parity"] == {"level": "proved", "bound": 1e-12}
    assert stored.manifest["override"] is None
    assert [path for path in folder.parent.iterdir() if path != folder] == []


def test_the_sums_are_those_of_sha256sum(folder: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=folder, check=True)


def test_measured_times_do_not_reach_the_files(tmp_path: Path, make_result: Make) -> None:
    first = make_result()
    second = make_result(
        created_at="2030-01-01T00:00:00Z",
        timings={"convert": 9.0},
        conversion=first.conversion.model_copy(update={"seconds": 7.0}),
    )
    a, b = (
        write_artifact(tmp_path / name, result=result, onnx=ONNX, report_md="r")
        for name, result in (("a", first), ("b", second))
    )
    assert a.files == b.files
    assert contents(Path(a.path)) == contents(Path(b.path))


def test_the_digests_handed_back_are_those_of_the_files(tmp_path: Path, make_result: Make) -> None:
    artifact = write_artifact(tmp_path, result=make_result(), onnx=ONNX, report_md="r")
    assert [digest.name for digest in artifact.files] == FILES
    for digest in artifact.files:
        assert (Path(artifact.path) / digest.name).stat().st_size == digest.size_bytes


def test_a_failed_result_is_written_with_what_there_is(tmp_path: Path, make_result: Make) -> None:
    result = make_result(verdict="fail", reason="load.native", contract=None)
    artifact = write_artifact(tmp_path, result=result, onnx=None, report_md="# Failed\n")
    stored = read_artifact(artifact.path)
    assert stored.manifest["verdict"] == "fail"
    assert (stored.manifest["onnx"], stored.contract, stored.onnx) == (None, None, None)


@pytest.mark.parametrize(("onnx", "changes"), [(None, {}), (ONNX, {"contract": None})])
def test_a_pass_without_model_or_contract_is_not_written(
    tmp_path: Path, make_result: Make, onnx: bytes | None, changes: dict[str, None]
) -> None:
    with pytest.raises(ArtifactError, match="passing result came without"):
        write_artifact(tmp_path, result=make_result(**changes), onnx=onnx, report_md="")
    assert list(tmp_path.iterdir()) == []


def test_waivers_and_trust_are_in_the_manifest(tmp_path: Path, make_result: Make) -> None:
    waived = CheckResult(
        id="latency.p99",
        runtime="onnx",
        category="latency",
        status="fail",
        title="p99",
        message="slow",
        waived="until 2026-12-01",
    )
    environment = make_result().environment.model_copy(update={"trust_reason": "our own build"})
    result = make_result(checks=(waived,), environment=environment)
    stored = read_artifact(write_artifact(tmp_path, result=result, onnx=ONNX, report_md="").path)
    assert stored.manifest["override"] == {
        "trust_reason": "our own build",
        "waived": {"latency.p99[onnx]": "until 2026-12-01"},
    }


def test_an_earlier_folder_of_the_version_is_replaced(
    folder: Path, tmp_path: Path, make_result: Make
) -> None:
    (folder / "stale").write_text("left over")
    again = write_artifact(tmp_path, result=make_result(), onnx=ONNX + b"2", report_md="new")
    assert Path(again.path) == folder
    assert sorted(contents(folder)) == FILES
    assert read_artifact(folder).onnx == ONNX + b"2"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_the_earlier_folder_survives_a_writer_that_breaks(
    folder: Path, tmp_path: Path, make_result: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    rename = Path.rename

    def broken(self: Path, target: Path) -> Path:
        if self.name.startswith(".writing-"):
            raise OSError("disk gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(ArtifactError, match="disk gone"):
        write_artifact(tmp_path, result=make_result(), onnx=ONNX + b"2", report_md="new")
    assert contents(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_an_interrupt_leaves_nothing_behind(
    tmp_path: Path, make_result: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_artifact(tmp_path, result=make_result(), onnx=ONNX, report_md="")
    assert list((tmp_path / "artifact" / "churn").iterdir()) == []


@pytest.mark.parametrize("level", ["artifact", "artifact/churn", "artifact/churn/version"])
def test_links_on_the_way_are_not_followed(tmp_path: Path, make_result: Make, level: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = tmp_path / "out" / level.replace("version", make_result().version)
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(ArtifactError, match="symbolic link"):
        write_artifact(tmp_path / "out", result=make_result(), onnx=ONNX, report_md="")
    assert list(outside.iterdir()) == []


def test_a_foreign_version_is_refused(tmp_path: Path, make_result: Make) -> None:
    for version in ("v_20251105T093000Z_00000000", "../../escape"):
        with pytest.raises(ArtifactError):
            write_artifact(tmp_path, result=make_result(version=version), onnx=ONNX, report_md="")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root may give files away")
def test_what_was_created_belongs_to_the_owner(tmp_path: Path, make_result: Make) -> None:
    artifact = write_artifact(tmp_path, result=make_result(), onnx=ONNX, report_md="", owner=(12345, 23456))
    folder = Path(artifact.path)
    for path in (*folder.iterdir(), folder, folder.parent, folder.parent.parent):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 23456)
    assert tmp_path.stat().st_uid == 0


@given(st.text(max_size=200))
def test_a_name_is_one_plain_folder_name(name: str) -> None:
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert Path(safe).name == safe
    assert safe.isascii()
    assert not safe.startswith((".", "-"))
    assert len(safe) <= 80


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("churn", "churn"),
        ("../../etc/passwd", "etc_passwd"),
        ("", "model"),
        ("..", "model"),
        ("a b/c", "a_b_c"),
    ],
)
def test_names_stay_readable(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_refused_by_name(folder: Path, name: str) -> None:
    path = folder / name
    original = path.read_bytes()
    for position in range(len(original)):
        changed = bytearray(original)
        changed[position] ^= (0x01, 0x20, 0x80)[position % 3]
        path.write_bytes(changed)
        with pytest.raises(ArtifactError) as caught:
            read_artifact(folder)
        named = FILES if name == "SHA256SUMS" else [name]
        assert any(file in caught.value.message for file in named), position
    path.write_bytes(original)
    read_artifact(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", ["truncate", "append", "empty"])
def test_a_shorter_or_longer_file_is_refused_by_name(folder: Path, name: str, how: str) -> None:
    content = (folder / name).read_bytes()
    (folder / name).write_bytes({"truncate": content[:-1], "append": content + b"\n", "empty": b""}[how])
    with pytest.raises(ArtifactError, match=name.replace(".", r"\.")):
        read_artifact(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtifactNotFoundError, match=name) as caught:
        read_artifact(folder)
    assert isinstance(caught.value, FileNotFoundError)


def test_an_unlisted_file_is_refused(folder: Path) -> None:
    (folder / "extra.bin").write_bytes(b"")
    with pytest.raises(TamperedArtifactError, match=r"extra\.bin"):
        read_artifact(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused_although_its_content_is_right(folder: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (folder / name).rename(elsewhere)
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(TamperedArtifactError, match=f"{name} is a symbolic link"):
        read_artifact(folder)


def test_a_fifo_does_not_hang_the_reader(folder: Path) -> None:
    (folder / "report.md").unlink()
    os.mkfifo(folder / "report.md")
    with pytest.raises(TamperedArtifactError, match=r"report\.md is not a plain file"):
        read_artifact(folder)


def test_a_model_exchanged_with_its_sum_is_still_not_the_manifests(folder: Path) -> None:
    import hashlib

    sums = (folder / "SHA256SUMS").read_text()
    (folder / "model.onnx").write_bytes(b"another")
    old, new = hashlib.sha256(ONNX).hexdigest(), hashlib.sha256(b"another").hexdigest()
    (folder / "SHA256SUMS").write_text(sums.replace(old, new))
    with pytest.raises(TamperedArtifactError, match=r"model\.onnx is not the model that manifest\.json"):
        read_artifact(folder)


def test_nothing_there_and_nothing_judged_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ArtifactNotFoundError, match="no artifact folder"):
        read_artifact(tmp_path / "nowhere")
    (tmp_path / "model.onnx").write_bytes(ONNX)
    with pytest.raises(UnjudgedArtifactError, match="no gate ever judged it"):
        read_artifact(tmp_path)
    with pytest.raises(UnjudgedArtifactError, match="is a file, not an artifact folder"):
        read_artifact(tmp_path / "model.onnx")


@pytest.mark.parametrize(
    "content", [b"[1]", b"{", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"\xff", b"[" * 100_000]
)
def test_a_manifest_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    stored = read_leniently(folder)
    assert any("manifest.json" in problem for problem in stored.problems)
    assert stored.manifest == {}


def test_a_lenient_read_says_what_is_wrong(folder: Path) -> None:
    assert read_leniently(folder).problems == ()
    (folder / "report.md").write_text("Better than it was")
    stored = read_leniently(folder)
    assert stored.problems == ("report.md was changed: its SHA-256 is not the one in SHA256SUMS",)
    assert stored.manifest["verdict"] == "pass"


def test_reading_needs_the_standard_library_alone() -> None:
    code = (
        "import sys, json; from validator.artifact import read; "
        "print(json.dumps([m for m in ('numpy', 'pydantic', 'jinja2', 'dulwich') if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
