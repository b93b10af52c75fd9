"""One way in which a conversion is known to go wrong, met in a model."""

from __future__ import annotations

from validator.python39 import dataclass


@dataclass(frozen=True, kw_only=True)
class TreeHazard:
    """One that was met: `step` is the class in the model, `action` "repaired" or "noted"."""

    id: str
    step: str
    action: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"id": self.id, "action": self.action, "message": f"{self.step}: {self.message}"}
