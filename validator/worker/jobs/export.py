"""Loads the native model to say what it is and to hand out its trees; it never sees a row of the sample."""

from __future__ import annotations

from typing import Any, Optional, Sequence, Tuple

from validator.libraries.known import format_named
from validator.libraries.live import as_array
from validator.sandbox import wire
from validator.worker.loading import load_model
from validator.worker.serving import Answer


class ExportJob:
    """Operations `load`, then `describe` and `export`."""

    def __init__(
        self, format: str, allow: Sequence[str] = (), trusted: bool = False, reading: str = "auto"
    ) -> None:
        self._format = format
        self._allow = tuple(allow)
        self._trusted = trusted
        self._reading = reading
        self._model: Optional[Any] = None
        self._file: Optional[Tuple[str, Any]] = None

    def load(self, arrays: wire.Arrays) -> Answer:
        known = format_named(self._format)
        if known is not None and known[1].read_alike:
            self._file = known[0].kind, as_array(bytes(arrays[0]))
        self._model = load_model(arrays[0], self._format, self._allow, self._trusted, self._reading)
        return {}, []

    def describe(self, arrays: wire.Arrays) -> Answer:
        """The model's parts, and what the native worker says of it. Raises NotAModelError for what cannot predict."""
        from validator.libraries.adapter import Adapter
        from validator.libraries.description import describe

        return {**describe(self._model), **Adapter(self._model).facts}, []

    def export(self, arrays: wire.Arrays) -> Answer:
        """The serialised trees: a header and named arrays. The header's `kind` is `other` where there are none.

        Beside what the library writes of the model goes the file itself where our reader takes that too: a library
        drops what it does not know when it reads a later release's file.
        """
        from validator.libraries.export import export

        header, named = export(self._model)
        if self._file is not None and header.get("kind") == self._file[0]:
            named["file"] = self._file[1]
        return {"header": header, "names": list(named)}, list(named.values())
