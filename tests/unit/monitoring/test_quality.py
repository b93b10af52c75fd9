"""Live quality from a log and late labels, and where it leads: is the model due, and what to train with."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.unit.monitoring.test_page import NASTY, Read
from validator.cli.main import main
from validator.errors import SampleError
from validator.monitoring import maintenance, quality
from validator.monitoring.gather import Column, Seen

OWN, OTHER = "v_20251105T093000Z_6d08a4e6", "v_20251201T000000Z_00000000"
START = datetime(2026, 1, 5, 12, tzinfo=UTC)


def write(
    folder: Path,
    *,
    rows: int = 2_400,
    versions: tuple[str, ...] = (OWN,),
    truth: Callable[[np.ndarray, np.random.Generator], np.ndarray] = lambda p, r: r.random(len(p)) < p,
    labelled: float = 1.0,
    batch: int = 1,
) -> tuple[str, str]:
    """A log of six weeks as `serve --log` writes it, and the labels that came later."""
    random = np.random.default_rng(3)
    p = random.uniform(0.02, 0.98, rows)
    ids = [f"id{i // batch:06}" for i in range(rows)]
    log = folder / "log"
    log.mkdir(parents=True, exist_ok=True)
    table = pa.table(
        {
            "preflight_id": ids,
            "x": p,
            "preflight_label": (p > 0.5).astype(np.int64),
            "preflight_probabilities": [[1 - one, one] for one in p.tolist()],
            "preflight_time": pa.array(
                [START + timedelta(minutes=i * 6 * 7 * 1440 / rows) for i in range(rows)],
                type=pa.timestamp("us", tz="UTC"),
            ),
            "preflight_version": [versions[i % len(versions)] for i in range(rows)],
        }
    )
    pq.write_table(table.slice(0, rows // 2), log / "predictions-1.parquet")
    pq.write_table(table.slice(rows // 2), log / "predictions-2.parquet")
    answers = truth(p, random).astype(np.int64)
    kept = int(rows * labelled)
    pq.write_table(
        pa.table({"preflight_id": ids[:kept], "answer": answers[:kept]}), folder / "labels.parquet"
    )
    return str(log), str(folder / "labels.parquet")


def options(artifact: Path, log: str, labels: str, **more: Any) -> quality.Options:
    return quality.Options(log=log, labels=labels, artifact=str(artifact), target="answer", **more)


def found(artifact: Path, folder: Path, **more: Any) -> quality.LiveQuality:
    return quality.measure_live(options(artifact, *write(folder, **more)), now=1.8e9)


def standing(one: quality.LiveQuality, metric: str, version: str = OWN) -> quality.Standing:
    return next(each for each in one.standings if each.metric == metric and each.version == version)


def test_a_model_that_is_right_is_calibrated_and_its_auc_is_known(artifact: Path, tmp_path: Path) -> None:
    one = found(artifact, tmp_path)
    assert (one.joined, one.waiting, one.ambiguous) == (2_400, 0, 0)
    auc, off = standing(one, "auc"), standing(one, "calibration")
    assert 0.78 < auc.low < auc.value < auc.high < 0.88
    assert off.low < 0 < off.high
    assert not one.is_worse
    weeks = {cell.start for cell in one.cells}
    assert len(weeks) == 6, "the last one has too few rows"
    assert all(datetime.fromtimestamp(week, UTC).weekday() == 0 for week in weeks)


def test_without_a_reference_nothing_is_called_as_good(
    artifact_of: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = artifact_of(tmp_path / "a", quality=())
    log, labels = write(tmp_path)
    line = ["monitor", "quality", log, "--labels", labels, "--target", "answer", "--artifact", str(plain)]
    assert main([*line, "--out", str(tmp_path / "q"), "--json"]) == 4
    assert capsys.readouterr().out == (tmp_path / "q" / "quality.json").read_text()
    assert "nothing to compare with" in (tmp_path / "q" / "quality.html").read_text()
    one = quality.from_json((tmp_path / "q" / "quality.json").read_bytes())
    assert maintenance.judge(seen(column("a")), one, retrain_after_days=90).status == "unknown"


def test_each_version_is_measured_on_its_own_rows(artifact: Path, tmp_path: Path) -> None:
    one = found(artifact, tmp_path, versions=(OWN, OTHER))
    assert {each.version for each in one.standings} == {OWN, OTHER}
    assert standing(one, "auc", OTHER).rows + standing(one, "auc").rows < 2_400


def test_answers_that_mean_nothing_any_more_are_noticed(artifact: Path, tmp_path: Path) -> None:
    one = found(artifact, tmp_path, truth=lambda p, random: random.random(len(p)) < 0.5)
    assert one.is_worse
    assert "no better than a constant" in standing(one, "auc").reason


def test_probabilities_that_are_too_high_are_noticed(artifact: Path, tmp_path: Path) -> None:
    one = found(artifact, tmp_path, truth=lambda p, random: random.random(len(p)) < 0.7 * p)
    off = standing(one, "calibration")
    assert off.status == "warn"
    assert off.value == pytest.approx(0.15, abs=0.03)
    assert off.worse_low is not None
    assert off.worse_low > 0


def test_rows_of_one_request_are_joined_in_their_order(artifact: Path, tmp_path: Path) -> None:
    whole = found(artifact, tmp_path / "a", batch=4)
    assert whole.ambiguous == 0
    assert standing(whole, "auc").value == pytest.approx(
        standing(found(artifact, tmp_path / "b"), "auc").value
    )
    cut = found(artifact, tmp_path / "c", batch=4, labelled=0.5005)
    assert cut.ambiguous > 0, "a request with fewer labels than rows cannot be joined"
    assert cut.waiting > 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"labelled": 0.01}, "24 logged predictions have a true answer"),
        ({"labelled": 0.0}, "0 logged predictions"),
    ],
)
def test_too_few_labels_say_nothing(artifact: Path, tmp_path: Path, more: dict[str, Any], told: str) -> None:
    with pytest.raises(SampleError, match=told):
        found(artifact, tmp_path, **more)


def test_wrong_columns_are_named(artifact: Path, tmp_path: Path) -> None:
    log, labels = write(tmp_path)
    with pytest.raises(SampleError, match="has no column 'x1'"):
        quality.measure_live(options(artifact, log, labels, id="x1"), now=0)
    with pytest.raises(SampleError, match="is no log of predictions"):
        quality.measure_live(options(artifact, labels, labels), now=0)


def test_the_command_writes_figures_for_people_and_prometheus(
    artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, labels = write(tmp_path)
    out = tmp_path / "q"
    line = ["monitor", "quality", log, "--labels", labels, "--target", "answer", "--artifact", str(artifact)]
    assert main([*line, "--out", str(out)]) == 0
    assert "churn: 2,400 joined, 0 wait, 0 ambiguous" in capsys.readouterr().out
    text = (out / "quality.prom").read_text()
    from prometheus_client.parser import text_string_to_metric_families

    names = {family.name for family in text_string_to_metric_families(text)}
    assert names >= {"preflight_live_quality", "preflight_live_quality_timestamp_seconds"}
    again = quality.from_json((out / "quality.json").read_bytes())
    assert quality.exposition(again) == text
    page = Read((out / "quality.html").read_text())
    assert page.open == []
    assert not page.of("script")


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"schema_version": 1}', b'{"schema_version": 1, "cells": [1]}']
)
def test_figures_that_are_none_are_refused(content: bytes) -> None:
    with pytest.raises(SampleError):
        quality.from_json(content)


def column(name: str, **more: Any) -> Column:
    fields: dict[str, Any] = {
        "bins": ("0", "1"), "before": (0.5, 0.5), "now": (0.5, 0.5), "rows": 100.0, "psi": 0.01, "floor": 0.02,
        "special": (), "past": (),
    }  # fmt: skip
    return Column(name=name, **fields | more)


def seen(*features: Column, age_days: float = 10, **more: Any) -> Seen:
    end = 1_780_000_000.0
    fields: dict[str, Any] = {
        "versions": ((OWN, "pass", "", end - age_days * 86_400),), "charts": (), "quality": (), "outputs": (),
        "alerts": (), "rollouts": (), "watched": True,
    }  # fmt: skip
    return Seen(model="churn", start=end - 30 * 86_400, end=end, features=features, **fields | more)


def well(artifact: Path, folder: Path) -> quality.LiveQuality:
    return found(artifact, folder)


def test_a_model_is_due_by_age_drift_special_values_or_quality(artifact: Path, tmp_path: Path) -> None:
    good = well(artifact, tmp_path)
    assert maintenance.judge(seen(column("a")), good, retrain_after_days=90).status == "well"
    old = maintenance.judge(seen(column("a"), age_days=100), good, retrain_after_days=90)
    assert "100 days old" in old.reasons[0]
    start = seen().start
    past = [(start + i * 86_400, 0.05 if i < 20 else 0.3) for i in range(30)]
    drifted = maintenance.judge(seen(column("a", psi=0.3, past=past)), good, retrain_after_days=90)
    assert drifted.status == "due"
    assert "train with the rows since 2026-05-18" in drifted.advice[0]
    missing = column("a", special=(("missing", 0.0, 0.05),))
    assert "more often a fault" in maintenance.judge(seen(missing), good, retrain_after_days=90).advice[0]


def test_what_is_not_known_is_not_well(artifact: Path, tmp_path: Path) -> None:
    nothing = maintenance.judge(seen(versions=()), None, retrain_after_days=90)
    assert nothing.status == "unknown"
    assert maintenance.judge(seen(column("a")), None, retrain_after_days=90).status == "unknown"
    blind = maintenance.judge(seen(column("a", floor=0.5)), well(artifact, tmp_path), retrain_after_days=90)
    assert blind.status == "unknown"


def test_names_stay_inside_of_their_cells(artifact: Path, tmp_path: Path) -> None:
    one = maintenance.judge(
        seen(column(NASTY + "|`\n# x", psi=0.3)), well(artifact, tmp_path), retrain_after_days=90
    )
    text = maintenance.markdown(one)
    assert "<script>" not in text
    assert "\n# x" not in text
    page = Read(maintenance.page(one))
    assert page.open == []
    assert not page.of("script")
    assert json.dumps(text)
