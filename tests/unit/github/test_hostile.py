from __future__ import annotations

import hashlib
import json
import os
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.causes import blocks
from validator.github import hostile
from validator.github.hostile import HostileResultError, NoResultError, read_run
from validator.report import checklist_view
from validator.results import GateResult, IndexedModel, RunIndex


def index(folder: Path, **changes: Any) -> Path:
    """Writes the index of the results that lie in the folder, whatever is in them."""
    places = [folder] if os.path.lexists(folder / "result.json") else sorted(folder.glob("m*/"))
    models = []
    for place in places:
        file = place / "result.json"
        raw = file.read_bytes() if file.is_file() else b""
        try:
            path = json.loads(raw)["model"]["path"]
        except (ValueError, KeyError, TypeError, RecursionError):
            path = "models/churn.pkl"
        models.append(
            IndexedModel(
                name="churn",
                path=path,
                folder="." if place == folder else place.name,
                status="judged",
                sha256=hashlib.sha256(raw).hexdigest(),
            )
        )
    found = RunIndex(tool_version="0.1.0", models=tuple(models)).model_dump() | changes
    (folder / "index.json").write_text(json.dumps(found))
    return folder


@pytest.fixture
def write(tmp_path: Path, make_result: Any) -> Any:
    def put(sub: str = ".", /, **changes: Any) -> Path:
        folder = tmp_path / sub
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "result.json").write_text(make_result(**changes).model_dump_json())
        return index(tmp_path)

    return put


def refused(folder: Path, words: str) -> None:
    with pytest.raises(HostileResultError, match=words) as caught:
        read_run(folder)
    assert caught.value.exit_code == 3
    assert "\n" not in caught.value.message


def test_an_honest_folder(write: Any, make_result: Any):
    assert read_run(write()).results == (make_result(),)


def test_several_models_in_the_order_of_the_index(write: Any):
    write("mb", name="b")
    folder = write("ma", name="a")
    (folder / "artifact").mkdir()
    (folder / "ma" / "junit.xml").touch()
    assert [r.model.name for r in read_run(folder).results] == ["a", "b"]


def test_nothing_there(tmp_path: Path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NoResultError):
            read_run(folder)
    (tmp_path / "file").touch()
    refused(tmp_path / "file", "cannot be opened as a folder")


def test_links_are_not_followed(tmp_path: Path, write: Any):
    real = write("real") / "real"
    (tmp_path / "link").symlink_to(real)
    refused(tmp_path / "link", "cannot be opened as a folder")
    other = tmp_path / "other"
    other.mkdir()
    (other / "result.json").symlink_to(real / "result.json")
    refused(index(other), "cannot be read")
    (other / "result.json").unlink()
    (other / "mlinked").symlink_to(real)
    refused(index(other), "mlinked cannot be opened as a folder")
    (other / "mlinked").unlink()
    os.link(real / "result.json", other / "result.json")
    refused(index(other), "hard link")
    (other / "result.json").unlink()
    (other / "index.json").unlink()
    (other / "index.json").symlink_to(real.parent / "index.json")
    refused(other, "cannot be read")


def test_what_is_no_file(tmp_path: Path):
    (tmp_path / "ma").mkdir()
    os.mkfifo(tmp_path / "ma" / "result.json")
    refused(index(tmp_path), "no regular file")
    (tmp_path / "ma" / "result.json").unlink()
    (tmp_path / "ma" / "result.json").mkdir()
    refused(index(tmp_path), "no regular file")


@pytest.mark.parametrize(
    "name", ["evil", "result.json.bak", ".hidden", "unchanged.json", "artifact2", "churn"]
)
def test_what_the_index_does_not_name_is_refused_by_name(write: Any, name: str):
    folder = write("ma", name="a")
    (folder / name).mkdir()
    refused(folder, f"{re.escape(name)} is not among what")
    (folder / name).rmdir()
    (folder / "ma" / name).touch()
    refused(folder, f"ma/{re.escape(name)} is not among what")


def test_a_result_that_the_index_does_not_name(write: Any, make_result: Any):
    folder = write("ma", name="a")
    (folder / "result.json").write_text(make_result().model_dump_json())
    refused(folder, "result.json is not among what")


def test_a_result_that_was_exchanged(write: Any, make_result: Any):
    folder = write()
    (folder / "result.json").write_text(make_result(reason="another").model_dump_json())
    refused(folder, "is not the file that index.json names")
    (folder / "result.json").unlink()
    refused(folder, "is not there")
    (folder / "result.json").write_text(make_result(path="other.pkl").model_dump_json())
    index(folder)
    text = (folder / "index.json").read_text()
    (folder / "index.json").write_text(text.replace("other.pkl", "models/churn.pkl"))
    refused(folder, "speaks of another model")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"folder": "../x"}, "a folder that no run writes"),
        ({"folder": "a/b"}, "a folder that no run writes"),
        ({"folder": "index.json"}, "a folder that no run writes"),
        ({"folder": ""}, "a folder that no run writes"),
        ({"sha256": None}, "names no result"),
        ({"status": "unchanged"}, "names no result"),
        ({"status": "passed"}, "does not follow the schema"),
    ],
)
def test_an_index_that_no_run_writes(write: Any, model: dict[str, Any], words: str):
    folder = write()
    found = json.loads((folder / "index.json").read_text())
    found["models"][0] |= model
    (folder / "index.json").write_text(json.dumps(found))
    refused(folder, words)


def test_one_folder_for_two_models(write: Any):
    folder = write("ma", name="a")
    found = json.loads((folder / "index.json").read_text())
    refused(index(folder, models=found["models"] * 2), "names one folder twice")


