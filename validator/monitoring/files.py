"""Writing generated files beside what people changed in them: theirs stay, and the difference is shown."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from validator.errors import SettingsError, UsageError
from validator.whole_file import whole_file

MANIFEST = ".monitor.json"
_LARGEST = 16 * 2**20
_MOST_LINES = 60
Became = Literal["written", "renewed", "unchanged", "yours", "differs"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one file.

    `yours`: a person changed it, and nothing new was to be written. `differs`: a person changed it, and there is
    something new; it was left alone. `difference` goes from what is there to what would have been written.
    """

    name: str
    became: Became
    difference: tuple[str, ...] = ()


def as_yaml(value: Any, *, about: str) -> str:
    """YAML by a serializer, below a comment; long texts as blocks."""
    return f"# {about}\n" + yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000
    )


def as_json(value: Any) -> str:
    """Indented JSON."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


#: libyaml's writes the same text in a quarter of the time; PyYAML comes without it on some machines.
_Fastest: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_Fastest):  # type: ignore[misc]
    """Texts of several lines as blocks, nothing by reference."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def write_files(folder: Path, files: Mapping[str, str]) -> list[Outcome]:
    """Write what is new, leave what a person changed, and remember what was written in `.monitor.json`.

    Raises
    ------
    UsageError
        If the folder cannot be written to.
    SettingsError
        If `.monitor.json` is damaged: it is not known any more which files are whose.
    """
    known = _read_manifest(folder / MANIFEST)
    try:
        outcomes = [_write(folder, name, text, known.get(name)) for name, text in files.items()]
        for name, text in files.items():
            known[name] = _digest(text.encode())
        _replace(folder / MANIFEST, as_json({"schema_version": 1, "files": dict(sorted(known.items()))}))
    except OSError as error:
        raise UsageError(
            f"{error.filename or folder} cannot be written: {error.strerror}",
            hint="choose another folder with --out, or free the disk; run it again afterwards",
        ) from error
    return outcomes


def _write(folder: Path, name: str, text: str, before: str | None) -> Outcome:
    path = folder / name
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise UsageError(f"{path} is no plain file", hint="move it away, or choose another folder with --out")
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
        return Outcome(name=name, became="written")
    if path.stat().st_size > _LARGEST:
        raise UsageError(f"{path} is absurdly large", hint="move it away")
    there = path.read_bytes()
    if there == text.encode():
        return Outcome(name=name, became="unchanged")
    if _digest(there) == before:
        _replace(path, text)
        return Outcome(name=name, became="renewed")
    difference = tuple(
        difflib.unified_diff(
            there.decode("utf-8", "replace").splitlines(),
            text.splitlines(),
            f"{name} (yours)",
            f"{name} (made anew)",
            lineterm="",
        )
    )
    if len(difference) > _MOST_LINES:
        difference = (*difference[:_MOST_LINES], f"… {len(difference) - _MOST_LINES} more lines")
    same = before == _digest(text.encode())
    return Outcome(name=name, became="yours" if same else "differs", difference=difference)


def _replace(path: Path, text: str) -> None:
    with whole_file(path) as staged:
        staged.write_text(text, encoding="utf-8")


def _read_manifest(path: Path) -> dict[str, str]:
    hint = f"remove {path}: files that differ are then shown, and left as they are"
    try:
        document: dict[str, Any] = (
            json.loads(path.read_bytes()) if path.exists() else {"schema_version": 1, "files": {}}
        )
        if document["schema_version"] != 1:
            raise SettingsError(f"{path} was written by another release", hint=hint)
        files = {str(name): str(digest) for name, digest in dict(document["files"]).items()}
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", hint="correct the folder's owner"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path} is damaged: {error}", hint=hint) from error
    return files


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
