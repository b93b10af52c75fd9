"""What a model's environment is to hold: a requirements file or list, held to what installs without running code."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from validator.environments import lists_of_tools, mlflow, older
from validator.errors import UsageError
from validator.paths import is_there

#: As a value of `requirements`: what the MLflow folder itself records.
MLFLOW = "mlflow"
_MOST_BYTES = 16 << 20
_MOST_NESTED = 10
#: Options with an address, which must not be read in plain text or from this machine's disk.
_INDEXES = {"-i": "--index-url", "--index-url": "--index-url", "--extra-index-url": "--extra-index-url",
            "-f": "--find-links", "--find-links": "--find-links"}  # fmt: skip
#: Options that say what is done in any case, or nothing about what is installed.
_KEPT_SWITCHES = frozenset({"--pre", "--no-index"})
_IGNORED = frozenset({"--prefer-binary", "--require-hashes"})
_ONLY_WHEELS = "only wheels are installed, because building a package runs its code: name a released version"
#: MLflow logs itself; a model is loaded by its own library, without it.
_NOT_NEEDED = frozenset({"mlflow", "mlflow-skinny"})


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """Checked requirements. `lines` are options, then one requirement each; `python` is a version if one is named.

    `helpers` are what our own work in that environment gains from and can do without: the converter of all that is
    not made of trees.
    """

    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    helpers: tuple[str, ...] = ()
    hashed: bool = False
    python: str = ""
    source: str = ""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def read(items: Sequence[str], model: Path | None = None) -> Requirements:
    """Requirements from the setting's items: files, requirements themselves, or `mlflow` for the folder `model`.

    Raises UsageError for a missing file, and for a line that is wrong or would run code when it is installed.
    """
    lines: list[str] = []
    python = ""
    left_out: list[str] = []
    for item in items:
        found, named, beside = _expand(item, model)
        lines += found
        left_out += beside
        python = python or named
    if not any(not line.startswith("-") for line in lines):
        raise UsageError(
            f"requirements name no package ({', '.join(items)[:200]})",
            hint="name at least the model's library, such as scikit-learn==1.2.2",
        )
    lines = list(dict.fromkeys(lines))
    hashed = any("--hash" in line for line in lines)
    if not hashed:
        lines += [line for line in older.undeclared(_specifiers(lines)) if _name(line) not in _names(lines)]
    return Requirements(
        lines=tuple(sorted(lines, key=lambda line: not line.startswith("-"))),
        constraints=() if hashed else tuple(older.constraints(_specifiers(lines))),
        helpers=() if hashed or "scikit-learn" not in _names(lines) else ("skl2onnx", "onnx"),
        hashed=hashed,
        python=python,
        source=", ".join(items)[:200] + (f" (without its {', '.join(left_out)})"[:300] if left_out else ""),
    )


Read = tuple[list[str], str, tuple[str, ...]]
"""checked lines, the Python version that stands beside them, and what is not installed"""


def _expand(item: str, model: Path | None) -> Read:
    if item == MLFLOW:
        if model is None or not model.is_dir():
            raise UsageError(
                "requirements = mlflow, but the model is no MLflow folder", hint="name a file or a list"
            )
        file = mlflow.requirements_file(model)
        lines, python, left_out = _read_file(file)
        return [line for line in lines if _name(line) not in _NOT_NEEDED], python, left_out
    path = Path(item)
    if is_there(path) and path.is_file():
        return _read_file(path)
    if item.endswith((".txt", ".in", ".lock", ".toml", ".yaml", ".yml", ".py", ".cfg")) or item.startswith(
        (".", "/")
    ):
        raise UsageError(f"there is no requirements file {item}", hint="check the path")
    return list(_checked([item], Path(), "requirements", depth=0)), "", ()


def _read_file(path: Path) -> Read:
    text = _text(path)

    def checked(lines: Iterable[str]) -> list[str]:
        return list(_checked(lines, path.parent, str(path), depth=0))

    if path.suffix in (".yaml", ".yml"):
        by_pip, python = mlflow.from_conda(text)
        by_conda, left_out = lists_of_tools.of_conda(text)
        lines = checked(line for line in by_pip if line)
        lines += [line for line in checked(by_conda) if _name(line) not in _names(lines)]
        if not lines:
            raise UsageError(f"{path} names no package of PyPI", hint="give a requirements file")
        return lines, python, tuple(f"{name} of conda" for name in left_out)
    listed = lists_of_tools.lines_of(path, text)
    if listed is not None:
        return checked(listed[0]), "", listed[1]
    return checked(_joined(text)), mlflow.python_beside(path), ()


def _text(path: Path) -> str:
    _refuse_leaving(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{path} is larger than 16 mebibytes", hint="give a requirements file")
        data = path.read_bytes()
        return data.decode(_encoding(data))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error}", hint="give a requirements file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is neither UTF-8 nor UTF-16", hint="save it as UTF-8") from error


def _encoding(data: bytes) -> str:
    """UTF-8, or UTF-16 as PowerShell writes it, with its mark or without."""
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        return "ascii"  # UTF-32, which nobody writes
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    return "utf-16-le" if data[1:2] == b"\0" else "utf-16-be" if data[:1] == b"\0" else "utf-8-sig"


def _refuse_leaving(path: Path) -> None:
    """A link below the working directory must not lead out of it: a message could show what lies there."""
    here = Path.cwd().resolve()
    named, real = Path(os.path.abspath(path)), path.resolve()  # noqa: PTH100 - the link itself is looked for
    below = named.is_relative_to(here) or named.is_relative_to(Path.cwd())
    if below and (not real.is_relative_to(here) or ".git" in real.relative_to(here).parts):
        raise UsageError(
            f"{path} is a link that leads out of this folder", hint="name the requirements file itself"
        )


def _joined(text: str) -> Iterator[str]:
    """Lines without comments, those that a backslash continues joined."""
    held = ""
    for raw in text.splitlines():
        line = "" if raw.lstrip().startswith("#") else re.sub(r"\s#.*", "", raw)
        if line.rstrip().endswith("\\"):
            held += line.rstrip()[:-1] + " "
            continue
        if (held + line).strip():
            yield (held + line).strip()
        held = ""
    if held.strip():
        yield held.strip()


def _checked(lines: Iterable[str], folder: Path, where: str, *, depth: int) -> Iterator[str]:
    for line in lines:
        if "${" in line:
            raise _wrong(where, line, "variables are not expanded", "write the value itself")
        if not line.startswith("-"):
            yield _requirement(line, where)
            continue
        option, value = _option(line)
        if option in ("-r", "--requirement"):
            yield from _nested(folder, value, where, depth)
        elif option in _INDEXES:
            if not value.startswith("https://"):
                raise _wrong(where, line, "an index must be an https address", "use https")
            yield f"{_INDEXES[option]} {value}"
        elif option in _KEPT_SWITCHES:
            yield option
        elif option == "--only-binary" or option in _IGNORED:
            continue
        else:
            hint = (
                "write its bounds beside the packages" if option in ("-c", "--constraint") else _ONLY_WHEELS
            )
            raise _wrong(where, line, f"{option} is not taken here", hint)


def _option(line: str) -> tuple[str, str]:
    match = re.match(r"(--?[A-Za-z][\w-]*)(?:[=\s]\s*(.*))?$", line)
    if match is None:
        return line, ""
    return match[1], (match[2] or "").strip()


def _nested(folder: Path, name: str, where: str, depth: int) -> Iterator[str]:
    path = folder / name
    if depth >= _MOST_NESTED or not path.resolve().is_relative_to(folder.resolve()):
        raise _wrong(
            where, f"-r {name}", "it leads out of the folder, or round in a circle", "list the lines"
        )
    if not path.is_file():
        raise _wrong(where, f"-r {name}", "there is no such file", "check the path")
    yield from _checked(_joined(_text(path)), path.parent, str(path), depth=depth + 1)


def _requirement(line: str, where: str) -> str:
    text, _, hashes = line.partition(" --hash")
    options = shlex.split(f"--hash{hashes}") if hashes else []
    if any(not re.fullmatch(r"--hash=sha(256|384|512):[0-9a-fA-F]+", option) for option in options):
        raise _wrong(
            where, line, "an option that is not taken here", "keep the name, version and hashes only"
        )
    try:
        found = Requirement(text.strip())
    except InvalidRequirement as error:
        _refuse_foreign(line, where)
        reason = str(error).splitlines()[0]
        raise _wrong(where, line, f"this is no requirement ({reason})", _ONLY_WHEELS) from error
    if found.url and not re.match(r"https://[^\s]+\.whl(#|$)", found.url):
        _refuse_foreign(line, where)
        raise _wrong(where, line, "an address must be https and that of a wheel", _ONLY_WHEELS)
    return " ".join([str(found), *options])


def _refuse_foreign(line: str, where: str) -> None:
    known = lists_of_tools.foreign(line)
    if known is not None:
        raise _wrong(where, line, f"this is {known[0]}", f"write the list anew: {known[1]}")


def _wrong(where: str, line: str, reason: str, hint: str) -> UsageError:
    return UsageError(f"{where}: {line[:120]!r}: {reason}", hint=hint)


def _parsed(line: str) -> Requirement | None:
    return None if line.startswith("-") else Requirement(line.partition(" --hash")[0])


def _name(line: str) -> str:
    found = _parsed(line)
    return "" if found is None else canonicalize_name(found.name)


def _names(lines: Iterable[str]) -> set[str]:
    return {_name(line) for line in lines}


def _specifiers(lines: Iterable[str]) -> dict[str, SpecifierSet]:
    found = [requirement for line in lines if (requirement := _parsed(line)) is not None]
    return {canonicalize_name(one.name): one.specifier for one in found}


def files_read(items: Sequence[str]) -> list[Path]:
    """The files that `read` takes requirements from: those named, those they name in turn, and an MLflow
    folder's beside.

    What is missing or cannot be read is named too: it decides as well.
    """
    found: list[Path] = []
    looked_at: set[Path] = set()
    waiting = [(Path(_named_by(item) or item), 0) for item in items if item != MLFLOW]
    while waiting:
        path, depth = waiting.pop()
        if path in looked_at:
            continue
        looked_at.add(path)
        found.append(path)
        if not path.is_file() or depth > _MOST_NESTED:
            continue
        found += [path.parent / name for name in mlflow.ENVIRONMENT_FILES]
        try:
            text = _text(path)
        except UsageError:
            continue
        waiting += [
            (path.parent / name, depth + 1) for name in map(_named_by, _any_lines(path, text)) if name
        ]
    return found


def _any_lines(path: Path, text: str) -> Iterator[str]:
    """The lines of a file in whatever form it is read: what one file names, another form reads as plain text."""
    yield from _joined(text)
    yield from mlflow.from_conda(text)[0]
    try:
        listed = lists_of_tools.lines_of(path, text)
        yield from () if listed is None else listed[0]
    except UsageError:
        return


def _named_by(line: str) -> str:
    """The file that a line names with `-r`, or nothing."""
    option, value = _option(line)
    return value if option in ("-r", "--requirement") else ""
