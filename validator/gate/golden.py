"""Golden requests: a few rows and the answers that the shipped Deployment gave to them, for whoever serves it later.

Every feature's value is drawn from the sample on its own, so that no row of the sample is in it: what ships with a
model may be seen by more people than its data.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from validator.artifact.manifest import canonical_json
from validator.outputs import Outputs
from validator.results import Contract
from validator.runtimes.runtime import Runtime
from validator.sandbox.worker_pool import Raised
from validator.table import Column, Table

GOLDEN_SCHEMA = 1
ROWS = 12
_SEED = 20


def golden_requests(deployment: Runtime, rows: Table, contract: Contract) -> bytes | None:
    """The file `golden.json`, or None where there is nothing to draw from or the model answers none of it.

    Text that may be anything is not drawn: it might say something of somebody. Raises WorkerError.
    """
    names = [feature.name for feature in contract.features]
    free = any(feature.dtype == "string" and feature.categories is None for feature in contract.features)
    if len(rows) == 0 or free or not set(names) <= set(rows.names):
        return None
    drawn = _drawn(rows.select(names))
    kept: list[dict[str, Any]] = []
    answers: dict[str, list[Any]] = {}
    for i in range(len(drawn)):
        row = drawn.take(slice(i, i + 1))
        with suppress(Raised):  # values that never met may be more than the model bears; others will do
            given = deployment.predict(row)
            plain = {column.name: _plain(column) for column in row.columns}
            if given.is_finite and all(map(_is_json, plain.values())):
                kept.append(plain)
                _add(answers, given)
    if not kept:
        return None
    return canonical_json({"schema_version": GOLDEN_SCHEMA, "rows": kept, "answers": answers})


def _drawn(rows: Table) -> Table:
    draw = np.random.default_rng(_SEED)
    return Table.of(column.take(draw.integers(0, len(rows), ROWS)) for column in rows.columns)


def _plain(column: Column) -> Any:
    """The one value as JSON has it; a missing one as null."""
    (value,) = column.decoded().tolist()
    if value is None or value != value:
        return None
    return value == 1.0 if column.truth else value


def _is_json(value: Any) -> bool:
    if isinstance(value, float):
        return value - value == 0.0
    return value is None or isinstance(value, (bool, int, str))


def _add(answers: dict[str, list[Any]], given: Outputs) -> None:
    for name, array in given.present.items():
        answers.setdefault(name, []).append(array.tolist()[0])
