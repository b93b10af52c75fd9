"""What an MLflow folder records about the environment its model was logged in.

Its files are plain YAML of a fixed shape (mlflow.org, "MLflow Models", Storage Format): mappings and lists of
strings by indentation. Only the lines that matter are read.
"""

from __future__ import annotations

import re
from pathlib import Path

from validator.errors import UsageError
from validator.libraries.known import LIBRARIES

_MOST_BYTES = 1 << 20
#: The keys under which a flavour tells its library's version.
_VERSION_KEYS = {library.mlflow_key: library.distribution for library in LIBRARIES if library.mlflow_key}
_FILES = ("requirements.txt", "conda.yaml")
#: Files of an MLflow folder that say what a model in it was logged with.
ENVIRONMENT_FILES = ("MLmodel", "python_env.yaml", "conda.yaml")
_PINNED = re.compile(r"([A-Za-z][\w.-]*)(?:\[[^\]]*\])?==([\w.+!]+)\s*(?:;.*)?$")
_ITEM = re.compile(r"(\s*)-\s+(.*?)\s*$")
_VERSION = re.compile(r"\d+(\.\d+){0,2}\Z")


def requirements_file(folder: Path) -> Path:
    """The folder's requirements, else its conda file. Raises UsageError when it has neither."""
    for name in _FILES:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            return path
    raise UsageError(
        f"{folder} holds neither requirements.txt nor conda.yaml",
        hint="give the training environment's requirements as a file or a list",
    )


def recorded_versions(folder: Path) -> dict[str, str]:
    """The libraries' versions by distribution name: those the flavours name, and the requirements that are pinned."""
    found: dict[str, str] = {}
    for line in _lines(folder / "requirements.txt"):
        pinned = _PINNED.match(line.strip())
        if pinned and pinned[1].lower().replace("_", "-") in _VERSION_KEYS.values():
            found[pinned[1].lower().replace("_", "-")] = pinned[2]
    for line in _lines(folder / "MLmodel"):
        key, _, value = line.strip().partition(":")
        version = value.strip().strip("'\"")
        if key in _VERSION_KEYS and re.match(r"\d[\w.]{0,30}\Z", version):
            found[_VERSION_KEYS[key]] = version
    return found


def python_version(folder: Path) -> str:
    """The Python it was logged under, as far as `python_env.yaml`, `conda.yaml` or `MLmodel` says."""
    patterns = (
        ("python_env.yaml", r"python:\s*(.+)$"),
        ("conda.yaml", r"\s*-\s*python\s*=+\s*(.+)$"),
        ("MLmodel", r"\s*python_version:\s*(.+)$"),
    )
    for name, pattern in patterns:
        for line in _lines(folder / name):
            found = re.match(pattern, line)
            version = found[1].strip().strip("'\"") if found else ""
            if _VERSION.match(version):
                return version
    return ""


def python_beside(file: Path) -> str:
    """The Python that an MLflow folder names, for a requirements file that lies in one."""
    return python_version(file.parent) if (file.parent / "MLmodel").is_file() else ""


def from_conda(text: str) -> tuple[list[str], str]:
    """The lines of a conda file's (or `python_env.yaml`'s) pip part, and its Python version."""
    pip: list[str] = []
    python, depth, inside = "", -1, ""
    for line in text.splitlines():
        top = re.match(r"([a-z_]+):\s*(.*?)\s*$", line)
        if top:
            inside, depth = top[1], -1
            python = python or (top[2].strip("'\"") if inside == "python" else "")
        item = _ITEM.match(line)
        if not item or inside != "dependencies":
            continue
        indent, value = len(item[1]), item[2].strip("'\"")
        if value == "pip:":
            depth = indent
        elif depth >= 0 and indent > depth:
            pip.append(value)
        elif named := re.match(r"python\s*=+\s*([\d.]+)", value):
            python, depth = named[1].rstrip("."), -1
        elif value.startswith("-r "):
            pip.append(value)
    return pip, python if _VERSION.match(python) else ""


def conda_items(text: str) -> list[str]:
    """The entries of a conda file's dependencies that conda itself installs: all but those below `pip:`."""
    found: list[str] = []
    depth, inside = -1, ""
    for line in text.splitlines():
        top = re.match(r"([a-z_]+):", line)
        if top:
            inside, depth = top[1], -1
        item = _ITEM.match(line)
        if not item or inside != "dependencies":
            continue
        indent, value = len(item[1]), item[2].strip("'\"")
        if value == "pip:":
            depth = indent
        elif not (depth >= 0 and indent > depth):
            depth = -1
            if not value.startswith("-"):
                found.append(re.sub(r"\s+#.*", "", value))
    return found


def _lines(path: Path) -> list[str]:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return []
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
