"""The native model: loaded under the allowlist, asked as its users ask it, timed call by call."""

from __future__ import annotations

import time
from typing import Any, Sequence

from validator.libraries.adapter import Adapter
from validator.sandbox import wire
from validator.sandbox.packing import unpack_table
from validator.worker.loading import load_model, load_path
from validator.worker.serving import Answer, ServingJob


class NativeJob(ServingJob):
    """Operation `load`, and those of every serving job."""

    def __init__(
        self, format: str, allow: Sequence[str] = (), trusted: bool = False, reading: str = "auto"
    ) -> None:
        super().__init__()
        self._format = format
        self._allow = tuple(allow)
        self._trusted = trusted
        self._reading = reading
        self._judges_rows_apart = not (self._allow or trusted)

    def load(self, arrays: wire.Arrays) -> Answer:
        """The model's bytes in; what it is, and the milliseconds that loading took, out."""
        started = time.perf_counter()
        model = load_model(arrays[0], self._format, self._allow, self._trusted, self._reading)
        elapsed = (time.perf_counter() - started) * 1000
        self._model = adapter = Adapter(model)
        return {"load_ms": elapsed, **adapter.facts}, []

    def inside(self, arrays: wire.Arrays, table: Any, columns: int) -> Answer:
        """Rows, then the values and starts of leaf fingerprints in; the rows' fingerprints and raw scores out.

        `columns` is the count of the table's arrays. What the library does not tell is left out: `told` names the
        rest, in the order of the arrays.
        """
        from validator.libraries import leaves as inner

        adapter = self._loaded
        assert isinstance(adapter, Adapter)  # noqa: S101 (load has put it there)
        rows = unpack_table(table, arrays[:columns])
        values, starts = arrays[columns:]
        model, given = inner.final_and_given(adapter.model, adapter.inputs(rows))
        found = {"raw": inner.raw_scores(model, given)} if model is adapter.model else {}
        if len(starts):
            met = inner.leaves(model, given)
            found["leaves"] = None if met is None else inner.sums_of(values, starts, met)
        told = {name: array for name, array in found.items() if array is not None}
        return {"told": list(told)}, list(told.values())

    def load_missing(self, arrays: wire.Arrays) -> Answer:
        """Load a file that is not there. Raises what the library raises."""
        load_path("missing-model", self._format)
        return {}, []
