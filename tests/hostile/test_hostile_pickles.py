"""No hostile pickle passes the scan, whatever it is; those that claim to be attacks really are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hostile_pickles import CASES

from tests.steps import at_most
from validator.errors import UnsafeModelError
from validator.model.safety import load, scan_pickle

LIVE = [case for case in CASES if case.fires]

_VICTIM = """
import sys, pickle, joblib
for line in sys.stdin:
    loader, path = line.rstrip("\\n").split(" ", 1)
    try:
        with open(path, "rb") as stream:
            (joblib if loader == "joblib" else pickle).load(stream)
    except BaseException as error:
        print(path, repr(error)[:200], file=sys.stderr)
"""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_is_refused_by_name(case, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    data = case.make(str(canary))
    with at_most(lines=20_000 + 50 * len(data)):
        report = scan_pickle(data)
    assert report.verdict == "unsafe"
    assert not report.ok
    assert any(case.name in f"{finding.name} {finding.reason}" for finding in report.findings), (
        report.findings
    )
    assert all(finding.hint and finding.reason for finding in report.findings)
    assert not canary.exists()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_loader_refuses_it_too(case, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    with pytest.raises(UnsafeModelError):
        load(case.make(str(canary)))
    assert not canary.exists()


def test_live_cases_really_run_code_when_unpickled(tmp_path: Path) -> None:
    lines = []
    for number, case in enumerate(LIVE):
        path = tmp_path / f"{number}.pkl"
        path.write_bytes(case.make(str(tmp_path / f"{number}.canary")))
        lines.append(f"{case.loader} {path}")
    done = subprocess.run(
        [sys.executable, "-c", _VICTIM],
        input="\n".join(lines),
        text=True,
        capture_output=True,
        timeout=120,
        check=True,
    )
    silent = [case.title for number, case in enumerate(LIVE) if not (tmp_path / f"{number}.canary").exists()]
    assert not silent, done.stderr
    assert len(LIVE) >= 30
