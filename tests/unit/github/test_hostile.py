from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.github import hostile
from validator.github.hostile import HostileResultError, read_results
from validator.results import GateResult


@pytest.fixture
def write(tmp_path: Path, make_result: Any) -> Any:
    def put(sub: str = ".", /, **changes: Any) -> Path:
        folder = tmp_path / sub
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "result.json").write_text(make_result(**changes).model_dump_json())
        return tmp_path

    return put


def refused(folder: Path, words: str) -> None:
    with pytest.raises(HostileResultError, match=words) as caught:
        read_results(folder)
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message


def test_an_honest_folder(write: Any, make_result: Any):
    assert read_results(write()) == (make_result(),)


def test_several_models_in_the_order_of_their_folders(write: Any):
    write("b", name="b")
    folder = write("a", name="a")
    (folder / "artifact").mkdir()
    assert [r.model.name for r in read_results(folder)] == ["a", "b"]


def test_nothing_there(tmp_path: Path):
    refused(tmp_path, "there is no result.json")
    refused(tmp_path / "none", "cannot be opened as a folder")
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "cannot be opened as a folder")


def test_links_are_not_followed(tmp_path: Path, write: Any):
    real = write("real") / "real"
    (tmp_path / "link").symlink_to(real)
    refused(tmp_path / "link", "cannot be opened as a folder")
    other = tmp_path / "other"
    other.mkdir()
    (other / "result.json").symlink_to(real / "result.json")
    refused(other, "cannot be read")
    (other / "result.json").unlink()
    (other / "linked").symlink_to(real)
    refused(other, "there is no result.json")
    os.link(real / "result.json", other / "result.json")
    refused(other, "hard link")


def test_what_is_no_file(tmp_path: Path):
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / "result.json")
    refused(tmp_path, "no regular file")
    (tmp_path / "a" / "result.json").unlink()
    (tmp_path / "a" / "result.json").mkdir()
    refused(tmp_path, "no regular file")


def test_sizes(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch):
    folder = write()
    with (folder / "result.json").open("ab") as file:
        file.truncate(hostile.MAX_RESULT_BYTES + 1)
    refused(folder, "larger than")
    write()
    for n in range(4):
        write(f"m{n}")
    monkeypatch.setattr(hostile, "MAX_MODELS", 4)
    refused(folder, "more than 4 results")
    monkeypatch.setattr(hostile, "MAX_ENTRIES", 3)
    refused(folder, "more than 3 entries")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "{}",
        "[" * 200_000,
        '{"schema_version": 2}',
        '{"schema_version": 1}',
        "\x00",
        "\ufeff{}",
    ],
)
def test_what_is_no_result(tmp_path: Path, content: str):
    (tmp_path / "result.json").write_text(content)
    refused(tmp_path, "does not follow the schema")


def test_bytes_that_are_no_text(tmp_path: Path):
    (tmp_path / "result.json").write_bytes(b"\xff\xfe{}")
    refused(tmp_path, "does not follow the schema")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("verdict",), "PASS"),
        (("unknown",), 1),
        (("checks", 0, "status"), "ok"),
        (("model", "sha256"), "../" * 20),
        (("model", "size_bytes"), -1),
        (("reason",), "x" * 200_000),
        (("model", "name"), "x" * 2_000),
    ],
)
def test_the_schema_is_strict(write: Any, keys: tuple[Any, ...], value: Any):
    folder = write()
    data = json.loads((folder / "result.json").read_text())
    inner = data
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    (folder / "result.json").write_text(json.dumps(data))
    refused(folder, "does not follow the schema")


@pytest.mark.parametrize("number", [10**30, -(10**400)])
def test_numbers_that_nothing_counts(write: Any, make_check: Any, number: int):
    check = make_check("fail").model_dump() | {"evidence": [{"name": "n", "seen": number}]}
    refused(write(checks=(check,)), "more than 64 bits")


def test_half_of_a_character_is_refused(write: Any):
    folder = write(reason="the reason")
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text.replace("the reason", "\\ud800"))
    refused(folder, "does not follow the schema")


def test_an_artifact_outside_of_the_workspace_is_forgotten(write: Any):
    (found,) = read_results(write(artifact={"path": "/tmp/out/artifact/churn/v_1", "files": []}))
    assert found.artifact is None
    refused(write(artifact={"path": "/tmp/../etc", "files": []}), "outside its folder")


@pytest.mark.parametrize("path", ["//etc/passwd", "../out", "a/../../b", "a\nb", "", "C:/x", "a\\..\\b"])
def test_no_path_leads_out(write: Any, path: str):
    refused(write(artifact={"path": path, "files": []}), "outside its folder")
    file = {"name": path, "sha256": "0" * 64, "size_bytes": 1}
    refused(write(artifact={"path": "artifact", "files": [file]}), "outside its folder")


def test_what_is_refused_is_shown_in_one_harmless_line(write: Any, tmp_path: Path):
    folder = write()
    data = json.loads((folder / "result.json").read_text()) | {"::error::\n\x1b[31m" + "x" * 5_000: 1}
    (folder / "result.json").write_text(json.dumps(data))
    with pytest.raises(HostileResultError) as caught:
        read_results(folder)
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_refusal(tmp_path: Path, data: bytes):
    (tmp_path / "result.json").write_bytes(data)
    with pytest.raises(HostileResultError):
        read_results(tmp_path)


def test_a_result_survives_its_file(write: Any):
    (found,) = read_results(write())
    assert GateResult.model_validate_json(found.model_dump_json()) == found