def test_sizes(tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch):
    folder = write()
    with (folder / "result.json").open("ab") as file:
        file.truncate(hostile.MAX_RESULT_BYTES + 1)
    refused(folder, "larger than")
    (folder / "result.json").unlink()
    for n in range(5):
        write(f"m{n}")
    monkeypatch.setattr(hostile, "MAX_MODELS", 4)
    refused(folder, "more than 4 models")
    monkeypatch.setattr(hostile, "MAX_MODELS", 5)
    monkeypatch.setattr(hostile, "MAX_ENTRIES", 3)
    refused(folder, "more than 3 entries")


#: Documents of a size that is allowed whose every part is a fault.
FLOODS = {
    "checks": lambda n: b'{"checks":[' + b",".join([b"{}"] * n) + b"]}",
    "classes": lambda n: b'{"contract":{"classes":[' + b",".join([b"[]"] * n) + b"]}}",
    "unknown keys": lambda n: b"{" + b",".join(b'"k%d":1' % i for i in range(n)) + b"}",
    "timings": lambda n: b'{"timings":{' + b",".join(b'"k%d":"x"' % i for i in range(n)) + b"}}",
    "one key often": lambda n: b'{"timings":{' + b",".join([b'"k":"x"'] * n) + b"}}",
    "depth": lambda n: b"[" * n,
}


@pytest.mark.parametrize("number", [19_000, 200_000])
@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_of_faults_takes_no_memory(write: Any, kind: str, number: int):
    """The list of all faults of 600 KB of `{}` took more than a gibibyte."""
    folder = write()
    (folder / "result.json").write_bytes(FLOODS[kind](number))
    index(folder)
    tracemalloc.start()
    try:
        refused(folder, "does not follow the schema")
        assert tracemalloc.get_traced_memory()[1] < 120 * 2**20
    finally:
        tracemalloc.stop()


def test_every_sequence_of_the_schema_fails_at_its_first_fault():
    def sequences(schema: Any) -> Iterator[dict[str, Any]]:
        if isinstance(schema, dict):
            if schema.get("type") in ("list", "tuple") and "items_schema" in schema:
                yield schema
            for value in schema.values():
                yield from sequences(value)
        elif isinstance(schema, (list, tuple)):
            for value in schema:
                yield from sequences(value)

    found = [
        one
        for kind in (GateResult, RunIndex)
        for one in sequences(kind.__pydantic_core_schema__)
        if one.get("variadic_item_index") is not None or one["type"] == "list"
    ]
    assert len(found) > 10
    assert [one for one in found if not one.get("fail_fast")] == []


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
    refused(index(tmp_path), "does not follow the schema")
    (tmp_path / "index.json").write_text(content)
    refused(tmp_path, "index.json does not follow the schema")


def test_bytes_that_are_no_text(tmp_path: Path):
    (tmp_path / "result.json").write_bytes(b"\xff\xfe{}")
    refused(index(tmp_path), "does not follow the schema")


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
    refused(index(folder), "does not follow the schema")


@pytest.mark.parametrize("number", [10**30, -(10**400)])
def test_numbers_that_nothing_counts(write: Any, make_check: Any, number: int):
    check = make_check("fail").model_dump() | {"evidence": [{"name": "n", "seen": number}]}
    refused(write(checks=(check,)), "more than 64 bits")


def test_half_of_a_character_is_refused(write: Any):
    folder = write(reason="the reason")
    text = (folder / "result.json").read_text()
    (folder / "result.json").write_text(text.replace("the reason", "\\ud800"))
    refused(index(folder), "does not follow the schema")


def test_an_artifact_outside_of_the_workspace_is_forgotten(write: Any):
    (found,) = read_run(write(artifact={"path": "/tmp/out/artifact/churn/v_1", "files": []})).results
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
        read_run(index(folder))
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 1_000


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=400))
def test_any_bytes_end_in_a_refusal(tmp_path: Path, data: bytes):
    (tmp_path / "result.json").write_bytes(data)
    index(tmp_path)
    with pytest.raises(HostileResultError):
        read_run(tmp_path)
    (tmp_path / "index.json").write_bytes(data)
    with pytest.raises(HostileResultError):
        read_run(tmp_path)


def test_a_result_survives_its_file(write: Any):
    (found,) = read_run(write()).results
    assert GateResult.model_validate_json(found.model_dump_json()) == found


def test_all_results_together_are_bounded(write: Any, monkeypatch: pytest.MonkeyPatch):
    write("ma", name="a")
    folder = write("mb", name="b")
    raw = (folder / "ma" / "result.json").read_bytes()
    parts = raw.count(b"{") + raw.count(b"[")
    monkeypatch.setattr(hostile, "MAX_TOTAL_CONTAINERS", 2 * parts)
    assert len(read_run(folder).results) == 2
    monkeypatch.setattr(hostile, "MAX_TOTAL_CONTAINERS", 2 * parts - 1)
    refused(folder, "in all results")


def test_a_checklist_is_summed_in_proportion_to_its_length(make_check: Any, monkeypatch: pytest.MonkeyPatch):
    """The most checks that are allowed took twenty seconds, a model, before the status was set."""
    asked = 0

    def counted(check: Any) -> bool:
        nonlocal asked
        asked += 1
        return blocks(check)

    monkeypatch.setattr(checklist_view, "blocks", counted)
    checks = [make_check("fail", id=f"smoke.n{number % 50}") for number in range(500)]
    shown = checklist_view.checklist(checks, volatile=True)
    assert [len(one.rows) for one in shown.categories] == [50]
    assert asked < 20 * len(checks)
