"""The trading example's wrappers through the real command: as it was first written, and mended."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from tests.integration.command import TRADING, Ran, judge, unhurried

FAST = ("--latency-budget-s", 0.2, "--boundary-rows", 2_000, "--batch-sizes", "1,10")

#: What `serving_unchecked.py` leaves out, and the checks that tell of it.
GAPS = {
    "columns are taken by position, under any name": {
        "errors.wrong_names",
        "errors.misspelt_name",
        "errors.reordered_features",
    },
    "NaN, infinity, nothing at all and text are answered": {
        "errors.nan",
        "errors.inf",
        "errors.none",
        "errors.text",
    },
    "it cannot say which model it runs": {"version.metadata", "errors.corrupted_file"},
    "what the model answers is never looked at": {"errors.wrong_answer"},
    "no call is timed": {"latency.tracking"},
    "errors do not say what is wrong": {"errors.missing_features"},
}


def validate(wrapper: str, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp(wrapper)
    unhurried(folder, 'name = "trading"\ntarget = "direction"\n')
    target = f"{TRADING / wrapper}.py:TradingModelDeployment"
    pd.read_parquet(TRADING / "sample.parquet").head(200).to_parquet(folder / "sample.parquet")
    data = ("--data", "sample.parquet")
    return judge("validate", TRADING / "model.pkl", *data, "--wrapper", target, *FAST, cwd=folder)


@pytest.fixture(scope="module")
def unchecked(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return validate("serving_unchecked", tmp_path_factory)


@pytest.fixture(scope="module")
def mended(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return validate("serving", tmp_path_factory)


def test_the_wrapper_as_it_was_is_blocked_with_each_of_its_six_gaps_named(unchecked: Ran) -> None:
    assert unchecked.code == 1, unchecked.err
    expected = {f"{check}/wrapper" for checks in GAPS.values() for check in checks}
    assert unchecked.failing() == expected
    told = {
        check["id"]: check["message"] for check in unchecked.result["checks"] if check["runtime"] == "wrapper"
    }
    for id, words in {
        "errors.reordered_features": "takes the columns by position",
        "errors.nan": "predict answers NaN in 'returns_1d' as if training had seen it (and 29 more of 30",
        "errors.none": "answers None in",
        "errors.text": "answers the text '1.5'",
        "errors.missing_features": "it does not name 'range_10d'",
        "errors.wrong_answer": "the model answers is passed on even where it is NaN and 1.5",
        "latency.tracking": "no latency tracking",
        "version.metadata": "no version tracking",
        "load.model": "it has no latency_stats, metadata",
    }.items():
        assert words in told[id]


def test_the_mended_wrapper_passes(mended: Ran) -> None:
    assert mended.code == 0, mended.out + mended.err
    checks = {check["id"]: check for check in mended.result["checks"] if check["runtime"] == "wrapper"}
    assert checks.keys() >= {check for checks in GAPS.values() for check in checks}
    assert "metadata tells that it is another one" in checks["errors.corrupted_file"]["message"]
    assert "is 'returs_1d' meant?" in checks["errors.misspelt_name"]["message"]
    assert (
        checks["errors.missing_file"]["message"]
        == "FileNotFoundError: there is no model file missing-model.pkl"
    )
    assert checks["smoke.methods"]["message"] == "predict, predict_single, batch_predict agree on 20 rows"


def test_the_shipped_deployment_passes_every_scenario_beside_it(mended: Ran) -> None:
    checks = [check for check in mended.result["checks"] if check["runtime"] == "deployment"]
    outcomes = {check["id"]: check["message"] for check in checks if check["category"] == "errors"}
    assert {check["status"] for check in checks} <= {"pass", "skip", "warn"}
    for id, words in {
        "errors.missing_file": "ArtifactNotFoundError",
        "errors.truncated_file": "TamperedArtifactError: model.onnx was changed",
        "errors.corrupted_file": "TamperedArtifactError: model.onnx was changed",
        "errors.wrong_names": "MissingFeatureError: 10 of 10 features missing",
        "errors.misspelt_name": "'returns_1d' (is 'returs_1d' meant?)",
        "errors.extra_features": "ExtraFeatureError",
        "errors.nan": "MissingValueError: feature 'returns_1d' has no value",
        "errors.inf": "InfiniteValueError",
        "errors.text": "FeatureTypeError: feature 'returns_1d' holds str",
        "errors.huge_integer": "NumberRangeError",
        "errors.empty_batch": "EmptyBatchError",
        "errors.wrong_rank": "ShapeError",
        "errors.many_threads": "8 right calls are answered as alone, 8 wrong ones end in MissingFeatureError",
    }.items():
        assert words in outcomes[id]


def test_the_wrapper_stands_in_every_report(mended: Ran) -> None:
    assert mended.result["latency"]["wrapper"]["samples"] > 0
    assert "Your wrapper" in mended.out
    assert "Your wrapper" in (mended.folder / "report.md").read_text()
    assert "Your wrapper" in (mended.folder / "report.html").read_text()
    cases = ET.parse(mended.folder / "junit.xml").getroot().iter("testcase")
    assert any("wrapper" in f"{case.get('name')} {case.get('classname')}".lower() for case in cases)
    assert all(len(line) <= 80 for line in mended.out.splitlines() if line.startswith("  "))
    grid = next(line for line in mended.out.splitlines() if "Checklist" in line)
    assert grid.rstrip().endswith("Your wrapper")


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nowhere.py:Wrapper", "there is no wrapper file"),
        ("mlflow:nowhere", "holds no file MLmodel"),
        ("serving.py", "names no wrapper"),
    ],
)
def test_a_wrapper_that_is_not_there_ends_the_run_before_it_begins(target: str, told: str, tmp_path) -> None:
    ran = judge("validate", TRADING / "model.pkl", "--wrapper", target, *FAST, cwd=tmp_path)
    assert ran.code == 2
    assert told in ran.err
    assert not (tmp_path / "preflight/result.json").exists()
