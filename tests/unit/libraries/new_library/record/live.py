"""Stumps, asked where they are loaded."""

from __future__ import annotations

from typing import Any

from validator.libraries.live import Live


class LiveStumps(Live):
    def load(self, data: bytes, format: str) -> Any:
        import stumps_of_somebody

        return stumps_of_somebody.load(data.decode())

    def n_features(self, model: Any) -> int:
        return int(model.width)

    def export(self, model: Any) -> Any:
        import numpy as np

        header = {"kind": "stumps", "feature": model.feature, "cut": model.cut, "n_features": model.width}
        return header, {"value": np.array([model.low, model.high])}
