"""Counts that servers export, read from Prometheus: the rows of a time, of any number of replicas."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from validator.errors import SampleError, UsageError
from validator.profile import Column, Counts, Profile
from validator.promql import select
from validator.serving.metrics.bins import MOST_FEATURES, MOST_OUTPUTS, shown_name

_LAST = re.compile(r"\d{1,5}[smhdw]")


@dataclass(frozen=True, kw_only=True)
class Server:
    """A Prometheus server, and which model of which version is asked for, over how long."""

    url: str
    model: str
    version: str
    last: str


def read_counts(server: Server, profile: Profile, transport: Any = None) -> tuple[Counts, Counts]:
    """Counts of features and of outputs in the profile's bins, of as many columns as a server exports.

    A column that Prometheus does not know has no row.

    Each series' increase over the time, resets of replicas handled by Prometheus, is rounded to whole rows.
    Raises UsageError for an address or time that is none, SourceError where Prometheus cannot be asked, SampleError
    where it knows nothing of the model.
    """
    from validator.prometheus import address, prometheus_at

    if not _LAST.fullmatch(server.last):
        raise UsageError(f"{server.last!r} is no time", hint="give for instance --last 24h or --last 7d")
    whose = (("model", "=", server.model), ("version", "=", server.version))
    found = []
    with prometheus_at(address(server.url), transport) as prometheus:
        for metric, label, columns in (
            ("preflight_feature_bin_total", "feature", profile.features[:MOST_FEATURES]),
            ("preflight_output_bin_total", "output", profile.outputs[:MOST_OUTPUTS]),
        ):
            query = f"sum by ({label}, bin) (increase({select(metric, *whose, over=server.last)}))"
            found.append(_counts(columns, prometheus.values(query), label))
    if not found[0].rows:
        raise SampleError(
            f"Prometheus knows no row of {server.model} {server.version} in the last {server.last}",
            hint="is the model's name right, was it served then, and is the server scraped?",
        )
    return found[0], found[1]


def _counts(
    columns: tuple[Column, ...], series: Sequence[tuple[Mapping[str, str], float]], label: str
) -> Counts:
    """Counts whose slots are what the series say. A bin's special values lie in its first cell that has them."""
    values = {(labels.get(label, ""), labels.get("bin", "")): value for labels, value in series}
    counts = Counts(columns)
    for i, column in enumerate(columns):
        name = shown_name(column.name)
        slots = {
            slot: max(0, round(values.get((name, slot), 0.0))) for slot in (*column.bins, *column.specials)
        }
        counts.cells[i][:] = cells_of_slots(column, slots)
        counts.rows = max(counts.rows, sum(slots[one] for one in column.bins) + slots["missing"])
    return counts


def cells_of_slots(column: Column, slots: Mapping[str, int]) -> list[int]:
    """Counts of cells [n_cells] that give these slots again, as nearly as rounded numbers can."""
    table = column.membership
    bins, names = len(column.bins), (*column.bins, *column.specials)
    cells = [0] * column.n_cells
    left = dict(slots)
    order = sorted(range(column.n_cells), key=lambda cell: -int(table[bins:, cell].sum()))
    for cell in order:
        member = [names[i] for i in range(len(names)) if table[i, cell]]
        if member:
            cells[cell] = min(left[name] for name in member)
            for name in member:
                left[name] -= cells[cell]
    return cells
