"""Paths in a configuration file count from the file's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from validator.paths import is_there
from validator.settings.values import split, split_requirements


def is_address(model: str) -> bool:
    """Whether a model is named by its place in MLflow rather than by its path."""
    return model.startswith(("models:/", "runs:/"))


def anchored(values: dict[str, Any], base: Path, folder: Path) -> dict[str, Any]:
    """A file's values, their paths shown relative to `folder`, where the command runs."""
    if base.resolve() == folder.resolve():
        return values

    def moved(path: str) -> str:
        if is_address(path):
            return path
        found = base / path
        return str(found.relative_to(folder)) if found.is_relative_to(folder) else str(found)

    found = values | _anchored_files(values, base, moved)
    if "model" in values:
        found["model"] = [moved(item) for item in _strings(split(values["model"]))]
    if isinstance(values.get("models"), list):
        found["models"] = [
            entry | _anchored_files(entry, base, moved) if isinstance(entry, dict) else entry
            for entry in values["models"]
        ]
    return found


def _anchored_files(values: Mapping[str, Any], base: Path, moved: Callable[[str], str]) -> dict[str, Any]:
    """The paths that the run and each of several models may name."""
    found: dict[str, Any] = {}
    for name in ("data", "reference", "onnx", "model"):
        if isinstance(values.get(name), str):
            found[name] = moved(values[name])
    if isinstance(values.get("baseline"), str) and is_there(base / values["baseline"]):
        found["baseline"] = moved(values["baseline"])
    if isinstance(values.get("wrapper"), str):
        found["wrapper"] = _anchored_wrapper(values["wrapper"], moved)
    return found | _anchored_environment(values, base, moved)


def _anchored_environment(
    values: Mapping[str, Any], base: Path, moved: Callable[[str], str]
) -> dict[str, Any]:
    """The paths among `python` and `requirements` moved, versions and requirements themselves as they are."""
    found: dict[str, Any] = {}
    if isinstance(values.get("python"), str) and "/" in values["python"]:
        found["python"] = moved(values["python"])
    if "requirements" in values:
        items = _strings(split_requirements(values["requirements"]))
        found["requirements"] = [moved(item) if (base / item).is_file() else item for item in items]
    return found


def _anchored_wrapper(target: str, moved: Callable[[str], str]) -> str:
    """The path in `file.py:Class` or `mlflow:folder` moved; a module's name as it is."""
    place, _, rest = target.rpartition(":")
    if place == "mlflow":
        return f"mlflow:{moved(rest)}" if rest else target
    return f"{moved(place)}:{rest}" if place.endswith(".py") else target


def _strings(items: object) -> list[str]:
    return [str(item) for item in items] if isinstance(items, (list, tuple)) else [str(items)]
