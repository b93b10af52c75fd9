"""Proves native trees and ONNX trees the same, makes rows that would tell them apart, and measures quality.

It knows the model's serialised trees and the ONNX file, and has met neither the pickle nor a runtime.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from validator.worker import wire
from validator.worker.serving import Answer


class Job:
    """Operations `trees`, then `prove`; `boundary`; `quality`."""

    def __init__(self) -> None:
        self._ensemble: Optional[Any] = None

    def trees(self, arrays: wire.Arrays, header: Dict[str, Any], names: List[str]) -> Answer:
        from validator.convert.readers import read

        self._ensemble = read(header, dict(zip(names, arrays)))
        return {}, []

    def prove(self, arrays: wire.Arrays) -> Answer:
        """The ONNX file in, the proof or the counter-example out."""
        from validator.convert.proof import prove

        if self._ensemble is None:
            raise RuntimeError("no trees were given")
        proof = prove(self._ensemble, arrays[0])
        difference, bounds = proof.difference, proof.bounds
        row = [] if difference is None or difference.row is None else [difference.row]
        return {
            "status": str(proof.status),
            "reason": proof.reason,
            "splits": proof.nodes,
            "bound": None if bounds is None else _finite(bounds.raw_in_order),
            "output_bound": None if bounds is None else _finite(bounds.output),
            "labels_exact": proof.labels_exact,
        }, row

    def boundary(
        self,
        arrays: wire.Arrays,
        table: Any,
        limit: int,
        knees: List[Dict[str, Any]],
        input_dtype: str,
    ) -> Answer:
        """Rows [B, F] at the model's own thresholds, or across its features' ranges where it has none."""
        from validator.convert.boundary import boundary_rows, covering_rows

        sample = wire.unpack_table(table, arrays).matrix()
        if self._ensemble is not None:
            return {}, [boundary_rows(self._ensemble, sample, limit=limit, input_dtype=input_dtype)]
        return {}, [covering_rows(sample, knees=knees, limit=limit)]

    def quality(self, arrays: wire.Arrays, task: str, classes: List[Any]) -> Answer:
        """True answers [N], numbers [N, K] and, of classifiers, labels [N] in; metrics by name out."""
        from validator.worker.quality import measure

        label = arrays[2] if len(arrays) > 2 else None
        return measure(task, arrays[0], label, arrays[1], classes), []


def _finite(value: float) -> Optional[float]:
    """Infinity, which JSON does not have, as None: there is no bound."""
    return float(value) if value - value == 0 else None
