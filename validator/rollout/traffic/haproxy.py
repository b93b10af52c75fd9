"""HAProxy as the engine: weights by its socket for now, by its file for its next start."""

from __future__ import annotations

import csv
import io
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from validator.rollout.settings import RolloutSettings
from validator.rollout.state import SlotName, write_whole
from validator.rollout.traffic import EngineError, SlotSeen, Weights
from validator.rollout.traffic.haproxy_config import BACKEND, SLOTS, configuration

_LARGEST = 2**22
_HINT = "is HAProxy running with the configuration that `rollout emit --engine haproxy` wrote?"


@dataclass(frozen=True)
class HAProxy:
    """The engine of one machine. See `Engine`."""

    settings: RolloutSettings
    timeout_s: float = 5.0

    def read(self) -> Mapping[SlotName, SlotSeen]:
        """Weights and states, from `show stat`."""
        rows = csv.DictReader(io.StringIO(self.command("show stat").removeprefix("# ")))
        seen = {row.get("svname"): row for row in rows if row.get("pxname") == BACKEND}
        found: dict[SlotName, SlotSeen] = {}
        for slot in SLOTS:
            row = seen.get(slot)
            if row is None or not (row.get("weight") or "").isdigit():
                raise EngineError(f"HAProxy knows no server {BACKEND}/{slot}", hint=_HINT)
            status = row.get("status") or ""
            found[slot] = SlotSeen(
                weight=int(row["weight"]), up=status.startswith(("UP", "DRAIN", "no check")), status=status
            )
        return found

    def move(self, weights: Weights, *, safer_first: bool) -> None:
        """Down: file, then socket. Up: socket, then file. So the file never holds more for the candidate."""
        if safer_first:
            self.write_file(weights)
        self._set(weights)
        if not safer_first:
            self.write_file(weights)

    def write_file(self, weights: Weights) -> None:
        """The configuration for HAProxy's next start."""
        write_whole(self.settings.haproxy.config, configuration(self.settings, weights).encode())

    def _set(self, weights: Weights) -> None:
        # What gains goes first: at no moment is the sum of the weights of ready slots 0.
        for slot in sorted(SLOTS, key=weights.of, reverse=True):
            self._order(f"set weight {BACKEND}/{slot} {weights.of(slot)}")
        for slot in SLOTS:
            word = "enable" if weights.rescue == slot else "disable"
            self._order(f"{word} server {BACKEND}/rescue-{slot}")
        seen = self.read()
        wrong = [slot for slot in SLOTS if seen[slot].weight != weights.of(slot)]
        if wrong:
            raise EngineError(
                f"HAProxy shows weight {seen[wrong[0]].weight} for {wrong[0]}, and was told {weights.of(wrong[0])}",
                hint=_HINT,
            )

    def _order(self, command: str) -> None:
        if answer := self.command(command).strip():
            raise EngineError(f"HAProxy refuses `{command}`: {answer[:200]}", hint=_HINT)

    def command(self, command: str) -> str:
        """One command, one answer."""
        path = self.settings.haproxy.socket
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(self.timeout_s)
                client.connect(str(path))
                client.sendall(command.encode("ascii") + b"\n")
                while part := client.recv(65536):
                    answer += part
                    if len(answer) > _LARGEST:
                        raise EngineError(f"the answer on {path} does not end", hint=_HINT)
        except OSError as error:
            raise EngineError(
                f"cannot ask HAProxy by {path}: {error.strerror or error}", hint=_HINT
            ) from error
        return answer.decode("utf-8", "replace")
