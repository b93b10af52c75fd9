"""How hypothesis searches (the same examples in every run of `make test`, other ones in `make test-long`), how many
threads numerics take, and which tests may be skipped where CI runs them.
"""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import settings

# Before numpy is imported. Test processes share the cores already; threads that wait for each other by spinning made
# training scikit-learn's small models three times as dear.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("steady")

#: Reasons for which a test may be skipped in CI, and why that leaves no hole. Elsewhere any reason will do.
MAY_SKIP = {
    r"no Docker engine answers|no docker command": "CI's container job runs these, and forbids every skip",
    r"pyspark is not installed|Spark needs Java": "what an example alone needs, 400 MB: run by hand when it changes",
    r"only root|root may not|another user": "CI runs as a plain user; the image's tests run as root and as others",
    r"mlflow is (not )?installed": "of two tests one runs; mlflow itself is too heavy to install",
    r"Python 3\S* is not on this machine": "models of older Pythons need one beside ours",
    r"the package index cannot be reached": "what those models need is installed from it",
    r"(promtool|amtool) is not on this machine": "CI's drill installs Prometheus, and runs these without skips",
    r"CUSTOM_RESOURCE_SCHEMAS names no folder": "the projects' schemas are theirs, and large",
    r"no unistd(_64)?\.h on this machine": "the kernel's headers are there for one processor alone",
}
#: Where this variable is set no skip is permitted: in a job that selects what it has provided for.
FORBID = "FORBID_SKIPS"


def pytest_configure(config: pytest.Config) -> None:
    """Only where the reports of all test processes meet."""
    if not hasattr(config, "workerinput") and (os.environ.get("CI") == "true" or FORBID in os.environ):
        config.pluginmanager.register(SkipGuard(permitted=() if FORBID in os.environ else tuple(MAY_SKIP)))


class SkipGuard:
    """Fails a run in which a test was skipped for a reason that is not `permitted` (regular expressions)."""

    def __init__(self, permitted: tuple[str, ...]) -> None:
        self._permitted = [re.compile(pattern) for pattern in permitted]
        self.unforeseen: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if not report.skipped or hasattr(report, "wasxfail"):
            return
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(pattern.search(reason) for pattern in self._permitted):
            self.unforeseen.append(f"{report.nodeid}: {reason}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.unforeseen and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.unforeseen:
            terminalreporter.section("skipped, and not by a reason that tests/conftest.py knows", red=True)
            terminalreporter.write_line("\n".join(sorted(self.unforeseen)))
