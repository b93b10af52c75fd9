"""When a run insists on every layer of isolation: the same rule for the model's file and for the user's wrapper."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from validator.checks.context import Context
from validator.results import Layer
from validator.settings.table import Settings

_LACKING = (Layer(name="landlock", state="unavailable"), Layer(name="seccomp", state="applied"))


def _missing(isolation: str, *, in_ci: bool, runs_code: bool, worker: Any) -> str:
    nothing: Any = None
    context = Context(
        settings=Settings(isolation=isolation),
        file=nothing,
        model=nothing,
        data=b"",
        pool=nothing,
        in_ci=in_ci,
    )
    return context.missing_isolation(worker, runs_code=runs_code)


@pytest.mark.parametrize(
    ("isolation", "in_ci", "runs_code", "insists"),
    [
        ("require", False, False, True),
        ("auto", True, True, True),
        ("auto", True, False, False),
        ("auto", False, True, False),
        ("reduced", True, True, False),
    ],
)
def test_it_insists_where_code_may_run_beside_secrets(
    isolation: str, in_ci: bool, runs_code: bool, insists: bool
) -> None:
    lacking: Any = SimpleNamespace(contained=False, isolation=_LACKING)
    whole: Any = SimpleNamespace(contained=True, isolation=_LACKING[1:])
    silent: Any = SimpleNamespace(contained=False, isolation=())
    given = {"in_ci": in_ci, "runs_code": runs_code}
    assert _missing(isolation, worker=lacking, **given) == ("landlock" if insists else "")
    assert _missing(isolation, worker=whole, **given) == ""
    assert bool(_missing(isolation, worker=silent, **given)) is insists, "a worker that says nothing has none"
