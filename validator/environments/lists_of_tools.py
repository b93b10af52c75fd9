"""What people's tools write instead of a requirements file: read where names and versions stand in it, else named.

pyproject.toml (PEP 621), pylock.toml (PEP 751), Pipfile.lock; of conda's environment.yml the packages that are called
alike on PyPI.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from validator.environments import mlflow
from validator.errors import UsageError

#: Files of tools that only the tool itself turns into requirements, and how.
_EXPORTED = {
    "uv.lock": "uv export --no-hashes --no-emit-project -o requirements.txt",
    "poetry.lock": "poetry export --without-hashes -o requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "pdm.lock": "pdm export --without-hashes -o requirements.txt",
    "pixi.lock": "pixi list --json",
}
#: Packages of conda under their names on PyPI.
_CONDA = {
    **{name: name for name in (
        "catboost", "category_encoders", "cloudpickle", "imbalanced-learn", "joblib", "lightgbm", "narwhals", "numpy",
        "onnx", "pandas", "pyarrow", "scikit-learn", "scipy", "skl2onnx", "skops", "threadpoolctl", "xgboost",
    )},
    "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost", "_py-xgboost-mutex": "", "liblightgbm": "", "pip": "",
    "python": "",
}  # fmt: skip
_CONDA_SPEC = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)\s*([=<>!~].*)?$")


def lines_of(path: Path, text: str) -> list[str] | None:
    """The requirements in a tool's file, by its name; None for a file of another name.

    Raises UsageError, naming the command that writes requirements, where that tool alone can tell them.
    """
    command = _EXPORTED.get(path.name)
    if command is not None:
        raise UsageError(f"{path} is no list of requirements", hint=f"write one from it: `{command}`")
    reader = _READERS.get(path.name) or (_pylock if re.fullmatch(r"pylock\..*\.toml", path.name) else None)
    if reader is None:
        return None
    try:
        found = reader(path, text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(f"{path} cannot be read: {error!s:.200}", hint="give a requirements file") from error
    if not found:
        raise UsageError(f"{path} names no package", hint="give a requirements file")
    return found


def of_conda(text: str) -> tuple[list[str], tuple[str, ...]]:
    """Of the packages that conda itself installs: those that PyPI has too, as requirements, and the others' names."""
    lines, left_out = [], []
    for value in mlflow.conda_items(text):
        matched = _CONDA_SPEC.match(value)
        name = matched[1].lower() if matched else value
        known = _CONDA.get(name)
        if known is None or matched is None:
            left_out.append(name)
        elif known:
            lines.append(known + _specifier(matched[2] or ""))
    return lines, tuple(left_out)


def _specifier(text: str) -> str:
    """conda's `=1.2` is any 1.2, `==1.2` that very one, and what follows a second `=` names a build."""
    exact = re.fullmatch(r"(={1,2})\s*([\w.]+)(?:=[\w.*]+)?\s*", text.strip())
    if exact is None:
        return text.strip()
    return f"=={exact[2]}" if exact[1] == "==" or text.strip().count("=") > 1 else f"=={exact[2]}.*"


def _pyproject(path: Path, text: str) -> list[str]:
    document = tomllib.loads(text)
    project = document.get("project", {})
    if "dependencies" not in project and "poetry" in document.get("tool", {}):
        raise UsageError(
            f"{path} keeps its dependencies in Poetry's own form",
            hint=f"write a list from it: `{_EXPORTED['poetry.lock']}`",
        )
    return [str(line) for line in project.get("dependencies", ())]


def _pylock(_: Path, text: str) -> list[str]:
    return [_pinned(one) for one in tomllib.loads(text).get("packages", ()) if "version" in one]


def _pinned(one: dict[str, Any]) -> str:
    marker = f"; {one['marker']}" if one.get("marker") else ""
    return f"{one['name']}=={one['version']}{marker}"


def _pipfile_lock(_: Path, text: str) -> list[str]:
    found = json.loads(text).get("default", {})
    return [
        f"{name}{one['version']}" + (f"; {one['markers']}" if one.get("markers") else "")
        for name, one in found.items()
        if "version" in one
    ]


_READERS: dict[str, Callable[[Path, str], list[str]]] = {
    "pyproject.toml": _pyproject,
    "pylock.toml": _pylock,
    "Pipfile.lock": _pipfile_lock,
}
