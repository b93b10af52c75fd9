"""Live counts against the profile's own counting, and the series that Prometheus sees."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.profile import CategoryColumn, Counts, NumericColumn, Profile
from validator.profile.columns import Floor
from validator.serving.metrics.bins import MOST_FEATURES, LiveBins, shown_name
from validator.serving.metrics.latency import LatencyBuckets
from validator.serving.metrics.server import Served, ServerMetrics


def numeric(name: str, **changes: Any) -> NumericColumn:
    fields: dict[str, Any] = {
        "name": name,
        "dtype": "float64",
        "edges": (-1.0, 0.0, 1.0),
        "counts": (25, 25, 25, 25),
        "special": {"missing": 0, "zero": 1, "below": 0, "above": 0},
        "quantiles": (),
        "minimum": -2.0,
        "maximum": 2.0,
        "floors": (
            Floor(windows=40, rows=10.0, between=0.5, directions=2.0, quantile=3.0),
            Floor(windows=10, rows=40.0, between=0.25, directions=2.0, quantile=4.0),
        ),
    }
    return NumericColumn(**(fields | changes))


def category(name: str) -> CategoryColumn:
    return CategoryColumn(
        name=name, top=("a", "b"), named=("c",), counts=(50, 40, 10), special={"missing": 0, "unseen": 1}
    )


def profile(*features: Any, outputs: Any = ()) -> Profile:
    return Profile(
        rows=100,
        source_rows=100,
        source="sample",
        source_sha256="",
        ordered=True,
        features=features,
        outputs=outputs,
        slo_ms=20.0,
    )


def collected(bins: LiveBins) -> dict[str, float]:
    found = {}
    for family in bins.collect({"model": "m"}):
        for sample in family.samples:
            own = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if k != "model")
            found[f"{sample.name}{{{own}}}"] = sample.value
    return found


values = st.one_of(
    st.none(),
    st.floats(allow_infinity=True),
    st.sampled_from([0.0, -0.0, -2.0, 2.0, 1.0, -1.0]),
    st.integers(-3, 3),
)
rows = st.lists(st.tuples(values, st.sampled_from(["a", "b", "c", "z", None])), max_size=150)


@given(rows=rows)
def test_row_by_row_and_by_the_batch_are_the_profiles_own_counts(rows):
    known = profile(numeric("x"), category("y"))
    single, batch = LiveBins(known), LiveBins(known)
    for i, (x, y) in enumerate(rows):
        single.add_row({"y": y, "x": x}, None)
        assert i % 7 or single.features.rows == i + 1  # looked at now and then: each row is seen at once
    columns = {"x": [x for x, _ in rows], "y": [y for _, y in rows]}
    batch.add(batch.tally(columns, None))
    own = Counts(known.features)
    floats = np.array([math.nan if x is None else x for x, _ in rows], dtype=float)
    own.add({"x": floats, "y": np.array([y for _, y in rows], dtype=object)})
    assert single.features.cells == batch.features.cells == own.cells
    found = collected(single)
    bins = sum(found[f"preflight_feature_bin_total{{bin={i},feature=x}}"] for i in range(4))
    assert bins + found["preflight_feature_bin_total{bin=missing,feature=x}"] == len(rows)


def test_rows_that_wait_are_counted_when_there_are_many_and_once():
    bins = LiveBins(profile(numeric("x"), numeric("z"), category("y")))
    for i in range(1_000):
        bins.add_row({"x": i % 4 - 1.5, "z": None if i % 2 else 0, "y": "a"}, None)
    assert bins.features.rows == bins.features.rows == 1_000
    assert [bins.features.slots(0)[name] for name in "0123"] == [250] * 4
    assert bins.features.slots(1)["missing"] == bins.features.slots(1)["zero"] == 500


def test_outputs_are_counted_by_column_of_the_answer():
    outputs = (numeric("probabilities[1]", edges=(0.5,), counts=(50, 50), minimum=0.0, maximum=1.0),)
    bins = LiveBins(profile(outputs=outputs))
    bins.add_row({}, SimpleNamespace(probabilities=[0.2, 0.8]))
    many = SimpleNamespace(probabilities=np.array([[0.9, 0.1]] * 40 + [[0.0, 1.0]] * 40))
    bins.add(bins.tally({}, many))
    found = collected(bins)
    assert found["preflight_output_bin_total{bin=0,output=probabilities[1]}"] == 40
    assert found["preflight_output_bin_total{bin=1,output=probabilities[1]}"] == 41


def test_the_profile_is_shown_beside_the_counts():
    found = collected(LiveBins(profile(numeric("x"), category("y"))))
    assert found["preflight_profile_rows{}"] == 100
    assert found["preflight_profile_share{bin=0,feature=x}"] == 0.25
    assert found["preflight_profile_share{bin=zero,feature=x}"] == 0.01
    assert found["preflight_profile_share{bin=other,feature=y}"] == 0.10
    assert found["preflight_drift_between_variance{feature=x}"] == 0.25
    assert found["preflight_drift_quantile{feature=x}"] == 4.0
    assert all(value == 0 for name, value in found.items() if "_bin_total" in name)


def test_counts_are_capped_in_number_and_names_are_harmless():
    many = LiveBins(profile(*(numeric(f"f{i}") for i in range(MOST_FEATURES + 5))))
    assert many.uncounted == tuple(f"f{i}" for i in range(MOST_FEATURES, MOST_FEATURES + 5))
    assert len({name for name in collected(many) if "bin=0" in name and "bin_total" in name}) == MOST_FEATURES
    assert len(shown_name("x" * 10_000)) == 120
    assert shown_name("a\nb\x1b[31m") == "a?b?[31m"
    hostile = LiveBins(profile(numeric('x"} 1\nevil_metric{a="')))
    served = Served(model="m", version="v", digest="", verdict="pass", override='"\n', created_s=0.0)
    text = ServerMetrics(served, slo_s=0.05, bins=hostile).render().decode()
    assert not [line for line in text.splitlines() if line.startswith("evil_metric")]


def test_no_profile_counts_nothing_and_shows_nothing():
    bins = LiveBins(None)
    bins.add_row({"x": 1.0}, None)
    bins.add(bins.tally({"x": [1.0]}, None))
    assert collected(bins) == {}


@given(durations=st.lists(st.floats(0, 20), max_size=50), slo=st.floats(0.001, 5))
def test_buckets_are_cumulative_counts_with_the_slo_among_them(durations, slo):
    buckets = LatencyBuckets(slo)
    for one in durations:
        buckets.observe(one)
    for bound, count in buckets.cumulative():
        assert count == sum(one <= float(bound) for one in durations)
    assert repr(slo) in dict(buckets.cumulative())
    assert buckets.total_s == pytest.approx(sum(durations))
