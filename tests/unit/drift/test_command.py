"""The command on real files: what it says, writes and ends with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, feather
from pyarrow import parquet as pq

from validator.cli.main import main
from validator.drift.document import DriftReport

Frame = Callable[[int, int], pd.DataFrame]


@pytest.fixture
def drift(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in a folder of its own: exit code, report, standard output and error."""

    def run(*arguments: object, artifact: object = artifact) -> tuple[int, dict[str, Any], str, str]:
        out = tmp_path / "out"
        code = main(["drift", *map(str, arguments), "--artifact", str(artifact), "--out", str(out)])
        told = capsys.readouterr()
        written = out / "drift.json"
        report = json.loads(written.read_text()) if written.is_file() else {}
        return code, report, told.out, told.err

    return run


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    def write(frame: pd.DataFrame, name: str = "data.parquet") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(path, index=False)
        return path

    return write


def column(report: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in report["columns"] if one["name"] == name)
    return found


def test_data_like_the_reference(drift: Any, save: Any, frame: Frame) -> None:
    code, report, out, _ = drift(save(frame(2_000, 2)))
    assert code == 0
    assert report["status"] == "ok"
    assert [one["name"] for one in report["columns"]] == ["plan", "visits", "spend", "probabilities[1]"]
    assert report["answered"] == 2_000
    assert out.startswith("OK  churn")
    DriftReport.model_validate(report)


