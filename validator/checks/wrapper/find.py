"""The user's own wrapper: where its code lies, and what of the workspace a worker must read to run it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from validator.errors import UsageError
from validator.model.file import ModelFile
from validator.settings.table import Settings, defaults_for

#: What the names in `wrapper_methods` stand for, in their order. A dash says that there is no such method.
METHODS = ("load", "predict", "single", "batch", "latency", "metadata")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_FORMS = "file.py:Class, module:attribute, or mlflow:folder"
_MAX_SIBLINGS = 500
_MAX_FILES = 2_000


@dataclass(frozen=True, kw_only=True)
class Wrapper:
    """`options` tell the worker what to load; `packages` may be imported there, from name to path; `readable` are
    further paths that it may read.
    """

    target: str
    options: dict[str, Any]
    packages: dict[str, str] = field(default_factory=dict)
    readable: tuple[str, ...] = ()


def wrapper_of(settings: Settings, file: ModelFile) -> Wrapper | None:
    """The wrapper that the settings name for a model, if any.

    Raises UsageError as `find_wrapper` does, and where what the settings say is served does not take part.
    """
    if settings.serves == "native" and file.loadable.format == "onnx":
        raise UsageError(
            "serves = native, but the model is an ONNX file, which has no native runtime",
            hint="set `serves` to onnx or deployment",
        )
    if settings.wrapper is None:
        if settings.serves == "wrapper":
            raise UsageError(
                "serves = wrapper, but no wrapper is named", hint=f"name it with `wrapper`, as {_FORMS}"
            )
        return None
    return find_wrapper(settings.wrapper, settings.wrapper_methods, Path(file.loadable.path))


def find_wrapper(target: str, methods: Sequence[str], model: Path, folder: Path | None = None) -> Wrapper:
    """The wrapper that `target` names, its paths counted from `folder` (the working directory).

    `model` is the file that is judged: an MLflow folder must hold it, and `mlflow:` alone is the folder around it.
    Raises UsageError when there is no such wrapper. Nothing is imported here.
    """
    base = folder or Path.cwd()
    place, _, attribute = target.rpartition(":")
    if place == "mlflow":
        return _mlflow(target, base / attribute if attribute else _folder_around(model), model)
    names = _names(methods)
    if not place or not _DOTTED.fullmatch(attribute):
        raise UsageError(f"{target!r} names no wrapper", hint=f"give it as {_FORMS}")
    if place.endswith(".py"):
        return _in_file(target, base / place, attribute, names)
    if not _DOTTED.fullmatch(place):
        raise UsageError(f"{place!r} is no module", hint=f"give the wrapper as {_FORMS}")
    options = {"module": place, "attribute": attribute, "methods": names}
    return Wrapper(target=target, options=options, packages=_packages_of(place.partition(".")[0], base))


def _packages_of(top: str, base: Path) -> dict[str, str]:
    """The package, and what lies beside it, where it is the user's own; nothing for an installed one."""
    for root in (base, base / "src"):
        found = siblings(root)
        if top in found:
            return found
        if (root / top).is_dir() and not (root / top).is_symlink() and not _is_repository(root / top):
            return {**found, top: str((root / top).resolve())}  # a package without __init__.py
    return {}


def _names(given: Sequence[str]) -> dict[str, str]:
    """From what a method does to its name; those that are not named keep their default, a dash means none."""
    if len(given) > len(METHODS):
        raise UsageError(
            f"wrapper_methods has {len(given)} names, there are {len(METHODS)}: {', '.join(METHODS)}",
            hint="give one name for each, in this order, and a dash for a method that is not there",
        )
    names = [*given, *defaults_for("wrapper_methods").default[len(given) :]]
    wrong = [name for name in names if name != "-" and not name.isidentifier()]
    if wrong:
        raise UsageError(f"wrapper_methods: {wrong[0]!r} is no method's name", hint="check the setting")
    return {role: "" if name == "-" else name for role, name in zip(METHODS, names, strict=True)}


def _in_file(target: str, file: Path, attribute: str, names: dict[str, str]) -> Wrapper:
    if not file.is_file():
        raise UsageError(f"there is no wrapper file {file}", hint="check --wrapper")
    place = file.resolve()
    root, module = place.parent, place.stem
    while (root / "__init__.py").is_file() and root.name.isidentifier() and not _is_repository(root):
        root, module = root.parent, f"{root.name}.{module}"
    options: dict[str, Any] = {"module": module, "attribute": attribute, "methods": names}
    packages = siblings(root)
    if "." not in module:
        options["file"] = str(place)
        packages[module] = str(place)
    return Wrapper(target=target, options=options, packages=packages)


def siblings(folder: Path) -> dict[str, str]:
    """Modules and packages that lie in a folder, from name to real path. What leads out of it is left out."""
    here = folder.resolve()
    found: dict[str, str] = {}
    if not here.is_dir():
        return found
    for entry in sorted(here.iterdir())[:_MAX_SIBLINGS]:
        name = entry.stem if entry.suffix == ".py" and entry.is_file() else entry.name
        is_package = (entry / "__init__.py").is_file() and not _is_repository(entry)
        if not name.isidentifier() or not (is_package or entry.suffix == ".py"):
            continue
        place = entry.resolve()
        if place.is_relative_to(here):
            found[name] = str(place)
    return found


def _is_repository(folder: Path) -> bool:
    """Whether Git's own files lie in it, which may hold a token: no worker may read all of such a folder."""
    return (folder / ".git").exists()


def _mlflow(target: str, folder: Path, model: Path) -> Wrapper:
    if not (folder / "MLmodel").is_file():
        raise UsageError(f"{folder} is no MLflow model: it holds no file MLmodel", hint="check --wrapper")
    if _is_repository(folder):
        raise UsageError(
            f"{folder} is a whole repository, which no worker may read",
            hint="put the MLflow model into a folder of its own",
        )
    place = folder.resolve()
    inside = _find_inside(place, model)
    if inside is None:
        raise UsageError(
            f"{folder} does not hold {model}, the model that is judged",
            hint=f"validate the model file in that folder (model.pkl, say) with --wrapper {target}",
        )
    return Wrapper(
        target=target, options={"folder": str(place), "inside": str(inside)}, readable=(str(place),)
    )


def _folder_around(model: Path) -> Path:
    whole = model.resolve()
    return next((folder for folder in whole.parents if (folder / "MLmodel").is_file()), whole.parent)


def _find_inside(folder: Path, model: Path) -> Path | None:
    """Where in the folder the very bytes of the model lie, relative to it."""
    wanted = model.read_bytes()
    files = [
        path for path in sorted(folder.rglob("*"))[:_MAX_FILES] if path.is_file() and not path.is_symlink()
    ]
    digest = sha256(wanted).digest()
    for path in files:
        if path.stat().st_size == len(wanted) and sha256(path.read_bytes()).digest() == digest:
            return path.relative_to(folder)
    return None
