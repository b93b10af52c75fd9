"""Which models a run judges: the paths and globs of `model`, or the `[[models]]` of the configuration."""

from __future__ import annotations

from pathlib import Path

from validator.artifact.write import safe_name
from validator.errors import UsageError
from validator.paths import is_there
from validator.settings.table import ModelEntry, Settings

_GLOB_SIGNS = frozenset("*?[")


def targets(settings: Settings) -> list[Settings]:
    """One Settings a model, each with exactly one path in `model`, and an output folder of its own when several.

    Raises UsageError when no model is named, a glob finds nothing, or two models share a name.
    """
    found = (
        [for_path(settings, path) for path in _paths(settings.model, settings.out)] if settings.model else []
    )
    found = found or [_for_entry(settings, entry) for entry in settings.models]
    if not found:
        raise UsageError("no model was given", hint="model-preflight validate MODEL --data SAMPLE")
    if len(found) == 1:
        return found
    names = [settings_name(one) for one in found]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UsageError(
            f"two models are both named {', '.join(repeated)}", hint="give each a name under [[models]]"
        )
    return [
        one.model_copy(update={"out": settings.out / name, "name": name})
        for one, name in zip(found, names, strict=True)
    ]


def settings_name(settings: Settings) -> str:
    """The model's name as one folder name."""
    return safe_name(settings.name or Path(settings.model[0]).stem)


def _paths(patterns: tuple[str, ...], out: Path) -> list[str]:
    """Patterns do not look into the output folder: what an earlier run converted is no model of the repository."""
    found: list[str] = []
    for pattern in patterns:
        if is_there(pattern) or not _GLOB_SIGNS & set(pattern):
            found.append(pattern)
            continue
        base = Path(pattern).anchor or "."
        matches = sorted(
            str(path) for path in Path(base).glob(pattern.removeprefix(base)) if not _lies_in(path, out)
        )
        if not matches:
            raise UsageError(f"no file matches {pattern}", hint="check the pattern; ** looks into subfolders")
        found.extend(matches)
    return list(dict.fromkeys(found))


def _lies_in(path: Path, out: Path) -> bool:
    """Whether it lies in the output folder, where that is a folder of its own."""
    folder = out.resolve()
    return path.resolve().is_relative_to(folder) and not Path.cwd().is_relative_to(folder)


def for_path(settings: Settings, path: str) -> Settings:
    """A path that `[[models]]` knows takes the settings given there."""
    for entry in settings.models:
        if Path(entry.model) == Path(path):
            return _for_entry(settings, entry)
    several = len(settings.model) > 1 or any(_GLOB_SIGNS & set(one) for one in settings.model)
    return settings.model_copy(update={"model": (path,), "name": None if several else settings.name})


def _for_entry(settings: Settings, entry: ModelEntry) -> Settings:
    own = {name: getattr(entry, name) for name in entry.model_fields_set if name != "model"}
    return settings.model_copy(update={"name": None, **own, "model": (entry.model,)})
