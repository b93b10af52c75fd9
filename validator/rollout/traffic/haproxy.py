"""HAProxy as the engine: weights by its socket for now, by its file for its next start."""

from __future__ import annotations

import csv
import io
import re
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from validator.rollout.settings import RolloutSettings
from validator.rollout.state import SlotName, StateError, write_whole
from validator.rollout.traffic import EngineError, SlotSeen, Weights
from validator.rollout.traffic.haproxy_config import BACKEND, SLOTS, configuration

_LARGEST = 2**22
_ITS_OWN = "each model needs a HAProxy, a socket and a folder of its own: correct rollout.toml"
_DESCRIPTION = re.compile(r"(?m)^description: (.+)$")
_WEIGHT = re.compile(r"[0-9]{1,3}")
_HINT = "is HAProxy running with the configuration that `rollout emit --engine haproxy` wrote?"


@dataclass(frozen=True)
class HAProxy:
    """The engine of one machine. See `Engine`."""

    settings: RolloutSettings
    timeout_s: float = 5.0

    def read(self) -> Mapping[SlotName, SlotSeen]:
        """Weights and states, from `show stat`; not those of another model's proxy."""
        whose = _DESCRIPTION.search(self.command("show info"))
        if whose is not None and whose[1] != self.settings.model:
            raise EngineError(
                f"HAProxy at {self.settings.haproxy.socket} is that of the model {whose[1][:100]!r}",
                hint=_ITS_OWN,
            )
        told = self.command("show stat")
        if not told.endswith("\n\n"):
            raise EngineError("HAProxy breaks off in the middle of its table", hint=_HINT)
        try:
            rows = list(csv.DictReader(io.StringIO(told.removeprefix("# "))))
        except csv.Error as error:
            raise EngineError(f"HAProxy shows no table: {error}", hint=_HINT) from error
        seen = {row.get("svname"): row for row in rows if row.get("pxname") == BACKEND}
        return {slot: self._slot(slot, seen.get(slot)) for slot in SLOTS}

    def _slot(self, slot: SlotName, row: Mapping[str, str | None] | None) -> SlotSeen:
        if row is None:
            raise EngineError(f"HAProxy knows no server {BACKEND}/{slot}", hint=_HINT)
        weight, status = row.get("weight") or "", row.get("status") or ""
        if not _WEIGHT.fullmatch(weight) or not status:
            raise EngineError(f"HAProxy shows no weight and status of {BACKEND}/{slot}", hint=_HINT)
        wanted, shown = self.settings.slots[slot].address, row.get("addr") or ""
        if shown and shown.rpartition(":")[2] != wanted.rpartition(":")[2]:
            raise EngineError(
                f"HAProxy's server {BACKEND}/{slot} is at {shown[:100]}, and rollout.toml has {wanted}",
                hint=_ITS_OWN,
            )
        return SlotSeen(
            weight=int(weight), up=status.startswith(("UP", "DRAIN", "no check")), status=status[:100]
        )

    def move(self, weights: Weights, *, safer_first: bool) -> None:
        """Down: file, then socket. Up: socket, then file. So the file never holds more for the candidate.

        Where the file cannot be written, down moves all the same, and is not done until it is written too.
        """
        unwritten: StateError | None = None
        if safer_first:
            try:
                self.write_file(weights)
            except StateError as error:
                unwritten = error
        self._set(weights)
        if unwritten is not None:
            told = unwritten.message.partition(";")[0]
            raise EngineError(
                f"{told}; HAProxy was told, and has the old weights after a restart", hint=unwritten.hint
            ) from unwritten
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
        answer, end = bytearray(), time.monotonic() + self.timeout_s
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(self.timeout_s)
                client.connect(str(path))
                client.sendall(command.encode("ascii") + b"\n")
                while part := client.recv(65536):
                    answer += part
                    if len(answer) > _LARGEST or time.monotonic() > end:
                        raise EngineError(f"the answer on {path} does not end", hint=_HINT)
        except OSError as error:
            raise EngineError(
                f"cannot ask HAProxy by {path}: {error.strerror or error}", hint=_HINT
            ) from error
        return answer.decode("utf-8", "replace")
