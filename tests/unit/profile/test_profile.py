"""Profiles: made the same every time, read strictly, and true about the rows they were made from."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from validator.artifact.read import TamperedArtifactError
from validator.profile import CategoryColumn, Counts, NumericColumn, Profile, parse_profile
from validator.profile.document import profile_json
from validator.profile.making import ProfileMaker, output_columns
from validator.profile.windows import ENOUGH_ROWS, _noise, floor_of, lag_correlation


def rows_of(n: int, seed: int = 0) -> tuple[dict[str, Any], dict[str, Any]]:
    random = np.random.default_rng(seed)
    x = random.normal(size=n)
    x[::10] = 0.0
    x[1::10] = np.nan
    kinds = np.array(["a", "b", "c", None], dtype=object)[random.integers(0, 4, n)]
    kinds[:3] = "rare"
    features = {"x": x, "single": random.normal(size=n).astype(np.float32), "flag": x > 0, "kind": kinds}
    return features, output_columns({"probabilities": random.random((n, 2))})


def made(n: int, *, batch: int = 500, seed: int = 0) -> Profile:
    features, outputs = rows_of(n, seed)
    maker = ProfileMaker()
    for start in range(0, n, batch):
        part = slice(start, start + batch)
        maker.add(
            {name: array[part] for name, array in features.items()},
            lambda rows, start=start: {name: array[start + rows] for name, array in outputs.items()},
        )
    return maker.finish(source="sample", source_sha256="ab" * 32, slo_ms=50.0)


def test_reads_back_as_it_was_written() -> None:
    profile = made(2_000)
    assert parse_profile(profile_json(profile)) == profile


def test_the_same_rows_give_the_same_bytes_however_they_come() -> None:
    assert profile_json(made(3_000, batch=17)) == profile_json(made(3_000, batch=3_000))
    assert profile_json(made(3_000)) != profile_json(made(3_000, seed=1))


def test_counts_are_those_of_its_own_rows() -> None:
    n = 2_000
    profile = made(n)
    features, outputs = rows_of(n)
    for columns, arrays in ((profile.features, features), (profile.outputs, outputs)):
        counts = Counts(columns)
        counts.add(arrays)
        for i, column in enumerate(columns):
            slots = counts.slots(i)
            assert tuple(slots[name] for name in column.bins) == column.counts
            assert np.sum(column.blocks, axis=0).tolist() == list(column.counts)
            assert column.rows == n
            if isinstance(column, NumericColumn):
                assert {name: slots[name] for name in column.specials} == dict(column.special)
    x, single, flag, _ = profile.features
    assert x.special == {"missing": 200, "zero": 200, "below": 0, "above": 0}
    assert isinstance(single, NumericColumn)
    assert single.dtype == "float32"
    assert max(single.counts) - min(single.counts) <= 2
    assert len(flag.counts) == 2
    assert [column.name for column in profile.outputs] == ["probabilities[1]"]


def test_rare_categories_are_not_named() -> None:
    kind = made(2_000).features[-1]
    assert isinstance(kind, CategoryColumn)
    assert sorted(kind.top) == ["a", "b", "c"]
    assert kind.special["unseen"] == 3
    assert "rare" not in profile_json(made(2_000)).decode()


def test_new_rows_show_as_many_unnamed_categories_as_the_reference_foresees() -> None:
    random = np.random.default_rng(3)
    weights = 1 / np.arange(1, 2_001)
    weights /= weights.sum()
    draw = lambda n: random.choice([f"k{i}" for i in range(2_000)], n, p=weights).astype(object)  # noqa: E731
    maker = ProfileMaker()
    maker.add({"k": draw(5_000)})
    column = maker.finish(source="sample", source_sha256="").features[0]
    counts = Counts((column,))
    counts.add({"k": draw(20_000)})
    foreseen, seen = column.special["unseen"] / 5_000, counts.slots(0)["unseen"] / 20_000
    assert abs(foreseen - seen) < 0.02
    assert seen > 0.1


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(500),
        np.full(500, np.nan),
        np.array([0, 1] * 250),
        np.array([0.0] * 499 + [1.0]),
        np.array([np.inf, -np.inf, 1.0, 2.0] * 125),
        np.array([None] * 500, dtype=object),
        np.arange(5.0),
        np.array([1e308, -1e308, 0.0] * 200),
    ],
    ids=[
        "constant",
        "all missing",
        "two values",
        "one other",
        "infinite",
        "no category",
        "five rows",
        "huge",
    ],
)
def test_odd_columns_have_a_profile_that_reads_back(values: Any) -> None:
    maker = ProfileMaker()
    maker.add({"x": values})
    profile = maker.finish(source="reference", source_sha256="")
    assert parse_profile(profile_json(profile)) == profile
    column = profile.features[0]
    assert column.rows == len(values)
    if isinstance(column, NumericColumn):
        assert all(column.counts) or not sum(column.counts)


def test_a_large_reference_is_thinned_evenly_and_its_range_is_whole() -> None:
    n = 260_000
    maker = ProfileMaker()
    for start in range(0, n, 8_192):
        rows = np.arange(start, min(start + 8_192, n))
        maker.add({"t": rows.astype(float), "hour": rows % 24})
    profile = maker.finish(source="reference", source_sha256="")
    t, hour = profile.features
    assert isinstance(t, NumericColumn)
    assert 50_000 <= profile.rows <= 100_000
    assert profile.source_rows == n
    assert (t.minimum, t.maximum) == (0.0, n - 1.0)
    assert np.allclose(t.edges, np.arange(1, 10) / 10 * n, rtol=0.02)
    assert isinstance(hour, NumericColumn)
    assert len(hour.edges) == 9
    assert profile.ordered


def test_answers_are_asked_for_the_rows_that_are_kept_alone() -> None:
    asked = 0

    def answer(rows: Any) -> dict[str, Any]:
        nonlocal asked
        asked += len(rows)
        return {"score": rows.astype(float)}

    maker = ProfileMaker()
    for _ in range(50):
        maker.add({"x": np.arange(8_192.0)}, answer)
    profile = maker.finish(source="reference", source_sha256="")
    assert profile.outputs[0].rows == profile.rows <= 100_000
    assert asked < 250_000


def test_order_is_seen_where_there_is_one() -> None:
    random = np.random.default_rng(1)
    walk = np.cumsum(random.normal(size=2_000))
    for values, ordered in ((walk, True), (random.permutation(walk), False)):
        maker = ProfileMaker()
        maker.add({"x": values})
        assert maker.finish(source="reference", source_sha256="").ordered is ordered


def test_no_rows_make_no_profile() -> None:
    with pytest.raises(ValueError, match="no row"):
        ProfileMaker().finish(source="sample", source_sha256="")


def windows_of(values: Any) -> list[int]:
    maker = ProfileMaker()
    maker.add({"x": values})
    return [floor.windows for floor in maker.finish(source="sample", source_sha256="").features[0].floors]


def test_windows_need_rows() -> None:
    assert windows_of(np.arange(ENOUGH_ROWS - 1.0)) == []
    assert windows_of(np.arange(ENOUGH_ROWS * 1.0)) == [40]
    assert windows_of(np.arange(900.0)) == [40, 80]
    assert windows_of(np.arange(4_000.0)) == [40, 80, 200, 400]
    assert windows_of(np.zeros(500)) == [40]


def test_special_values_that_come_in_bursts_are_told_from_scattered_ones() -> None:
    random = np.random.default_rng(7)
    days = np.repeat(random.random(400) < 0.1, 25)
    for missing, low, high in ((days, 0.4, 1.0), (random.permutation(days), 0.0, 0.02)):
        maker = ProfileMaker()
        maker.add({"x": np.where(missing, np.nan, random.normal(size=10_000))})
        floors = maker.finish(source="sample", source_sha256="").features[0].floors
        assert low <= floors[-1].special["missing"] <= high
        assert set(floors[0].special) == {"missing"}


def test_windows_that_differ_are_told_from_those_that_only_count() -> None:
    random = np.random.default_rng(2)
    share = np.full(10, 0.1)
    noise = floor_of(random.multinomial(100, share, 40), 30)
    days = floor_of(np.array([random.multinomial(100, random.dirichlet(share * 30)) for _ in range(40)]), 30)
    assert noise is not None
    assert days is not None
    assert noise.directions == 9.0
    assert noise.between < 0.03
    # A Dirichlet of total 30 varies by (B-1)/31 in units of its shares.
    assert days.between == pytest.approx(9 / 31, rel=0.4)
    assert days.directions < 9


@pytest.mark.parametrize(("dimensions", "windows", "rows"), [(1, 40, 100), (9, 40, 25), (20, 400, 50)])
def test_the_bound_of_noise_is_passed_once_in_a_hundred_times(
    dimensions: int, windows: int, rows: int
) -> None:
    random = np.random.default_rng(4)
    share = np.full(dimensions + 1, 1 / (dimensions + 1))
    drawn = random.multinomial(rows, share, (1_500, windows)) / rows
    y = (drawn - drawn.mean(1, keepdims=True)) / np.sqrt(share)
    largest = np.linalg.eigvalsh(y.transpose(0, 2, 1) @ y / (windows - 1)).max(1)
    assert (largest > _noise(dimensions, windows, rows)).mean() < 0.02


def test_lag() -> None:
    random = np.random.default_rng(5)
    assert abs(lag_correlation(random.integers(0, 10, 5_000))) < 0.06
    assert lag_correlation(np.repeat(random.integers(0, 10, 500), 10)) > 0.8
    assert lag_correlation(np.zeros(100, dtype=int)) == 0.0
    assert lag_correlation(np.full(100, -1)) == 0.0


def tampered(change: Any) -> bytes:
    document = json.loads(profile_json(made(500)))
    change(document)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(schema_version=2),
        lambda d: d.pop("rows"),
        lambda d: d.update(rows=-1),
        lambda d: d.update(rows=1.5),
        lambda d: d.update(source="elsewhere"),
        lambda d: d.update(ordered="yes"),
        lambda d: d.update(features={}),
        lambda d: d["features"].append(d["features"][0]),
        lambda d: d["features"].append(7),
        lambda d: d["features"][0].update(kind="image"),
        lambda d: d["features"][0].update(dtype="V8"),
        lambda d: d["features"][0].update(edges=[2, 1]),
        lambda d: d["features"][0].update(edges=list(range(1_000))),
        lambda d: d["features"][0].update(minimum=None),
        lambda d: d["features"][0].update(minimum=5, maximum=-5),
        lambda d: d["features"][0].update(counts=[1]),
        lambda d: d["features"][0].update(lag=7),
        lambda d: d["features"][0]["special"].pop("zero"),
        lambda d: d["features"][0]["blocks"].append([1]),
        lambda d: d["features"][0]["floors"][0].update(between=-1),
        lambda d: d["features"][0]["floors"][0].update(windows=0),
        lambda d: d["features"][0]["floors"][0].update(special={"zero": 2}),
        lambda d: d["features"][-1].update(top=["a"] * 30),
        lambda d: d["features"][-1].update(top=[1, 2, 3]),
        lambda d: d["outputs"][0].update(name=None),
    ],
)
def test_a_profile_that_was_changed_is_refused_in_words(change: Any) -> None:
    with pytest.raises(TamperedArtifactError) as caught:
        parse_profile(tampered(change))
    assert caught.value.file == "profile.json"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"schema_version": 1}', b'{"rows": NaN}', b"\xff"])
def test_what_is_no_profile_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(TamperedArtifactError):
        parse_profile(content)


def test_outputs_as_columns() -> None:
    three = output_columns({"probabilities": np.zeros((4, 3)), "label": np.zeros(4), "score": None})
    assert list(three) == ["probabilities[0]", "probabilities[1]", "probabilities[2]"]
    assert list(output_columns({"prediction": np.zeros(4)})) == ["prediction"]
    assert list(output_columns({"prediction": np.zeros((4, 2))})) == ["prediction[0]", "prediction[1]"]
    assert len(output_columns({"probabilities": np.zeros((4, 500))})) == 64
