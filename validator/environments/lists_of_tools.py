"""What people's tools write instead of a requirements file: read where names and versions stand in it, else named.

pyproject.toml (PEP 621), pylock.toml (PEP 751), Pipfile.lock; of conda's environment.yml the packages that are called
alike on PyPI. What of a file is not taken is told by its name.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

from validator.environments import mlflow
from validator.errors import UsageError

#: Files of tools that only the tool itself turns into requirements, and how.
_EXPORTED = {
    "uv.lock": "uv export --no-hashes --no-emit-project -o requirements.txt",
    "poetry.lock": "poetry self add poetry-plugin-export && poetry export --without-hashes -o requirements.txt",
    "Pipfile": "pipenv requirements > requirements.txt",
    "pdm.lock": "pdm export --without-hashes -o requirements.txt",
    "pixi.lock": "pixi workspace export conda-environment environment.yml",
    "setup.py": "pip list --format=freeze > requirements.txt",
    "setup.cfg": "pip list --format=freeze > requirements.txt",
}
#: Lines that tell which tool wrote a list, and how it is to be written instead.
_FOREIGN = (
    (
        re.compile(r"@EXPLICIT|[\w.-]+=[\w.!+]+=\w+$"),
        "conda's own list",
        "conda env export > environment.yml",
    ),
    (
        re.compile(r"[\w.\[\]-]+ @ file:"),
        "a path of the machine that wrote it",
        "pip list --format=freeze > requirements.txt",
    ),
)
#: Packages of conda under their names on PyPI.
_CONDA = {
    **{name: name for name in (
        "catboost", "category_encoders", "cloudpickle", "imbalanced-learn", "joblib", "lightgbm", "narwhals", "numpy",
        "onnx", "pandas", "pyarrow", "scikit-learn", "scipy", "skl2onnx", "skops", "threadpoolctl", "xgboost",
    )},
    "py-xgboost": "xgboost", "py-xgboost-cpu": "xgboost", "_py-xgboost-mutex": "", "liblightgbm": "", "pip": "",
    "python": "",
}  # fmt: skip
_CONDA_SPEC = re.compile(
    r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)(?:\[version=['\"]?(.+?)['\"]?\]|\s*([=<>!~].*)|\s+(\d.*))?$"
)
_IN_GROUP = re.compile(r"""(['"])([^'"]*)\1\s+(not\s+)?in\s+(dependency_groups|extras)\b""")


Listed = tuple[list[str], tuple[str, ...]]
"""requirements, and the names of what in the file was not taken for one"""


def lines_of(path: Path, text: str) -> Listed | None:
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
    if not found[0]:
        beside = f" that is taken, beside {', '.join(found[1])[:200]}" if found[1] else ""
        raise UsageError(
            f"{path} names no package{beside}",
            hint="give a requirements file: `uv export --no-hashes --no-emit-project --all-groups -o "
            "requirements.txt` or `pip list --format=freeze > requirements.txt` write one",
        )
    return found


def foreign(line: str) -> tuple[str, str] | None:
    """What a line is that no requirements file holds, and how to write one, where another tool's hand is known."""
    return next(((what, f"`{how}`") for form, what, how in _FOREIGN if form.match(line)), None)


def of_conda(text: str) -> Listed:
    """Of the packages that conda itself installs: those that PyPI has too, as requirements, and the others' names."""
    lines, left_out = [], []
    for value in mlflow.conda_items(text):
        matched = _CONDA_SPEC.match(value)
        name = matched[1].lower() if matched else value
        known = _CONDA.get(name)
        if known is None or matched is None:
            left_out.append(name)
        elif known:
            lines.append(
                known + _specifier(matched[2] or matched[3] or (f"={matched[4]}" if matched[4] else ""))
            )
    return lines, tuple(left_out)


def _specifier(text: str) -> str:
    """conda's `=1.2` is any 1.2, `==1.2` that very one, and what follows a second `=` names a build."""
    exact = re.fullmatch(r"(={1,2})\s*([\w.]+?)(?:\.?\*)?(?:=[\w.*]+)?\s*", text.strip())
    if exact is None:
        return text.strip()
    whole = "*" not in text.partition(exact[2])[2].partition("=")[0]
    return f"=={exact[2]}" if whole and text.strip().count("=") > 1 else f"=={exact[2]}.*"


def _pyproject(path: Path, text: str) -> Listed:
    document = tomllib.loads(text)
    project = document.get("project", {})
    poetry = document.get("tool", {}).get("poetry", {})
    if "dependencies" not in project and poetry:
        raise UsageError(
            f"{path} keeps its dependencies in Poetry's own form",
            hint=f"write a list from it: `{_EXPORTED['poetry.lock']}`",
        )
    if "dependencies" in project.get("dynamic", ()):
        raise UsageError(
            f"{path} leaves its dependencies to the build (`dynamic`)",
            hint="name the file that it takes them from, or write one: `pip list --format=freeze > requirements.txt`",
        )
    kinds = (
        ("group", document.get("dependency-groups", {})),
        ("group", poetry.get("group", {})),
        ("extra", project.get("optional-dependencies", {})),
    )
    left_out = tuple(f"{kind} {name}" for kind, named in kinds for name in named)
    return [str(line) for line in project.get("dependencies", ())], left_out


def _pylock(_: Path, text: str) -> Listed:
    document = tomllib.loads(text)
    groups = set(document.get("default-groups", ()))
    lines, left_out = [], []
    for one in document.get("packages", ()):
        if "version" not in one or {"vcs", "directory", "archive"} & one.keys():
            left_out.append(str(one["name"]))
        else:
            marker = _without_groups(str(one.get("marker", "")), groups)
            lines.append(f"{one['name']}=={one['version']}" + (f"; {marker}" if marker else ""))
    return lines, tuple(left_out)


def _without_groups(marker: str, groups: set[str]) -> str:
    """A marker of PEP 751 as one of PEP 508: whether a group is asked for is known, and no extra is."""

    def known(found: re.Match[str]) -> str:
        asked = (found[4] == "dependency_groups" and found[2] in groups) != bool(found[3])
        return "python_version >= '0'" if asked else "python_version < '0'"

    return _IN_GROUP.sub(known, marker)


def _pipfile_lock(_: Path, text: str) -> Listed:
    lines, left_out = [], []
    for name, one in json.loads(text).get("default", {}).items():
        if "version" not in one:
            left_out.append(str(name))
            continue
        extras = f"[{','.join(one['extras'])}]" if one.get("extras") else ""
        lines.append(
            f"{name}{extras}{one['version']}" + (f"; {one['markers']}" if one.get("markers") else "")
        )
    return lines, tuple(left_out)


_READERS: dict[str, Callable[[Path, str], Listed]] = {
    "pyproject.toml": _pyproject,
    "pylock.toml": _pylock,
    "Pipfile.lock": _pipfile_lock,
}
