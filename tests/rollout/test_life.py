"""`make life`: the whole life of a model, with real parts, ends as its summary says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.drill import drilled
from tests.rollout.site import TOOLS

LIFE = Path(__file__).parents[2] / "examples" / "life" / "life.py"
#: What it says in the end, and what it leaves.
TOLD = (
    "the second version took over: promoted",
    "the third version was taken out by itself: rolled back: refused",
    "the alert rang: PreflightDrift",
    ", 0 without an answer of the model",
)
PAGES = (
    "second/preflight/report.html",
    "rollout-promoted/rollout.html",
    "rollout/rollout.html",
    "monitor.html",
    "drift/drift.html",
)
pytestmark = drilled(TOOLS, seconds=1_200)


def test_a_good_version_takes_over_a_bad_one_is_taken_out_and_the_alert_rings(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(LIFE.parents[2])}
    done = subprocess.run(
        [sys.executable, str(LIFE), str(tmp_path / "life")],
        capture_output=True, text=True, check=False, env=environment, timeout=1_100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
    for told in TOLD:
        assert told in done.stdout, done.stdout[-3_000:]
    for name in PAGES:
        assert (tmp_path / "life" / name).stat().st_size > 2_000
