"""Who moves the traffic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from validator.errors import PreflightError
from validator.rollout.state import SlotName


class EngineError(PreflightError):
    """What moves the traffic cannot be asked, or does not do as told."""


@dataclass(frozen=True, kw_only=True)
class SlotSeen:
    """What the engine says of one slot: its weight, and whether it gives it requests."""

    weight: int
    up: bool
    status: str


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Percent of the traffic by slot, and the slot that stands in when none of them answers."""

    blue: int
    green: int
    rescue: SlotName

    def of(self, slot: SlotName) -> int:
        """The slot's percent."""
        return self.blue if slot == "blue" else self.green


class Engine(Protocol):
    """What moves the traffic between two slots."""

    def read(self) -> Mapping[SlotName, SlotSeen]:
        """What is so at this moment, whatever was believed.

        Raises
        ------
        EngineError
            If it cannot be asked.
        """

    def move(self, weights: Weights, *, safer_first: bool) -> None:
        """Set the weights, and read them back.

        `safer_first` is for moves away from the candidate: what would survive a restart is written before the
        traffic moves, and after it for moves towards the candidate.

        Raises
        ------
        EngineError
            If they could not be set.
        """
