"""Loads the native model to say what it is and to hand out its trees; it never sees a row of the sample."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from validator.sandbox import wire
from validator.worker.loading import load_model
from validator.worker.serving import Answer


class ExportJob:
    """Operations `load`, then `describe` and `export`."""

    def __init__(self, format: str, allow: Sequence[str] = (), trusted: bool = False) -> None:
        self._format = format
        self._allow = tuple(allow)
        self._trusted = trusted
        self._model: Optional[Any] = None

    def load(self, arrays: wire.Arrays) -> Answer:
        self._model = load_model(arrays[0], self._format, self._allow, self._trusted)
        return {}, []

    def describe(self, arrays: wire.Arrays) -> Answer:
        """The model's parts, and what the native worker says of it. Raises NotAModelError for what cannot predict."""
        from validator.libraries.adapter import Adapter
        from validator.libraries.description import describe

        return {**describe(self._model), **Adapter(self._model).facts}, []

    def export(self, arrays: wire.Arrays) -> Answer:
        """The serialised trees: a header and named arrays. The header's `kind` is `other` where there are none."""
        from validator.libraries.export import export

        header, named = export(self._model)
        return {"header": header, "names": list(named)}, list(named.values())
