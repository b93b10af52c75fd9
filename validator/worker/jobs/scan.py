"""Looks at a model file's bytes without executing them."""

from __future__ import annotations

from typing import Sequence, Tuple

from validator.sandbox import wire


class ScanJob:
    """Operation `scan`: the file's bytes in, a SafetyReport as JSON out."""

    def __init__(self, format: str, allow: Sequence[str] = ()) -> None:
        self._format = format
        self._allow = tuple(allow)

    def scan(self, arrays: wire.Arrays) -> Tuple[wire.Meta, wire.Arrays]:
        from validator.model.safety.scanning import scan

        report = scan(arrays[0], self._format, allow=self._allow)
        return report.to_dict(), []
