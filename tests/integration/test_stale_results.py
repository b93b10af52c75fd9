"""A run that could not judge must not leave the verdict of an earlier one behind, as if it were its own."""

from __future__ import annotations

import json

import pytest

from tests.integration.command import DIAGNOSIS, judge

NAMES = ("result.json", "report.md", "report.html", "junit.xml")


@pytest.fixture
def passed_once(tmp_path):
    """A folder in which an earlier run, of several models, has passed."""
    for folder in (tmp_path / "preflight", tmp_path / "preflight" / "a"):
        folder.mkdir()
        for name in NAMES:
            (folder / name).write_text('{"schema_version":1}')
    (tmp_path / "model.joblib").write_bytes((DIAGNOSIS / "model.joblib").read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "configuration"),
    [
        (["gone.joblib"], ""),
        ([], ""),
        (["model.joblib", "--data", "gone.csv"], ""),
        (["model.joblib", "--max-latency-ms", "fast"], ""),
        (["model.joblib"], "unknown = 1"),
        (["model.joblib"], "no toml"),
        (["model.joblib", "--baseline", "no-such-branch"], ""),
    ],
)
def test_nothing_of_an_earlier_verdict_is_left(passed_once, arguments, configuration):
    (passed_once / "preflight.toml").write_text(configuration)
    done = judge("validate", *arguments, cwd=passed_once)
    assert done.code == 2, done.err
    assert not [str(path) for name in NAMES for path in passed_once.rglob(name)]


def test_inspect_leaves_it_alone(passed_once):
    assert judge("inspect", "model.joblib", "--json", cwd=passed_once).code == 0
    assert json.loads((passed_once / "preflight" / "result.json").read_text())
