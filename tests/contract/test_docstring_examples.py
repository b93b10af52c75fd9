"""The examples in docstrings are run: what they say is what happens."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import validator

#: Packages whose public functions people call.
#: Its examples need a model to serve: the tests beside those of the class have one.
ELSEWHERE = "validator.serving.deployment"
PUBLIC = ("serving", "profile", "drift", "rollout.judge")


def _modules() -> list[str]:
    found = []
    for package in PUBLIC:
        folder = Path(validator.__file__).parent.joinpath(*package.split("."))
        names = [f"validator.{package}"]
        names += [one.name for one in pkgutil.iter_modules([str(folder)], f"validator.{package}.")]
        found += [name for name in names if not name.endswith("__main__")]
    return [name for name in found if name != ELSEWHERE and ">>> " in Path(_file(name)).read_text()]


def _file(name: str) -> Path:
    path = Path(validator.__file__).parent.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@pytest.mark.parametrize("name", _modules())
def test_they_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0
