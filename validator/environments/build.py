"""Built environments, kept in a folder: one for each set of requirements, interpreter and platform."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from validator.environments.installer import Installer
from validator.environments.interpreter import Interpreter, examine
from validator.environments.requirements import Requirements
from validator.errors import UsageError

#: Raised when an environment built by an older version would not do any more.
_LAYOUT = 1


@dataclass(frozen=True, kw_only=True)
class Built:
    """An environment that is there: its interpreter, and whether it was built just now."""

    python: Interpreter
    fresh: bool


def cache_folder(setting: Path | None, environ: Mapping[str, str]) -> Path:
    """Where environments are kept: the setting, the runner's tool cache, or the user's cache."""
    if setting is not None:
        return setting.absolute()
    tools = environ.get("RUNNER_TOOL_CACHE")
    if tools and os.access(tools, os.W_OK):
        return Path(tools) / "model-preflight"
    user = environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or tempfile.gettempdir()) / ".cache"
    return Path(user) / "model-preflight" / "environments"


def key(wanted: Requirements, base: Interpreter) -> str:
    """The same for the same text, interpreter and platform."""
    parts = (
        str(_LAYOUT),
        wanted.text,
        "\n".join((*wanted.constraints, *wanted.helpers)),
        base.release,
        base.path,
        platform.machine(),
        "-".join(platform.libc_ver()),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def ensure(
    wanted: Requirements, base: Interpreter, cache: Path, installer: Installer, environ: Mapping[str, str]
) -> Built:
    """The environment with these packages, built unless it is kept already.

    It is built beside its place and renamed into it, so that a kept one is whole; of two runs at once one wins.
    Raises UsageError when the folder cannot be written, or the installation fails.
    """
    place = cache / key(wanted, base)
    kept = _usable(place)
    if kept is not None:
        return Built(python=kept, fresh=False)
    shutil.rmtree(place, ignore_errors=True)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    except OSError as error:
        raise UsageError(
            f"environments cannot be kept in {cache}: {error.strerror}",
            hint="set environment_cache to a folder",
        ) from error
    try:
        folder = scratch / "environment"
        installer.install(folder, wanted, base, environ)
        folder.chmod(0o755)
        try:
            folder.rename(place)
        except OSError:
            if _usable(place) is None:  # else another run was faster
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    examine.cache_clear()
    return Built(python=examine(str(place / "bin" / "python")), fresh=True)


def _usable(place: Path) -> Interpreter | None:
    """The environment's interpreter; None where there is none, or the Python it was made from is gone."""
    python = place / "bin" / "python"
    if not python.exists():
        return None
    try:
        return examine(str(python))
    except UsageError:
        return None
