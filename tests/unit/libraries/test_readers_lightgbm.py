"""LightGBM is the oracle: on rows at a model's thresholds the trees read, and their ONNX file, answer as it does."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.steps import counted
from validator.errors import ConversionError
from validator.libraries.convert import convert_trees
from validator.libraries.lightgbm.trees import read
from validator.trees import mirror
from validator.trees.ensemble import ZERO_ZONE, BranchMode, Task, Transform, TransformKind, TreeEnsemble
from validator.trees.validity import validate
from validator.trees.walk import leaf_indices, raw_scores

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

ROWS, FEATURES, CATEGORY = 500, 5, 2
ZONE_EDGES = [s * v for v in (ZERO_ZONE, np.nextafter(ZERO_ZONE, 1), 1e-36, 5e-324) for s in (1.0, -1.0)]
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, *ZONE_EDGES, -1.0, -0.5, 0.5, 1.5, 39.0, 40.0, 1e10, -3e9]
OBJECTIVES = [
    "regression", "regression_l1", "huber", "fair", "quantile", "mape", "poisson", "gamma", "tweedie",
    "binary", "multiclass", "multiclassova", "cross_entropy", "cross_entropy_lambda", "lambdarank", "rank_xendcg",
]  # fmt: skip


def features(seed: int) -> np.ndarray:
    """Normal numbers, whole ones, many zeros, tiny ones and gaps."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(ROWS, FEATURES))
    rows[:, CATEGORY] = rng.integers(0, 40, ROWS)
    rows[rng.random(rows.shape) < 0.05] = np.nan
    rows[rng.random(ROWS) < 0.4, 4] = 0.0
    rows[: ROWS // 3, 3] *= 1e-36
    return rows


def target(objective: str, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
    """A target that the objective accepts, and what else training needs."""
    rows = np.nan_to_num(features(seed))
    noise = np.random.default_rng(seed + 1).random(ROWS)
    # The golden ratio scatters the categories, so that splits on them take sets rather than ranges.
    y = (0.618 * rows[:, CATEGORY] + 0.2 * noise + 0.3 * np.abs(rows[:, 0])) % 1.0
    if objective == "binary":
        return np.floor(y * 2), {}
    if objective.startswith("multiclass"):
        return np.floor(y * 3), {"num_class": 3}
    if objective in ("lambdarank", "rank_xendcg"):
        return np.floor(y * 4), {"group": [10] * (ROWS // 10)}
    return y + (objective in ("gamma", "poisson", "tweedie")), {}


def train(
    objective: str, seed: int = 0, *, iterations: int = 5, category: bool = True, **params: Any
) -> lightgbm.Booster:
    """A booster as it is after loading: from its own text."""
    y, extra = target(objective, seed)
    group = extra.pop("group", None)
    data = lightgbm.Dataset(
        features(seed), y, group=group, categorical_feature=[CATEGORY] if category else "auto"
    )
    given = {
        "objective": objective, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 3, "num_leaves": 12,
        "bagging_freq": 1, "bagging_fraction": 0.7, "min_data_per_group": 5, "cat_smooth": 1.0,
        "seed": seed, **extra, **params,
    }  # fmt: skip
    return lightgbm.Booster(model_str=lightgbm.train(given, data, iterations).model_to_string())


def boundary_rows(ensemble: TreeEnsemble, seed: int) -> np.ndarray:
    """Real rows, one value each replaced by a threshold, a neighbour of one, or a special value."""
    rng, base = np.random.default_rng(seed), features(seed)
    rows = [base[:20]]
    for feature in range(FEATURES):
        cuts = np.unique(
            ensemble.threshold[(ensemble.feature == feature) & (ensemble.comparison < BranchMode.MEMBER)]
        )
        values = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf), SPECIAL])
        chosen = base[rng.integers(0, ROWS, len(values))]
        chosen[:, feature] = values
        rows.append(chosen)
    return np.concatenate(rows)


def run(ensemble: TreeEnsemble, rows: np.ndarray) -> dict[str, np.ndarray]:
    """The ONNX file's outputs, for rows of their own dtype."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    model = convert_trees(ensemble, str(rows.dtype))
    session = onnxruntime.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows}), strict=True))


def raw_only(ensemble: TreeEnsemble) -> TreeEnsemble:
    return replace(ensemble, task=Task.REGRESSION, transform=Transform(), class_labels=(), divisor=1.0)


def ulps(first: np.ndarray, second: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second) / np.spacing(np.maximum(np.abs(first), np.abs(second)))
    return float(
        np.max(np.where((first == second) | (np.isnan(first) & np.isnan(second)), 0.0, apart), initial=0.0)
    )


def assert_same(booster: lightgbm.Booster, seed: int, dtype: str = "float64") -> TreeEnsemble:
    """Leaves and raw scores identical, outputs within 4 ulp, labels identical; by numpy and by ONNX Runtime."""
    ensemble = read(booster.model_to_string())
    with np.errstate(over="ignore"):
        rows = boundary_rows(ensemble, seed).astype(dtype)
    first_leaf = np.cumsum(
        [0, *map(int, re.findall(r"^num_leaves=(\d+)", booster.model_to_string(), re.MULTILINE))]
    )[:-1]
    np.testing.assert_array_equal(
        leaf_indices(ensemble, rows) - first_leaf, booster.predict(rows, pred_leaf=True)
    )
    raw = np.reshape(booster.predict(rows, raw_score=True), (len(rows), -1))
    np.testing.assert_array_equal(raw_scores(raw_only(ensemble), rows), raw)
    np.testing.assert_array_equal(run(raw_only(ensemble), rows)["prediction"].reshape(raw.shape), raw)
    native, onnx = np.asarray(booster.predict(rows)), run(ensemble, rows)
    if ensemble.task is Task.CLASSIFICATION:
        if native.ndim == 1:
            native = np.column_stack([1.0 - native, native])
        np.testing.assert_array_equal(onnx["label"], native.argmax(axis=1))
        if ensemble.n_targets == 1:
            # 1 - p is as accurate as p, counted in units of 1.
            assert np.nanmax(np.abs(onnx["probabilities"][:, 0] - native[:, 0])) <= 4 * np.spacing(1.0)
            assert ulps(onnx["probabilities"][:, 1], native[:, 1]) <= 4
        else:
            assert ulps(onnx["probabilities"], native) <= 4
    else:
        name = "score" if ensemble.task is Task.RANKING else "prediction"
        assert onnx[name].shape == native.shape
        assert ulps(onnx[name], native) <= 4
    return ensemble


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective(objective: str) -> None:
    assert_same(train(objective), 0)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    objective=st.sampled_from(OBJECTIVES),
    boosting=st.sampled_from(["gbdt", "rf", "dart"]),
    missing=st.sampled_from(["nan", "zero", "none"]),
    linear=st.booleans(),
    category=st.booleans(),
    sigmoid=st.sampled_from([1.0, 0.7, 2.5]),
    leaves=st.integers(2, 40),
    depth=st.sampled_from([-1, 1, 3]),
    seed=st.integers(0, 1000),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_model(
    objective: str, boosting: str, missing: str, linear: bool, category: bool, sigmoid: float, leaves: int,
    depth: int, seed: int, dtype: str,
) -> None:  # fmt: skip
    linear = (
        linear
        and boosting == "gbdt"
        and missing != "zero"
        and objective not in ("regression_l1", "quantile", "mape")
    )
    booster = train(
        objective, seed, category=category, boosting=boosting, linear_tree=linear, sigmoid=sigmoid,
        use_missing=missing != "none", zero_as_missing=missing == "zero", num_leaves=leaves, max_depth=depth,
        max_cat_to_onehot=(1, 4, 50)[seed % 3], reg_sqrt=objective == "regression" and seed % 2 == 0,
    )  # fmt: skip
    assert_same(booster, seed, dtype)


@pytest.mark.parametrize("missing", ["nan", "zero"])
def test_mirrored_nodes_answer_the_same(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "COLUMNS_NS", -1e9)
    booster = train("multiclass", zero_as_missing=missing == "zero")
    ensemble = assert_same(booster, 3)
    splits = ensemble.threshold.copy()
    assert mirror.mirrored(ensemble, splits, np.ones(len(splits), dtype=bool)).any()
    assert_same(booster, 3, "float32")


def test_rf_averages_and_raw_scores_do_not() -> None:
    ensemble = assert_same(train("binary", boosting="rf", iterations=7), 0)
    assert ensemble.divisor == 7


def test_a_chosen_range_of_iterations() -> None:
    booster = train("multiclass", iterations=6)
    ensemble = read(booster.model_to_string(), start_iteration=2, num_iteration=3)
    rows = boundary_rows(ensemble, 1)
    expected = booster.predict(rows, raw_score=True, start_iteration=2, num_iteration=3)
    np.testing.assert_array_equal(raw_scores(ensemble, rows), expected)
    with pytest.raises(ConversionError, match="hold no tree"):
        read(booster.model_to_string(), start_iteration=6)


def test_trees_that_are_single_leaves() -> None:
    ensemble = assert_same(train("regression", min_data_in_leaf=10_000), 0)
    assert ensemble.n_nodes == 0
    assert ensemble.n_trees == ensemble.n_leaves == 1


def test_custom_objective_gives_raw_scores() -> None:
    def squared(prediction: np.ndarray, data: lightgbm.Dataset) -> tuple[np.ndarray, np.ndarray]:
        return prediction - data.get_label(), np.ones_like(prediction)

    booster = lightgbm.train(
        {"objective": squared, "verbose": -1, "num_threads": 1},
        lightgbm.Dataset(features(0), target("huber", 0)[0]),
        3,
    )
    ensemble = assert_same(booster, 0)
    assert ensemble.transform.kind is TransformKind.IDENTITY


@pytest.mark.parametrize("labels", [(3, 7, 11), ("high", "low", "middle")])
def test_class_labels(labels: tuple[Any, ...]) -> None:
    booster = train("multiclass")
    ensemble = read(booster.model_to_string(), class_labels=labels)
    rows = boundary_rows(ensemble, 0)
    expected = np.array(labels, dtype=object)[booster.predict(rows).argmax(axis=1)]
    assert run(ensemble, rows)["label"].tolist() == expected.tolist()


def test_binary_ties_choose_the_first_class() -> None:
    def zeros(line: re.Match[str]) -> str:
        # The header counts each tree's characters, so every number keeps its length.
        return "leaf_value=" + re.sub(r"\S+", lambda number: "0." + "0" * (len(number[0]) - 2), line[1])

    single = re.sub(r"(?m)^leaf_value=(.*)$", zeros, train("binary").model_to_string())
    booster = lightgbm.Booster(model_str=single)
    rows = features(0)
    assert (booster.predict(rows) == 0.5).all()
    assert (run(read(single), rows)["label"] == 0).all()


def test_pandas_categories_are_inputs_by_name() -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({
        "size": rng.normal(size=ROWS),
        "colour": pd.Categorical(rng.choice(["red", "green", "blue"], ROWS)),
        "level": pd.Categorical(rng.choice([10.0, 2.5, 7.0], ROWS)),
    })  # fmt: skip
    y = (frame["colour"] == "red") * 1.0 + frame["size"] * (frame["level"] == 7.0)
    booster = lightgbm.train({"verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame, y), 10)
    ensemble = read(booster.model_to_string())
    assert ensemble.feature_categories == {1: ("blue", "green", "red"), 2: (2.5, 7.0, 10.0)}
    import onnxruntime

    session = onnxruntime.InferenceSession(convert_trees(ensemble).data, providers=["CPUExecutionProvider"])
    given = {
        "size": [0.1, -1.0, 2.0, np.nan],
        "colour": ["red", "blue", "violet", ""],
        "level": [7.0, 2.5, 3.0, np.nan],
    }
    answer = session.run(
        None,
        {
            name: np.array(values, dtype=object if name == "colour" else float)[:, None]
            for name, values in given.items()
        },
    )[0]
    listed = {"colour": ["blue", "green", "red"], "level": [2.5, 7.0, 10.0]}
    unseen = pd.DataFrame({
        name: pd.Categorical([v if v in listed[name] else None for v in values], categories=listed[name])
        if name in listed
        else values
        for name, values in given.items()
    })  # fmt: skip
    np.testing.assert_array_equal(answer, booster.predict(unseen))


def test_pandas_columns_that_cannot_be_told_are_asked_for() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({
        "ordered": pd.Categorical(rng.choice(list("abc"), ROWS), categories=list("abc"), ordered=True),
        "plain": pd.Categorical(rng.choice(list("xyz"), ROWS)),
    })  # fmt: skip
    frame["age"], frame["height"] = rng.integers(20, 60, ROWS), rng.random(ROWS)
    told = {0: ("a", "b", "c"), 1: ("x", "y", "z")}
    assert read(_text_of(frame, rng)).feature_categories == told

    frame["floors"] = rng.integers(0, 3, ROWS)
    text = _text_of(frame, rng)
    with pytest.raises(ConversionError, match="which ones is unclear"):
        read(text)
    assert read(text, categorical_columns=[0, 1]).feature_categories == told


def _text_of(frame: pd.DataFrame, rng: np.random.Generator) -> str:
    data = lightgbm.Dataset(frame, rng.random(ROWS))
    return str(lightgbm.train({"verbose": -1, "num_threads": 1}, data, 2).model_to_string())


def test_classifier_without_probabilities_is_refused() -> None:
    with pytest.raises(ConversionError, match="gives no probabilities"):
        read(train("poisson").model_to_string(), class_labels=(0, 1))


def test_a_classifier_that_knows_one_class_is_told_as_such() -> None:
    with pytest.raises(ConversionError, match="knows a single class, '0'") as caught:
        read(train("binary").model_to_string(), class_labels=(0,))
    assert caught.value.hint == "train it on rows of every class"


def test_category_sets_are_met() -> None:
    ensemble = assert_same(train("regression", max_cat_to_onehot=1), 0)
    sizes = np.diff(ensemble.set_indptr)
    assert sizes.max() > 3
    assert (np.bincount(ensemble.category_set[ensemble.category_set >= 0]) == 1).all()


TEXT = train("multiclass", category=True, iterations=2).model_to_string()


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"^tree\n", "wood\n"),
        (r"version=v4", "version=v9"),
        (r"end of trees", "end of tree"),
        (r"Tree=1", "Tree=2"),
        (r"num_tree_per_iteration=3", "num_tree_per_iteration=4"),
        (r"num_leaves=\d+", "num_leaves=999999999999"),
        (r"num_leaves=\d+", "num_leaves=-1"),
        (r"threshold=\S+", "threshold=nan"),
        (r"threshold=\S+ ", "threshold="),
        (r"left_child=\S+", "left_child=99"),
        (r"left_child=\S+", "left_child=0"),
        (r"right_child=\S+", "right_child=-99"),
        (r"split_feature=\S+", "split_feature=77"),
        (r"split_feature=\S+", "split_feature=x"),
        (r"split_feature=\S+", "split_feature=99999999999999999999"),
        (r"decision_type=\S+", "decision_type=64"),
        (r"decision_type=\S+", "decision_type=14"),
        (r"leaf_value=\S+", "leaf_value=inf"),
        (r"leaf_value=\S+", "leaf_value=1,5"),
        (r"cat_boundaries=0", "cat_boundaries=1"),
        (r"cat_threshold=\S+", "cat_threshold=-1"),
        (r"num_cat=\d+", "num_cat=1000000"),
        (r"num_cat=\d+", "num_cat=-5"),
        (r"objective=multiclass ", "objective=astrology "),
        (r"shrinkage=1", "wisdom=1"),
        (r"shrinkage=1", "shrinkage=1\nshrinkage=1"),
        (r"max_feature_idx=4", "max_feature_idx=-7"),
        (r"max_feature_idx=4", "max_feature_idx=5"),
        (r"is_linear=0", "is_linear=1"),
        (r"pandas_categorical:null", "pandas_categorical:[1"),
        (r"pandas_categorical:null", "pandas_categorical:" + "[" * 100_000),
    ],
)
def test_damaged_text_is_refused_with_a_hint(pattern: str, replacement: str) -> None:
    damaged = re.sub(pattern, replacement, TEXT, count=1, flags=re.MULTILINE)
    assert damaged != TEXT
    with pytest.raises(ConversionError) as caught:
        read(damaged)
    assert caught.value.hint


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_mutated_text_never_fails_otherwise(data: st.DataObject) -> None:
    text = TEXT.encode()
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        text = text[:start] + data.draw(st.binary(max_size=8)) + text[start + length :]
    with contextlib.suppress(ConversionError):
        validate(read(text))


def test_reading_takes_steps_in_proportion_to_the_trees() -> None:
    head, rest = TEXT.split("\nTree=0\n", 1)
    tree, tail = rest.split("\n\n\nTree=1\n", 1)[0], rest[rest.index("\n\n\nend of trees") :]

    def steps(trees: int) -> int:
        many = head + "".join(f"\nTree={i}\n{tree}\n\n" for i in range(trees)) + tail
        with counted() as taken:
            ensemble = read(many)
        assert ensemble.n_nodes >= 10 * trees
        return taken.all

    # Ten times as many would take a hundred times as many steps if each tree were looked for from the start.
    assert steps(300) < 12 * steps(30)
