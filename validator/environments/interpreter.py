"""Python interpreters other than our own: found by version, asked who they are, refused where they cannot serve."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from validator.errors import UsageError

OLDEST = (3, 9)
_TIMEOUT_S = 60
#: Run without `site`: nothing that is installed in an environment is executed by asking.
_QUESTION = (
    "import json, sys; "
    "print(json.dumps([sys.executable, list(sys.version_info[:3]), sys.implementation.name]))"
)
_VERSION = re.compile(r"3(\.\d+){0,2}\Z")


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that workers may run under.

    `foreign` says that it is not our own: then whatever is installed in it is imported behind the lockdown only.
    `readable` are the environment's own files, which the lockdown leaves readable.
    """

    path: str
    version: tuple[int, int, int]
    foreign: bool = True
    readable: tuple[str, ...] = ()

    @property
    def release(self) -> str:
        return ".".join(map(str, self.version))


def own() -> Interpreter:
    """The interpreter that this process runs under."""
    return Interpreter(path=sys.executable, version=sys.version_info[:3], foreign=False)


def is_version(text: str) -> bool:
    """Whether the setting `python` names a version (`3.9`) rather than a path."""
    return _VERSION.match(text) is not None


def choose(python: str, environ: Mapping[str, str]) -> Interpreter:
    """The interpreter at a path, or the one here of a version.

    Raises UsageError where there is none, it cannot be run, is no CPython, or is older than 3.9.
    """
    if is_version(python):
        return find(python, environ)
    if named := re.fullmatch(r"(?:c?python)?(3\.\d+)", python):
        return find(named[1], environ)
    path = Path(python).expanduser()
    if "/" not in python and not path.is_file():
        on_path = [Path(folder) / python for folder in environ.get("PATH", "").split(os.pathsep) if folder]
        path = next((place for place in on_path if place.is_file()), path)
    found = examine(str(path.absolute()))
    return own() if _is_own(found) else found


def _is_own(found: Interpreter) -> bool:
    return found.path == sys.executable


def find(version: str, environ: Mapping[str, str]) -> Interpreter:
    """A Python of that version on this machine: that very release, else the newest of its minor version.

    Raises UsageError naming those that are here.
    """
    wanted = tuple(map(int, version.split(".")))
    if wanted[: len(OLDEST)] < OLDEST[: len(wanted)]:
        raise _too_old(f"Python {version}")
    if sys.version_info[: len(wanted)] == wanted:
        return base()
    here: dict[tuple[int, int, int], Interpreter] = {}
    for place in _places(wanted, environ):
        try:
            found = examine(str(place))
        except UsageError:
            continue  # a shim of a version that is not installed, or something else of that name
        here.setdefault(found.version, found)
    for length in (len(wanted), 2):
        fitting = [one for one in here if one[:length] == wanted[:length]]
        if fitting:
            return here[max(fitting)]
    if sys.version_info[:2] == wanted[:2]:
        return base()
    raise UsageError(
        f"Python {version} is not on this machine",
        hint="install it (in a workflow that runs the command line: actions/setup-python), or give its path with "
        "--python; the container image has its own Python alone, see docs/environments.md",
    )


def base() -> Interpreter:
    """Our own Python without what is installed beside us."""
    return examine(getattr(sys, "_base_executable", "") or sys.executable)


def _places(wanted: tuple[int, ...], environ: Mapping[str, str]) -> Iterator[Path]:
    """Where interpreters of that minor version usually are."""
    minor = ".".join(map(str, wanted[:2]))
    name = f"python{minor}"
    home = Path(environ.get("HOME", "/nonexistent"))
    roots = (
        (
            Path(environ.get("RUNNER_TOOL_CACHE") or "/opt/hostedtoolcache") / "Python",
            f"{minor}.*/*/bin/{name}",
        ),
        (Path(environ.get("PYENV_ROOT") or home / ".pyenv") / "versions", f"{minor}.*/bin/{name}"),
        (
            Path(environ.get("UV_PYTHON_INSTALL_DIR") or home / ".local/share/uv/python"),
            f"cpython-{minor}.*/bin/{name}",
        ),
    )
    for root, pattern in roots:
        yield from sorted(root.glob(pattern), reverse=True)
    for folder in environ.get("PATH", "").split(os.pathsep):
        if folder and (Path(folder) / name).is_file():
            yield Path(folder) / name


@lru_cache(maxsize=64)
def examine(path: str) -> Interpreter:
    """Ask the program at that path who it is. Raises UsageError where no worker can run under it."""
    remedy = "give --python the path of a Python 3.9 or later that has the model's libraries and NumPy"
    if Path(path).is_dir():
        raise UsageError(
            f"{path} is a folder, not a Python interpreter", hint=f"{remedy}: {path}/bin/python?"
        )
    try:
        done = subprocess.run(
            [path, "-I", "-S", "-B", "-c", _QUESTION],
            env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.environ.get("HOME", "/")},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, cwd="/", check=False,
        )  # fmt: skip
    except OSError as error:
        raise UsageError(f"cannot run {path}: {error.strerror}", hint=remedy) from error
    except subprocess.TimeoutExpired as error:
        raise UsageError(f"{path} did not answer within {_TIMEOUT_S} s", hint=remedy) from error
    try:
        executable, version, implementation = json.loads(done.stdout)
        major, minor, micro = (int(part) for part in version)
    except (ValueError, TypeError) as error:
        told = (done.stderr or done.stdout).decode("utf-8", "replace").strip()[-300:]
        raise UsageError(
            f"{path} is no Python interpreter of version 3.9 or later" + (f": {told}" if told else ""),
            hint=remedy,
        ) from error
    if (major, minor) < OLDEST:
        raise _too_old(f"{path} is Python {major}.{minor}.{micro}")
    if implementation != "cpython":
        raise UsageError(f"{path} is {implementation}, not CPython", hint=remedy)
    real = str(executable) or path
    return Interpreter(path=real, version=(major, minor, micro), readable=_own_files(Path(real)))


def _own_files(executable: Path) -> tuple[str, ...]:
    """What belongs to a virtual environment; an interpreter alone tells its folders itself."""
    root = executable.parent.parent
    if not (root / "pyvenv.cfg").is_file():
        return ()
    wanted = (root / "pyvenv.cfg", root / "lib", root / "lib64")
    return tuple(str(path) for path in wanted if path.exists())


def _too_old(what: str) -> UsageError:
    return UsageError(
        f"{what}, and models can be judged under 3.9 or later only",
        hint="save the model under a newer Python, in its own format (LightGBM text, XGBoost JSON) if it has one",
    )
