"""Live counts of features' and outputs' values in the bins of the artifact's profile, and the profile beside them.

The bins are the profile's own: `validator.profile` says where a value belongs, here it is only counted and shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.profile import Column, Counts, Profile
from validator.profile.columns import Floor

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from prometheus_client.metrics_core import Metric

#: So many features are counted; the names of the others are told at start.
MOST_FEATURES = 64
MOST_OUTPUTS = 16
#: So many rows are counted together, in a third of the time.
_AT_ONCE = 128
#: What a label may hold of a name: Prometheus refuses a scrape with longer ones.
_LONGEST_NAME = 120


class LiveBins:
    """Counts by bin of the rows that were answered. Not locked: one thread writes, and the same one reads.

    Parameters
    ----------
    profile
        The artifact's profile; None counts nothing.
    """

    def __init__(self, profile: Profile | None) -> None:
        self.profile = profile
        features = profile.features if profile else ()
        outputs = profile.outputs if profile else ()
        self._features = Counts(features[:MOST_FEATURES])
        self._outputs = Counts(outputs[:MOST_OUTPUTS])
        self.uncounted = tuple(column.name for column in features[MOST_FEATURES:])
        self._names = tuple(column.name for column in self._features.columns)
        self._pick = itemgetter(*self._names) if len(self._names) > 1 else None
        self._places = tuple(_output_place(column.name) for column in self._outputs.columns)
        self._active = bool(self._names or self._places)
        self._waiting: list[Sequence[Any]] = []
        self._answers: list[Any] = []

    @property
    def features(self) -> Counts:
        """The counts of the features."""
        self._settle()
        return self._features

    @property
    def outputs(self) -> Counts:
        """The counts of the outputs."""
        self._settle()
        return self._outputs

    def add_row(self, row: Mapping[str, Any], answer: Any) -> None:
        """Count one row by feature name, and its answer (a `SinglePrediction`).

        Rows wait until there are some dozens of them, or somebody looks.
        """
        if not self._active:
            return
        self._waiting.append(self._pick(row) if self._pick else [row[name] for name in self._names])
        self._answers.append(answer)
        if len(self._waiting) >= _AT_ONCE:
            self._settle()

    def _settle(self) -> None:
        """Count the rows that wait."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            answers, self._answers = self._answers, []
            self._features.add_rows(waiting)
            if self._places:
                found = [_of_singles(answers, *place) for place in self._places]
                self._outputs.add_rows(list(zip(*found, strict=True)))

    def tally(self, columns: Mapping[str, Any], answer: Any) -> tuple[Counts, Counts]:
        """Counts of a batch, for `add` later: the part that takes time, safe in any thread.

        `columns` are lists or arrays [N] by feature name, `answer` a `Prediction`.
        """
        features = Counts(self._features.columns)
        features.add(
            {column.name: _as_array(columns[column.name], column) for column in self._features.columns}
        )
        outputs = Counts(self._outputs.columns)
        outputs.add(
            {
                column.name: _of_output(answer, *place)
                for column, place in zip(self._outputs.columns, self._places, strict=True)
            }
        )
        return features, outputs

    def add(self, tally: tuple[Counts, Counts]) -> None:
        """Add what `tally` counted."""
        self._features.merge(tally[0])
        self._outputs.merge(tally[1])

    def collect(self, labels: Mapping[str, str]) -> Iterator[Metric]:
        """The families of bins, shares and floors, each with these labels."""
        if self.profile is None:
            return
        yield from self._bins("feature", self.features, labels)
        yield from self._bins("output", self.outputs, labels)
        yield from self._reference(labels)

    def _bins(self, kind: str, counts: Counts, labels: Mapping[str, str]) -> Iterator[Metric]:
        from prometheus_client.metrics_core import CounterMetricFamily

        family = CounterMetricFamily(
            f"preflight_{kind}_bin", f"Rows by {kind} and bin of the profile.", labels=[*labels, kind, "bin"]
        )
        for place, column in enumerate(counts.columns):
            for slot, count in counts.slots(place).items():
                family.add_metric([*labels.values(), shown_name(column.name), slot], count)
        yield family

    def _reference(self, labels: Mapping[str, str]) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        if self.profile is None:
            return
        names, values = list(labels), list(labels.values())
        rows = GaugeMetricFamily("preflight_profile_rows", "Rows of the reference.", labels=names)
        rows.add_metric(values, self.profile.rows)
        yield rows
        share = GaugeMetricFamily(
            "preflight_profile_share", "Share of the reference's rows by bin or special value."
        )
        between = GaugeMetricFamily(
            "preflight_drift_between_variance", "How much the reference's own windows differ beyond noise."
        )
        quantile = GaugeMetricFamily("preflight_drift_quantile", "The factor of the drift floor.")
        alike = GaugeMetricFamily(
            "preflight_drift_special_correlation",
            "How alike rows of one window of the reference are in having a special value; absent where not at all.",
        )
        for kind, counts in (("feature", self.features), ("output", self.outputs)):
            for column in counts.columns:
                own = {**labels, kind: shown_name(column.name)}
                for slot, part in _shares(column).items():
                    share.add_sample(share.name, {**own, "bin": slot}, part)
                floor = widest_floor(column)
                if floor is not None:
                    between.add_sample(between.name, own, floor.between)
                    quantile.add_sample(quantile.name, own, floor.quantile)
                    for name, value in floor.special.items():
                        if value > 0:
                            alike.add_sample(alike.name, {**own, "bin": name}, value)
        yield from (share, between, quantile, alike, self._edges(labels))

    def _edges(self, labels: Mapping[str, str]) -> Metric:
        """Where the outputs' bins end, to the last digit: whoever compares two versions cannot take bin for bin."""
        from prometheus_client.metrics_core import GaugeMetricFamily

        edge = GaugeMetricFamily(
            "preflight_profile_edge", "Upper ends of the outputs' bins, but for the last: 1."
        )
        for column in self._outputs.columns:
            for slot, upper in zip(column.bins, getattr(column, "edges", ()), strict=False):
                own = {**labels, "output": shown_name(column.name), "bin": slot, "upper": repr(float(upper))}
                edge.add_sample(edge.name, own, 1)
        return edge