def test_a_shifted_feature_is_named_with_its_part_in_the_shift(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(2_000, 2)
    data["spend"] *= 2
    code, report, out, _ = drift(save(data))
    assert code == 1
    spend = column(report, "spend")
    assert spend["status"] == "fail"
    assert spend["contribution"] > 0.8
    assert column(report, "plan")["status"] == "ok"
    assert "FAIL  spend" in out
    assert "of the predictions' shift" in out
    assert max(map(len, out.splitlines()[:-1])) <= 80


def test_categories_that_the_reference_does_not_name(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(2_000, 2)
    data.loc[data.index % 10 == 0, "plan"] = "free"
    code, report, out, _ = drift(save(data))
    assert code == 1
    assert "categories that the reference does not name" in " ".join(out.split())
    assert column(report, "plan")["status"] == "fail"


def test_few_rows_end_with_four_or_as_asked(drift: Any, save: Any, frame: Frame) -> None:
    data = save(frame(20, 2))
    assert drift(data)[0] == 4
    assert drift(data, "--insufficient", "warn")[0] == 0
    assert drift(data, "--insufficient", "fail")[0] == 1


def test_every_format_counts_alike(drift: Any, save: Any, frame: Frame, tmp_path: Path) -> None:
    data = frame(1_000, 3).drop(columns="day")
    table = pa.Table.from_pandas(data, preserve_index=False)
    csv.write_csv(table, tmp_path / "a.csv")
    feather.write_feather(table, tmp_path / "a.feather")
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=70)
    encoded = table.set_column(0, "plan", table.column("plan").dictionary_encode())
    pq.write_table(encoded, tmp_path / "a.parquet", row_group_size=300)
    for i in range(4):
        part = table.slice(i * 250, 250)
        (tmp_path / "folder" / "below").mkdir(parents=True, exist_ok=True)
        pq.write_table(part, tmp_path / "folder" / "below" / f"part-{i}.parquet")
    reports = [drift(tmp_path / name)[1] for name in ("a.csv", "a.feather", "a.arrow", "a.parquet", "folder")]
    for report in reports:
        assert report["rows"] == 1_000
        assert report["columns"] == reports[0]["columns"]


def test_parts_counted_apart_add_to_the_whole(
    drift: Any, save: Any, frame: Frame, tmp_path: Path, artifact: Path
) -> None:
    data = frame(3_000, 4)
    whole = drift(save(data))[1]
    counts = []
    for i, part in enumerate(np.array_split(np.arange(3_000), 3)):
        path = save(data.iloc[part], f"part{i}.parquet")
        counts.append(tmp_path / f"counts{i}.json")
        assert main(["drift", "count", str(path), "--artifact", str(artifact), "-o", str(counts[-1])]) == 0
    code, added, _, _ = drift(*counts)
    assert code == 0
    assert added["rows"] == 3_000
    for one, other in zip(added["columns"], whole["columns"], strict=True):
        assert one["bins"] == other["bins"]
        assert one["special"] == other["special"]
        assert one["psi"] == pytest.approx(other["psi"])
    again = tmp_path / "again.json"
    again.write_bytes(counts[0].read_bytes())
    for doubled in (counts[0], again):
        code, _, _, err = drift(*counts, doubled)
        assert code == 2
        assert f"{doubled} holds the very counts of {counts[0]}" in " ".join(err.split())


def test_windows_of_time_show_when_it_began(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(10_000, 5)
    data.loc[data.index >= 8_000, "spend"] *= 3
    code, report, _, _ = drift(save(data), "--window", "14d", "--time", "day")
    assert code == 1
    assert [one["status"] for one in report["windows"]] == ["ok", "ok", "ok", "ok", "fail"]
    assert report["windows"][0]["label"] == "2026-01-01"
    by_rows = drift(save(data), "--window", "2000")[1]
    assert [one["status"] for one in by_rows["windows"]] == ["ok"] * 4 + ["fail"]


def test_quality_now_and_labels_that_come_late(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(2_000, 6)
    together = drift(save(data), "--target", "stays")[1]
    labels = save(data[["id", "stays"]].sample(frac=1.0, random_state=1).iloc[:1_500], "labels.parquet")
    late = drift(save(data.drop(columns="stays")), "--labels", labels, "--target", "stays", "--id", "id")[1]
    auc = {one["metric"]: one for one in together["quality"]}["auc"]
    assert auc["rows"] == 2_000
    assert 0.85 < auc["low"] < auc["value"] < auc["high"] <= 1.0
    assert auc["status"] == "ok"
    assert {one["metric"]: one for one in late["quality"]}["auc"]["rows"] == 1_500
    assert any("nobody measures" in note for note in drift(save(data))[1]["notes"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.assign(id="other"), "0 of 200 rows have an answer and a true answer"),
        (lambda f: f.assign(id=None), "0 of 200 rows"),
        (lambda f: f.iloc[:30], "30 of 200 rows"),
        (
            lambda f: f.assign(stays=f["stays"].str.upper()),
            "of 200 the true answer is none of 'goes', 'stays'",
        ),
        (lambda f: pd.concat([f, f.assign(stays="goes")]), "several true answers that differ"),
    ],
    ids=["unknown", "null", "few", "words", "torn"],
)
def test_quality_that_was_asked_for_and_cannot_be_measured_is_no_pass(
    drift: Any, save: Any, frame: Frame, change: Any, words: str
) -> None:
    data = frame(200, 6)
    labels = save(change(data[["id", "stays"]]), "labels.parquet")
    flags = ("--labels", labels, "--target", "stays", "--id", "id", "--independent")
    code, report, _, _ = drift(save(data), *flags)
    assert any(words in note for note in report["notes"])
    assert not any("nobody measures" in note for note in report["notes"])
    assert code == (0 if report["quality"] else 4)
    assert bool(report["quality"]) == (words == "several true answers that differ")


def test_a_model_without_skill_is_told(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(2_000, 7)
    data["stays"] = np.random.default_rng(0).permutation(data["stays"])
    report = drift(save(data), "--target", "stays")[1]
    auc = {one["metric"]: one for one in report["quality"]}["auc"]
    assert auc["status"] == "warn"
    assert "no better than a constant" in auc["reason"]


def test_against_other_data(drift: Any, save: Any, frame: Frame) -> None:
    low, high = frame(4_000, 8), frame(2_000, 9)
    low["spend"] *= 2
    high["spend"] *= 2
    against = save(low, "before.parquet")
    assert drift(save(high))[0] == 1
    code, report, _, _ = drift(save(high), "--against", against)
    assert code == 0
    assert report["against"] == str(against)


def test_groups_count_once(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(400, 10).loc[lambda f: f.index.repeat(10)].assign(customer=lambda f: f["id"])
    data = data.sample(frac=1.0, random_state=0)
    alone = drift(save(data))[1]
    grouped = drift(save(data), "--group", "customer")[1]
    for one, other in zip(grouped["columns"][:3], alone["columns"][:3], strict=True):
        assert one["floor"] > 2 * other["floor"]


def test_rows_that_break_the_contract_are_counted_and_told(drift: Any, save: Any, frame: Frame) -> None:
    data = frame(2_000, 11).astype({"visits": "float64"})
    data.loc[data.index % 50 == 0, "visits"] = np.nan
    _, report, _, _ = drift(save(data))
    assert report["refused"] == 40
    assert any("break the model's contract" in note for note in report["notes"])


@pytest.mark.parametrize("every", [1, 2])
def test_rows_without_an_answer_are_drift_where_every_column_looks_the_same(
    drift: Any, save: Any, frame: Frame, tmp_path: Path, artifact: Path, every: int
) -> None:
    """A quarter of a visit is in the same bin, and no model of whole visits answers."""
    data = frame(2_000, 11).astype({"visits": "float64"})
    data.loc[(data.index % every == 0) & data["visits"].between(1, 48), "visits"] += 0.25
    code, report, out, _ = drift(save(data))
    assert code == 1
    assert {one["name"]: one["status"] for one in report["columns"]}["visits"] == "ok"
    assert "no answer 0 % →" in out
    counts = tmp_path / "counts.json"
    main(["drift", "count", str(save(data)), "--artifact", str(artifact), "-o", str(counts)])
    code, counted, _, _ = drift(counts)
    assert code == 1
    assert (counted["answered"], counted["refused"]) == (report["answered"], report["refused"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop(columns="spend"), "lacks 1 of the model's 3 features: 'spend'"),
        (lambda f: f.assign(spend="much"), "column 'spend' holds"),
        (lambda f: f.iloc[:0], "holds no row"),
    ],
)
def test_data_that_does_not_fit(drift: Any, save: Any, frame: Frame, change: Any, words: str) -> None:
    code, report, _, err = drift(save(change(frame(100, 1))))
    assert code == 2
    assert not report
    assert words in err
    assert "hint:" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.parquet"], "there is no data"),
        (["data.parquet", "--window", "soon"], "neither rows nor time"),
        (["data.parquet", "--window", "7d"], "needs the column"),
        (["data.parquet", "--time", "day"], "without --window"),
        (["data.parquet", "--labels", "x"], "needs to know"),
        (["data.parquet", "--id", "id"], "without --labels"),
        (["data.parquet", "--target", "gone"], "no column 'gone'"),
        (["data.parquet", "--window", "1d", "--time", "plan"], "holds"),
        (["data.parquet", "--window", "1"], "more than 400 windows"),
        (["data.parquet", "data.parquet"], "2 sources"),
        (["counts.json"], "cannot be read"),
        (["count", "data.parquet"], "writes one file"),
        (["data.parquet", "--speed", "3"], "takes no --speed"),
    ],
)
def test_bad_usage_is_one_clear_error(
    drift: Any,
    save: Any,
    frame: Frame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: Any,
    words: str,
) -> None:
    save(frame(600, 1))
    monkeypatch.chdir(tmp_path)
    code, report, _, err = drift(*arguments)
    assert code == 2
    assert not report
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}", b"\x00" * 64])
@pytest.mark.parametrize("suffix", ["parquet", "csv", "arrow", "json"])
def test_broken_files_are_one_clear_error(drift: Any, tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"broken.{suffix}"
    path.write_bytes(content)
    code, report, _, err = drift(path)
    assert code == 2
    assert not report
    assert "Traceback" not in err
    assert "internal error" not in err


def test_an_artifact_without_a_profile_is_refused(
    drift: Any, save: Any, frame: Frame, artifact: Path, tmp_path: Path
) -> None:
    import shutil

    from validator.artifact.read import render_sums

    older = tmp_path / "older"
    shutil.copytree(artifact, older)
    (older / "profile.json").unlink()
    sums = dict(reversed(line.split("  ")) for line in (older / "SHA256SUMS").read_text().splitlines())
    (older / "SHA256SUMS").write_text(render_sums({k: v for k, v in sums.items() if k != "profile.json"}))
    code, _, _, err = drift(save(frame(100, 1)), artifact=older)
    assert code == 2
    assert "holds no profile.json" in err


def test_counts_of_another_model_do_not_add(
    drift: Any, save: Any, frame: Frame, tmp_path: Path, artifact: Path
) -> None:
    path = tmp_path / "counts.json"
    main(["drift", "count", str(save(frame(500, 1))), "--artifact", str(artifact), "-o", str(path)])
    for change, words in (
        ({"profile_sha256": "0" * 64}, "another model's profile"),
        ({"schema_version": 9}, "no counts of drift"),
        ({"rows": 7}, "do not add up"),
        ({"features": {}}, "no whole counts"),
        ({"lags": {"plan": ["x"]}}, "no whole counts"),
        ({"lags": dict.fromkeys(("plan", "visits", "spend"), [2**61] * 6)}, "the neighbours of plan"),
        ({"groups": []}, "no whole counts"),
        ({"output_rows": 501}, "do not add up"),
    ):
        odd = tmp_path / "odd.json"
        odd.write_text(json.dumps(json.loads(path.read_text()) | change))
        code, _, _, err = drift(odd)
        assert code == 2
        assert words in err


def test_hostile_names_are_harmless_on_every_surface(
    drift: Any, save: Any, frame: Frame, tmp_path: Path
) -> None:
    data = frame(2_000, 12)
    evil = "<script>alert(1)</script>|`@everyone`\u202e"
    data["plan"] = np.where(data.index % 3 == 0, evil, data["plan"])
    against = save(data, "before.parquet")
    code, _, out, _ = drift(save(data, "<b>x</b>.parquet"), "--against", against)
    assert code in (0, 1)
    page, text = ((tmp_path / "out" / name).read_text() for name in ("drift.html", "drift.md"))
    for written in (page, text, out):
        assert "<script" not in written
        assert "\u202e" not in written
    assert "default-src 'none'" in page
    assert "@everyone" not in text


def test_earlier_reports_do_not_outlive_a_failure(
    drift: Any, save: Any, frame: Frame, tmp_path: Path
) -> None:
    drift(save(frame(1_000, 1)))
    assert (tmp_path / "out" / "drift.json").is_file()
    code, report, _, _ = drift(tmp_path / "nowhere.parquet")
    assert code == 2
    assert not report
