"""Hears of what a model's code tries to do to the machine while it answers, so that the report can name it.

The kernel refuses it in any case (`sandbox/lockdown`); but the code may catch the error and answer as if nothing had
been. Python tells of each attempt before it is made (PEP 578).
"""

from __future__ import annotations

import os
import sys
from typing import Any, List, Tuple

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Events that change files, start programs or reach out, with the words for them.
_EVENTS = {
    "os.remove": "remove", "os.rename": "rename", "os.mkdir": "make the folder", "os.rmdir": "remove the folder",
    "os.link": "link", "os.symlink": "link", "os.truncate": "cut", "os.chmod": "change the mode of",
    "os.chown": "change the owner of", "shutil.rmtree": "remove the folder", "os.system": "run",
    "os.exec": "run", "os.posix_spawn": "run", "os.spawn": "run", "subprocess.Popen": "run",
    "socket.connect": "connect to", "socket.bind": "listen at",
}  # fmt: skip
_OWN = ("/dev/", "/proc/self/")
_MOST = 20


class Watch:
    """Attempts since `take` was last called. It stays for the life of the process: hooks cannot be removed."""

    def __init__(self, scratch: str) -> None:
        self._own = (*_OWN, scratch.rstrip("/") + "/")
        self._seen: List[str] = []
        sys.addaudithook(self._hear)

    def take(self) -> List[str]:
        """What was tried, a phrase each, in order."""
        seen, self._seen = self._seen, []
        return seen

    def _hear(self, event: str, arguments: Tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = any(sign in (mode or "") for sign in "wax+") or (flags or 0) & _WRITING
            if writes and isinstance(path, (str, bytes)) and not os.fsdecode(path).endswith(".pyc"):
                self._note("write to", os.fsdecode(path))
        elif event in _EVENTS and arguments:
            self._note(_EVENTS[event], arguments[0])

    def _note(self, verb: str, what: Any) -> None:
        text = os.fsdecode(what) if isinstance(what, (str, bytes)) else repr(what)
        if len(self._seen) < _MOST and not text.startswith(self._own):
            self._seen.append(f"{verb} {text[:200]}")
