"""A runtime that does not answer the sample's own rows is tried no further: one fault is told once."""

from __future__ import annotations

from typing import Any

import pytest

from validator.catalog import SPECS
from validator.checks.check import failed, passed, result, warned
from validator.gate.trial import Trial


def trial(*names: str) -> Any:
    runtimes: Any = {name: object() for name in names}
    return Trial(context=None, subject=None, runtimes=runtimes, artifact={}, wrapped=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("id", ["smoke.single", "smoke.batch", "smoke.repeatable"])
@pytest.mark.parametrize("name", ["deployment", "wrapper"])
def test_what_comes_after_is_not_run_and_names_the_first_cause(id: str, name: Any) -> None:
    tried = trial("native", "onnx", "deployment", "wrapper")
    missed = tried.silenced([result("smoke.single", "native", passed("")), result(id, name, failed("no"))])
    assert name not in tried.runtimes
    assert len(tried.runtimes) == 3
    assert {check.status for check in missed} == {"skip"}
    assert {check.message for check in missed} == {f"not run: it tells nothing while {id} fails"}
    later = {
        spec.id for spec in SPECS if name in spec.runtimes and not spec.id.startswith(("smoke.", "load."))
    }
    assert {check.id for check in missed} == later


def test_everything_else_is_tried() -> None:
    tried = trial("native", "deployment", "wrapper")
    others = [
        result("smoke.single", "native", failed("no")),
        result("smoke.rowwise", "wrapper", failed("no")),
        result("smoke.batch", "wrapper", warned("slow")),
    ]
    assert tried.silenced(others) == []
    assert list(tried.runtimes) == ["native", "deployment", "wrapper"]
