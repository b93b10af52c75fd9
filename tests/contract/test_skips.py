"""In CI a test that is skipped for a reason nobody has thought of fails the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MAY_SKIP, SkipGuard

pytest_plugins = ["pytester"]

#: Inner runs look for no plugins, which takes longer than all that they do.
ALONE = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"

UNFORESEEN = "import pytest\ndef test_a(): pytest.skip('the library is not here')\n"
PERMITTED = "import pytest\ndef test_a(): pytest.skip('no Docker engine answers: connect')\n"
MODULE = "import pytest\npytest.importorskip('no_such_module')\n"
EXPECTED = "import pytest\n@pytest.mark.xfail(strict=True)\ndef test_a(): assert 0\n"
PASSING = "def test_a(): pass\n"
LISTED = "skipped, and not by"


@pytest.mark.parametrize(
    ("test", "permitted", "fails"),
    [
        (UNFORESEEN, MAY_SKIP, True),
        (MODULE, MAY_SKIP, True),
        (PERMITTED, MAY_SKIP, False),
        (PERMITTED, (), True),
        (EXPECTED, (), False),
        (PASSING, (), False),
    ],
    ids=["unforeseen", "module", "permitted", "none permitted", "expected failure", "passing"],
)
def test_only_foreseen_skips_pass(
    pytester: pytest.Pytester,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    test: str,
    permitted: tuple[str, ...],
    fails: bool,
) -> None:
    pytester.makepyfile(test_one=test, test_other=PASSING)
    monkeypatch.setenv(ALONE, "1")
    guard = SkipGuard(permitted=tuple(permitted))
    ended = pytest.main(["-q", "-p", "no:cacheprovider", str(pytester.path)], plugins=[guard])
    assert (ended == pytest.ExitCode.TESTS_FAILED) == fails
    assert (LISTED in capsys.readouterr().out) == fails
    assert len(guard.unforeseen) == fails


def test_it_guards_ci_where_test_processes_run_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    (tmp_path / "test_one.py").write_text(UNFORESEEN)
    (tmp_path / "test_other.py").write_text(PERMITTED)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "xdist", "-n", "1", tmp_path],
        env={**os.environ, "CI": "true", ALONE: "1"}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    listed = done.stdout.partition(LISTED)[2]
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "the library is not here" in listed
    assert "no Docker engine" not in listed
