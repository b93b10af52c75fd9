"""The last stage: what it records must be true, and what it writes is written whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from validator.catalog import ALL, expected
from validator.checks.check import passed, result
from validator.gate import conclusion
from validator.gate.conclusion import conclude, forget_earlier, write
from validator.gate.result_builder import ResultBuilder, Stages
from validator.model.file import identify
from validator.results import Contract, FeatureSpec, ModelInfo
from validator.settings.table import Settings

NOW = datetime(2026, 1, 10, tzinfo=UTC)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04K\x01." + bytes(100))
    return path


@pytest.fixture
def builder(model):
    """A run in which everything passed."""
    found = ResultBuilder(
        model=ModelInfo(
            path=str(model), name="model", format="pickle", sha256=identify(model).sha256, size_bytes=105
        ),
        stage=Stages(progress=lambda *_: None),
        contract=Contract(
            features=(FeatureSpec(name="age", dtype="float64"),), task="binary", classes=(0, 1)
        ),
    )
    found.add(
        *(
            result(id, runtime, passed("as it should be"))
            for id, runtime in expected(ALL)
            if not id.startswith("version.") or id == "version.metadata"
        )
    )
    return found


def concluded(builder, *, now=NOW, **environ):
    return conclude(builder, Settings(), {"SOURCE_DATE_EPOCH": str(int(NOW.timestamp())), **environ}, now)


def failing(found):
    return {check.id for check in found.checks if check.status in ("fail", "error", "skip")}


def test_a_true_record_passes(builder):
    assert (concluded(builder).verdict, failing(concluded(builder))) == ("pass", set())


def test_a_file_that_changed_meanwhile_fails_its_record_alone(builder, model):
    model.write_bytes(b"\x80\x04K\x02." + bytes(100))
    found = concluded(builder)
    assert failing(found) == {"version.recorded"}
    assert "changed while it was judged" in found.reason


def test_a_file_that_is_gone_fails_its_record_alone(builder, model):
    model.unlink()
    assert failing(concluded(builder)) == {"version.recorded"}


@pytest.mark.parametrize(("ahead", "fails"), [(timedelta(hours=14), False), (timedelta(days=2), True)])
def test_a_time_that_lies_ahead_fails_its_record_alone(builder, ahead, fails):
    found = concluded(builder, now=NOW - ahead)
    assert failing(found) == ({"version.recorded"} if fails else set())


def test_an_artifact_that_cannot_be_written_fails_its_check_alone(builder, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "artifact").write_text("a file where the folder belongs")
    found = write(out, concluded(builder), b"onnx")
    assert (found.verdict, failing(found)) == ("fail", {"version.artifact"})
    assert "artifact" in found.reason.removeprefix("Artifact complete: ")
    assert (out / "result.json").is_file()
    assert (out / "artifact").read_text() == "a file where the folder belongs"


def test_what_an_earlier_run_said_is_forgotten_and_what_others_wrote_is_not(builder, tmp_path):
    out = tmp_path / "out"
    (out / "gone").mkdir(parents=True)
    for folder in (out, out / "gone"):
        write(folder, concluded(builder), b"onnx")
    (out / "other").mkdir()
    (out / "other" / "result.json").write_text('{"score": 1}')
    (out / "notes.md").write_text("mine")
    (tmp_path / "elsewhere").symlink_to(out / "gone")
    (out / "link").symlink_to(tmp_path / "elsewhere")
    kept = {"other/result.json", "notes.md"}
    forget_earlier(out)
    left = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert {path for path in left if "artifact/" not in path} == kept
    assert any(path.startswith("artifact/") for path in left)


def test_what_was_loosened_beyond_what_a_report_shows_is_counted() -> None:
    few, many = tuple(map(str, range(50))), tuple(map(str, range(53)))
    assert conclusion._first(few) == few
    assert conclusion._first(many) == (*few, "3 more settings in the same way")
