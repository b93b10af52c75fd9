"""The pytest plugin: models are tested beside code, by the fixture and marker `preflight`.

pytest imports this module wherever the distribution is installed, so it imports nothing heavy by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from validator.errors import PreflightError

if TYPE_CHECKING:
    from validator.api.validation import Validation

_MARKER = "preflight(model, data, **settings): judge this model with Model Preflight; the test fails unless it passes"
_PATHS = ("model", "data", "reference", "out", "config", "onnx")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("preflight", "Model Preflight")
    group.addoption(
        "--preflight-out",
        metavar="DIR",
        help="keep results, reports and artifacts of the models that tests judge, a folder a test",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture
def preflight(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Validation]:
    """`preflight(model, data, **settings)`: the model's `Validation`, as `validator.validate` gives it.

    What the call leaves out is taken from the test's marker `preflight`. Relative paths count from pytest's root
    folder. Whatever is written goes below `--preflight-out`, or to the test's temporary folder.
    """
    kept = request.config.getoption("--preflight-out")
    base = (
        tmp_path
        if kept is None
        else request.config.invocation_params.dir / kept / _folder(request.node.nodeid)
    )
    judged = 0

    def judge(model: Any = None, data: Any = None, **settings: Any) -> Validation:
        __tracebackhide__ = True
        nonlocal judged
        judged += 1
        given = {"model": model, "data": data, **settings}
        named = {
            **_marked(request.node),
            **{name: value for name, value in given.items() if value is not None},
        }
        if named.get("model") is None:
            raise pytest.UsageError(
                "preflight() needs a model: as its first argument, or in the test's marker"
            )
        out = base / "preflight" if judged == 1 else base / f"preflight-{judged}"
        return _judge(request.node, {"out": out, **_anchored(named, request.config.rootpath)})

    return judge


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """A marked test that does not ask for the fixture fails unless its model passes."""
    __tracebackhide__ = True
    if pyfuncitem.get_closest_marker("preflight") and "preflight" not in pyfuncitem.fixturenames:
        pyfuncitem._request.getfixturevalue("preflight")().raise_for_failure()


def _judge(node: pytest.Item, given: dict[str, Any]) -> Validation:
    from validator.api.validate import validate

    __tracebackhide__ = True
    found = None
    try:
        found = validate(given.pop("model"), given.pop("data", None), **given)
    except PreflightError as error:
        why = str(error)
    if found is None:
        pytest.fail(f"no verdict: {why}", pytrace=False)
    node.user_properties += [("preflight_verdict", found.verdict), ("preflight_version", found.version)]
    node.add_report_section("call", "preflight", str(found))
    return found


def _marked(node: pytest.Item) -> dict[str, Any]:
    """The settings of the test's markers, the nearest first: a class may name the model, a test its limits."""
    found: dict[str, Any] = {}
    for marker in node.iter_markers("preflight"):
        if len(marker.args) > 2:
            raise pytest.UsageError(
                f"the marker of {node.nodeid} takes a model and its data, and settings by name"
            )
        found = {**dict(zip(("model", "data"), marker.args, strict=False)), **marker.kwargs, **found}
    return found


def _anchored(given: dict[str, Any], root: Path) -> dict[str, Any]:
    """Relative paths from pytest's root folder, wherever it was started."""
    return {
        name: str(root / value) if name in _PATHS and isinstance(value, (str, os.PathLike)) else value
        for name, value in given.items()
    }


def _folder(nodeid: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", nodeid).strip("-.")[-200:] or "test"