def widest_floor(column: Column) -> Floor | None:
    """The floor of the longest windows that the reference allowed, None without windows.

    Rules look at hours of traffic: of the lengths at hand, the longest is the nearest.
    """
    return max(column.floors, key=lambda floor: floor.rows, default=None)


def shown_name(name: str) -> str:
    """A feature's name as a label's value: cut short, without control characters; the client escapes the rest."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    return plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 1] + "…"


def _shares(column: Column) -> dict[str, float]:
    """Of each bin and special value, the part of all the reference's rows."""
    total = max(column.rows, 1)
    counts = dict(zip(column.bins, column.counts, strict=True)) | dict(column.special)
    return {name: count / total for name, count in counts.items()}


def _output_place(name: str) -> tuple[str, int | None]:
    """`probabilities[1]` is that column of that output, `prediction` the output itself."""
    output, bracket, rest = name.partition("[")
    return output, int(rest.rstrip("]")) if bracket else None


def _of_singles(answers: list[Any], output: str, index: int | None) -> list[Any]:
    """A value of each answer, None where there is none."""
    values = [getattr(answer, output) for answer in answers]
    return values if index is None else [None if value is None else value[index] for value in values]


def _of_output(answer: Any, output: str, index: int | None) -> NDArray[Any]:
    array: NDArray[Any] = getattr(answer, output)
    return array if index is None else array[:, index]


def _as_array(values: Sequence[Any] | NDArray[Any], column: Column) -> NDArray[Any]:
    """A column of a request as `Counts.add` takes it: numbers as floats with NaN, categories as they are."""
    if isinstance(values, np.ndarray) and values.dtype.kind != "O":
        return values
    if hasattr(column, "cuts"):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
