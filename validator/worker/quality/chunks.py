"""An array that grows batch by batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List


@dataclass
class Chunks:
    """The parts so far, joined once at the end."""

    parts: List[Any] = field(default_factory=list)

    def joined(self) -> Any:
        """All parts as one array; None where there was none."""
        import numpy as np

        if len(self.parts) > 1:
            self.parts = [np.concatenate(self.parts)]
        return self.parts[0] if self.parts else None
