"""What a worker may do, and what became of each layer that holds it to that."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

APPLIED, UNAVAILABLE, OFF = "applied", "unavailable", "off"

#: Without one of these, code inside the worker can reach the workspace, the network or another process.
CONTAINING_LAYERS = ("descriptors", "user", "no_new_privs", "landlock", "seccomp")


@dataclass(frozen=True)
class LockdownPolicy:
    """The limits of one worker. Sequences may be lists, so that a policy can come from JSON.

    `scratch`: existing directory, the only place the worker may write; it becomes the working directory, and
    where the user is dropped it is handed to the new user, so each worker needs its own and every directory above
    it must be searchable by others. `keep_fds`: descriptors that stay open; 0, 1 and 2, unless named, lead to
    /dev/null. `readable`: further files or directories to read (a foreign package, an input file).
    `memory_bytes`: address space beyond what is mapped at the time of lockdown. `cpu_seconds`: processor time over
    all threads. `file_bytes`: size of any one file. `max_threads`: threads besides the first, 0 for none.
    `writable_scratch`: False for a job that writes no files; then it cannot fill the disk either, which no limit
    prevents. `parent_pid`: the process to die with; without it, whoever is the parent when lockdown begins.
    The layers can be switched off one by one, for diagnosis; the report then says `off`.
    """

    scratch: str
    keep_fds: tuple[int, ...] = ()
    readable: tuple[str, ...] = ()
    memory_bytes: int = 4 << 30
    cpu_seconds: int = 600
    open_files: int = 256
    file_bytes: int = 1 << 30
    max_threads: int = 64
    writable_scratch: bool = True
    parent_pid: int | None = None
    drop_user: bool = True
    landlock: bool = True
    seccomp: bool = True


@dataclass(frozen=True)
class LockdownLayer:
    """One layer: its state (`applied`, `unavailable` or `off`) and why, or what exactly was done."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class LockdownReport:
    """What was done to the process, layer by layer, in order."""

    layers: tuple[LockdownLayer, ...]

    @property
    def contained(self) -> bool:
        """Whether untrusted code may run: every containing layer is in force."""
        return not self.missing

    @property
    def missing(self) -> tuple[str, ...]:
        """The containing layers that are not in force."""
        in_force = {layer.name for layer in self.layers if layer.state == APPLIED}
        return tuple(name for name in CONTAINING_LAYERS if name not in in_force)

    def state(self, name: str) -> str:
        """The state of one layer. Raises KeyError for a layer that was never considered."""
        for layer in self.layers:
            if layer.name == name:
                return layer.state
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        """Plain values: `contained`, `missing` and the `layers` as {name, state, detail}."""
        return {
            "contained": self.contained,
            "missing": list(self.missing),
            "layers": [asdict(layer) for layer in self.layers],
        }
