"""What Python and its libraries need to read: code, shared objects, locale, time zones, facts about the processor.

A folder on `sys.path` that is no part of the interpreter's installation (a checkout, the working directory) is
left out on purpose: secrets lie in such places. Whoever needs one names it in `Policy.readable`.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/openssl.cnf",
    "/usr/share/zoneinfo",
    "/usr/share/locale",
    "/usr/share/i18n",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm/transparent_hugepage",
    "/sys/fs/cgroup/cpu.max",
    "/sys/fs/cgroup/memory.max",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/sys/vm/overcommit_memory",
    "/dev/urandom",
    "/dev/random",
    "/dev/zero",
)
_OWN_PROC = ("maps", "stat", "statm", "status", "cgroup")
DEVICES = ("/dev/null",)


@lru_cache(maxsize=1)
def library_paths() -> tuple[str, ...]:
    """Files and directories of this interpreter and the system's libraries that exist, as real paths."""
    prefixes = {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}
    wanted = [*_SYSTEM, sys.executable, *code_paths()]
    for prefix in sorted(prefixes):
        wanted += [f"{prefix}/{name}" for name in ("lib", "lib64", "pyvenv.cfg", "share/zoneinfo")]
    return tuple(sorted({os.path.realpath(path) for path in wanted if _exists(path)}))


def own_process_paths() -> list[str]:
    """The few files of /proc/self that allocators and measurements read."""
    return [f"/proc/{os.getpid()}/{name}" for name in _OWN_PROC]


@lru_cache(maxsize=1)
def code_paths() -> tuple[str, ...]:
    """The directories that Python code is imported from: it must stay readable after the user changes."""
    stdlib = sysconfig.get_paths()
    wanted = {stdlib["stdlib"], stdlib["platstdlib"], stdlib["purelib"], stdlib["platlib"], _own_package()}
    wanted |= {entry for entry in sys.path if _is_installation(entry)}
    return tuple(sorted({os.path.realpath(path) for path in wanted if _exists(path)}))


def _exists(path: str) -> bool:
    """False, too, where a closed directory is in the way; Path.exists would raise."""
    return os.path.exists(path)  # noqa: PTH110


def _is_installation(entry: str) -> bool:
    return bool(entry) and not {"site-packages", "dist-packages"}.isdisjoint(Path(entry).resolve().parts)


def _own_package() -> str:
    return str(Path(__file__).resolve().parents[2])
