"""XGBoost itself is the oracle: margins bit for bit on boundary rows, outputs within float32's rounding of exp."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.errors import ConversionError
from validator.libraries.export import export
from validator.libraries.read import read
from validator.libraries.xgboost.trees import read_xgboost
from validator.trees.ensemble import CategoryRule, LabelRule, Task, TransformKind
from validator.trees.validity import validate
from validator.trees.walk import raw_scores

xgboost = pytest.importorskip("xgboost", reason="XGBoost is an optional extra")

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 5)).astype(np.float32)
X[RNG.random(X.shape) < 0.1] = np.nan
SCORE = np.nan_to_num(X[:, 0]) + RNG.normal(size=300)
BINARY = (SCORE > 0.3).astype(int)
CLASSES = np.digitize(SCORE, [-0.7, 0.7])
POSITIVE = np.exp(SCORE / 2)
SMALL = {"n_estimators": 12, "max_depth": 4, "n_jobs": 1}


def train(options: dict[str, Any], label: np.ndarray, rounds: int = 12) -> Any:
    matrix = xgboost.DMatrix(X, label=label)
    if options["objective"].startswith("rank:"):
        matrix.set_group([75] * 4)
    return xgboost.train({"max_depth": 4, "nthread": 1, **options}, matrix, rounds)


def hold(model: Any, base: np.ndarray, answer: Any) -> Any:
    """Margins the same to the bit; outputs and labels as the model's own methods give them."""
    found = answer(model, base, round_to="float32")
    rows = xgboost.DMatrix(found.rows) if isinstance(model, xgboost.Booster) else found.rows
    margin = np.asarray(model.predict(rows, output_margin=True)).reshape(len(found.rows), -1)
    assert (margin == found.raw).all()
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(rows)
        assert (model.predict(rows) == found.onnx["label"]).all()
    else:
        expected = np.asarray(model.predict(rows)).reshape(len(found.rows), -1)
        if found.ensemble.task is Task.CLASSIFICATION and found.ensemble.n_targets == 1:
            expected = np.hstack([1 - expected, expected])
    if found.ensemble.transform.kind is TransformKind.STEP:
        assert (found.numbers == expected).all()
    np.testing.assert_allclose(found.numbers, expected, rtol=2e-6, atol=3e-7)
    return found


@pytest.mark.parametrize(
    ("options", "label"),
    [
        ({"objective": "binary:logistic"}, BINARY),
        ({"objective": "binary:logistic", "base_score": 0.3}, BINARY),
        ({"objective": "binary:logitraw"}, BINARY),
        ({"objective": "binary:hinge"}, BINARY),
        ({"objective": "multi:softprob", "num_class": 3}, CLASSES),
        ({"objective": "multi:softprob", "num_class": 3, "base_score": 0.7}, CLASSES),
        ({"objective": "reg:squarederror"}, SCORE),
        ({"objective": "reg:squaredlogerror"}, POSITIVE),
        ({"objective": "reg:pseudohubererror"}, SCORE),
        ({"objective": "reg:absoluteerror"}, SCORE),
        ({"objective": "reg:quantileerror", "quantile_alpha": [0.2, 0.8]}, SCORE),
        ({"objective": "reg:logistic"}, BINARY),
        ({"objective": "reg:gamma"}, POSITIVE),
        ({"objective": "reg:tweedie"}, POSITIVE),
        ({"objective": "count:poisson", "base_score": 0.7}, POSITIVE),
        ({"objective": "survival:cox"}, POSITIVE),
        ({"objective": "rank:pairwise"}, BINARY),
        ({"objective": "rank:ndcg", "base_score": 0.7}, BINARY),
        ({"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.5}, BINARY),
        ({"objective": "multi:softprob", "num_class": 3, "booster": "dart", "rate_drop": 0.5}, CLASSES),
        ({"objective": "reg:logistic", "num_parallel_tree": 3}, BINARY),
        ({"objective": "reg:squarederror", "tree_method": "exact", "gamma": 1.0}, SCORE),
    ],
    ids=lambda value: value["objective"] if isinstance(value, dict) else "",
)
def test_boosters(options: dict[str, Any], label: np.ndarray, answer: Any) -> None:
    hold(train(options, label), X, answer)


def test_accelerated_failure_time(answer: Any) -> None:
    matrix = xgboost.DMatrix(X)
    matrix.set_float_info("label_lower_bound", POSITIVE)
    matrix.set_float_info("label_upper_bound", POSITIVE * 2)
    model = xgboost.train({"objective": "survival:aft", "nthread": 1, "max_depth": 3}, matrix, 8)
    found = hold(model, X, answer)
    assert found.ensemble.transform.kind is TransformKind.EXP


@pytest.mark.parametrize(
    ("model", "label"),
    [
        (xgboost.XGBClassifier(**SMALL), BINARY),
        (xgboost.XGBClassifier(**SMALL), CLASSES),
        (xgboost.XGBClassifier(objective="multi:softmax", **SMALL), CLASSES),
        (xgboost.XGBClassifier(objective="binary:hinge", **SMALL), BINARY),
        (xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **SMALL), BINARY),
        (xgboost.XGBClassifier(booster="dart", rate_drop=0.5, **SMALL), CLASSES),
        (xgboost.XGBRegressor(booster="dart", rate_drop=0.5, **SMALL), SCORE),
        (xgboost.XGBRegressor(objective="binary:logistic", **SMALL), BINARY),
        (xgboost.XGBRegressor(**SMALL), np.column_stack([SCORE, POSITIVE, BINARY])),
        (
            xgboost.XGBRegressor(multi_strategy="multi_output_tree", tree_method="hist", **SMALL),
            np.column_stack([SCORE, POSITIVE]),
        ),
        (xgboost.XGBRFClassifier(**SMALL), CLASSES),
        (xgboost.XGBRFRegressor(**SMALL), SCORE),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "get_params") else "",
)
def test_wrappers(model: Any, label: np.ndarray, answer: Any) -> None:
    hold(model.fit(X, label), X, answer)


@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_wrappers_stop_at_the_best_iteration(booster: str, answer: Any) -> None:
    model = xgboost.XGBClassifier(
        early_stopping_rounds=4, n_estimators=60, learning_rate=1.0, booster=booster, n_jobs=1
    )
    model.fit(X[:150], CLASSES[:150], eval_set=[(X[150:], CLASSES[150:])], verbose=False)
    found = hold(model, X, answer)
    assert (
        found.ensemble.n_trees
        == 3 * (model.best_iteration + 1)
        < model.get_booster().num_boosted_rounds() * 3
    )


def test_bare_booster_uses_all_iterations() -> None:
    model = xgboost.XGBClassifier(early_stopping_rounds=2, n_estimators=60, learning_rate=1.0, n_jobs=1)
    model.fit(X[:150], BINARY[:150], eval_set=[(X[150:], BINARY[150:])], verbose=False)
    booster = model.get_booster()
    assert read_xgboost(bytes(booster.save_raw("ubj"))).n_trees == booster.num_boosted_rounds()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    depth=st.integers(1, 6),
    one_hot=st.sampled_from([1, 4, 100]),
    n_categories=st.integers(2, 50),
    seed=st.integers(0, 2**16),
)
def test_categories(depth: int, one_hot: int, n_categories: int, seed: int, answer: Any) -> None:
    """Unseen, negative and fractional codes among the rows."""
    rng = np.random.default_rng(seed)
    rows = X.copy()
    rows[:, 2] = rng.integers(0, n_categories, 300)
    rows[:, 4] = rng.integers(0, 3, 300)
    label = SCORE + rows[:, 2] % 3 * 2 + np.where(rows[:, 4] == 1, 2, 0)
    model = xgboost.XGBRegressor(
        n_estimators=6,
        max_depth=depth,
        n_jobs=1,
        enable_categorical=True,
        max_cat_to_onehot=one_hot,
        feature_types=["q", "q", "c", "q", "c"],
    )
    found = hold(model.fit(rows, label), rows, answer)
    assert found.ensemble.category_rule is CategoryRule.TRUNCATE_NON_NEGATIVE


def test_data_frame_categories_are_listed_with_their_codes() -> None:
    import pandas as pd

    kinds = RNG.choice(["red", "green", "blue"], 300)
    frame = pd.DataFrame({"a": X[:, 0], "kind": pd.Categorical(kinds), "size": pd.Categorical(CLASSES * 5)})
    model = xgboost.XGBRegressor(n_estimators=4, enable_categorical=True, n_jobs=1)
    header, arrays = export(model.fit(frame, SCORE + (kinds == "red")))
    ensemble = read(header, arrays)
    assert ensemble is not None
    assert ensemble.feature_names == ("a", "kind", "size")
    assert ensemble.feature_categories == {1: ("blue", "green", "red"), 2: (0.0, 5.0, 10.0)}
    rows = np.column_stack([X[:, 0], frame["kind"].cat.codes, frame["size"].cat.codes])
    assert (raw_scores(ensemble, rows)[:, 0] == model.predict(frame)).all()


@pytest.mark.parametrize("form", ["json", "ubj"])
def test_json_and_ubjson_give_the_same(form: str) -> None:
    booster = train({"objective": "multi:softprob", "num_class": 3}, CLASSES)
    ensemble = read_xgboost(bytes(booster.save_raw(raw_format=form)))
    rows = X.astype(np.float64)
    assert (raw_scores(ensemble, rows) == booster.predict(xgboost.DMatrix(X), output_margin=True)).all()
    assert ensemble.task is Task.CLASSIFICATION
    assert ensemble.label_rule is LabelRule.ARGMAX_PROBABILITY


@pytest.mark.parametrize(
    ("model", "label", "reason"),
    [
        (xgboost.XGBRegressor(booster="gblinear", n_estimators=2, n_jobs=1), SCORE, "not made of trees"),
        (xgboost.XGBClassifier(objective="binary:logitraw", **SMALL), BINARY, "margins"),
        (xgboost.XGBClassifier(**SMALL), np.column_stack([BINARY, CLASSES > 1]).astype(int), "single label"),
        (xgboost.XGBRegressor(missing=float("inf"), **SMALL), SCORE, "missing"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(model: Any, label: np.ndarray, reason: str) -> None:
    header, arrays = export(model.fit(np.nan_to_num(X), label))
    with pytest.raises(ConversionError, match=reason) as caught:
        read(header, arrays)
    assert caught.value.hint


def test_missing_value_that_changes_no_way_is_accepted() -> None:
    """Every node sends -1e30 left; where its default is left too, reading it as missing is the same."""
    rows = np.nan_to_num(X)
    model = xgboost.XGBRegressor(missing=-1e30, n_estimators=3, max_depth=3, n_jobs=1).fit(rows, SCORE)
    booster = json.loads(model.get_booster().save_raw("json"))
    trees = booster["learner"]["gradient_booster"]["model"]["trees"]
    for tree in trees:
        tree["default_left"] = [1] * len(tree["default_left"])
    data = json.dumps(booster).encode()
    assert read_xgboost(data, {"missing": -1e30, "task": "regression"}).missing_value is None
    trees[0]["default_left"][0] = 0
    changed = read_xgboost(json.dumps(booster).encode(), {"missing": -1e30, "task": "regression"})
    assert changed.missing_value == np.float32(-1e30)


@pytest.mark.parametrize("missing", [-999.0, 0, 0.1, -1.5])
@pytest.mark.parametrize("booster", ["gbtree", "dart"])
def test_numbers_that_stand_for_missing_values(missing: float, booster: str, answer: Any) -> None:
    """NaN is missing all the same, and so is every float64 that becomes the number as float32."""
    random = np.random.default_rng(5)
    rows = np.where(random.random(X.shape) < 0.2, missing, np.nan_to_num(X).round(1))
    model = xgboost.XGBRegressor(missing=missing, booster=booster, **SMALL).fit(rows, SCORE)
    found = hold(model, rows.astype(np.float32), answer)
    assert found.ensemble.missing_value == np.float32(missing)
    near = np.repeat(found.rows[:40].astype(np.float64), 5, axis=0)
    numbers = [float(missing), np.nextafter(missing, 9), float(np.float32(missing)), np.nan,
               np.nextafter(np.float32(missing), np.float32(9))]  # fmt: skip
    near[np.arange(len(near)), np.arange(len(near)) % 7 % 5] = np.tile(numbers, 40)
    margin = model.predict(near, output_margin=True)
    assert (margin == raw_scores(found.ensemble, near)[:, 0]).all()
    if booster == "dart":
        return  # wrappers weigh dart's trees otherwise than the matrix does
    matrix = xgboost.DMatrix(near, missing=float(missing))
    assert (model.get_booster().predict(matrix, output_margin=True) == margin).all()


def test_a_number_for_missing_values_among_category_codes(answer: Any) -> None:
    random = np.random.default_rng(6)
    code = random.integers(0, 5, 300)
    rows = np.column_stack([np.where(code == 4, -1, code), random.normal(size=300)])
    kinds = ["c", "float"]
    target = np.array([3.0, -2, 1, 7, -5])[code] + rows[:, 1]
    model = xgboost.XGBRegressor(
        feature_types=kinds, enable_categorical=True, missing=2, max_cat_to_onehot=1, **SMALL
    ).fit(np.abs(rows), target)
    ensemble = read(*export(model))
    assert ensemble is not None
    assert ensemble.missing_value == 2
    given = np.array([[value, 0.1] for value in (0, 1, 2, 3, 4, np.nan)])
    assert (raw_scores(ensemble, given)[:, 0] == model.predict(given, output_margin=True)).all()


def test_categories_of_releases_before_3_1() -> None:
    """They write NaN for the condition of a node with a category set, and no names."""
    code = CLASSES.astype(float)
    rows = np.column_stack([code, X[:, 1]])
    model = xgboost.XGBRegressor(feature_types=["c", "float"], enable_categorical=True, **SMALL).fit(
        rows, SCORE + code
    )
    file = json.loads(model.get_booster().save_raw("json"))
    for tree in file["learner"]["gradient_booster"]["model"]["trees"]:
        pairs = zip(tree["split_conditions"], tree["split_type"], strict=True)
        tree["split_conditions"] = [float("nan") if kind else number for number, kind in pairs]
    old = json.dumps(file).encode()
    ensemble = read_xgboost(old, {"task": "regression"})
    assert (raw_scores(ensemble, rows)[:, 0] == model.predict(rows, output_margin=True)).all()
    with pytest.raises(ConversionError, match="keeps no names") as caught:
        read_xgboost(old, {"task": "regression", "category_columns": [0]})
    assert "3.1" in caught.value.hint


def test_a_number_that_is_a_named_category_too_is_refused() -> None:
    import pandas as pd

    frame = pd.DataFrame({"a": pd.Categorical.from_codes(CLASSES, ["x", "y", "z"]), "b": X[:, 1]})
    model = xgboost.XGBRegressor(enable_categorical=True, missing=1.0, **SMALL).fit(frame, SCORE)
    header, arrays = export(model)
    with pytest.raises(ConversionError, match="category of that number"):
        read(header, arrays)


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    return json.loads(train({"objective": "reg:squarederror"}, SCORE, 2).save_raw("json"))


def break_at(parts: dict[str, Any], path: str, value: Any) -> bytes:
    broken: Any = json.loads(json.dumps(parts))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = broken
    for step in way:
        place = place[step]
    place[last] = value
    return json.dumps(broken).encode()


TREE = "learner.gradient_booster.model.trees.0"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("learner", 3),
        ("learner.objective.name", "reg:oracle"),
        ("learner.learner_model_param.base_score", "[1,2,3]"),
        ("learner.learner_model_param.base_score", "x"),
        ("learner.learner_model_param.num_class", "-1e9"),
        ("learner.learner_model_param.num_target", "99999999"),
        ("learner.learner_model_param.num_feature", "2"),
        ("learner.gradient_booster.model.trees", []),
        ("learner.gradient_booster.model.trees", {}),
        ("learner.gradient_booster.model.tree_info", [0]),
        ("learner.gradient_booster.model.tree_info.0", 7),
        ("learner.gradient_booster.model.iteration_indptr", [0, 9]),
        (f"{TREE}.left_children.0", 0),
        (f"{TREE}.left_children.0", 10**6),
        (f"{TREE}.left_children.0", -5),
        (f"{TREE}.right_children.0", 1),
        (f"{TREE}.left_children", []),
        (f"{TREE}.split_indices.0", -1),
        (f"{TREE}.split_conditions", [1.0]),
        (f"{TREE}.default_left", None),
        (f"{TREE}.split_type", [1] * 99),
        (f"{TREE}.tree_param.size_leaf_vector", "4"),
    ],
)
def test_damaged_json_is_refused(parts: dict[str, Any], path: str, value: Any) -> None:
    with pytest.raises(ConversionError):
        validate(read_xgboost(break_at(parts, path, value)))


def test_every_truncation_and_many_mutations_end_in_an_answer_or_a_refusal() -> None:
    data = bytes(train({"objective": "binary:logistic"}, BINARY, 2).save_raw("ubj"))
    rng = np.random.default_rng(0)
    for end in rng.integers(0, len(data), 150):
        with pytest.raises(ConversionError):
            read_xgboost(data[:end])
    refused = 0
    for _ in range(400):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            broken[place] = rng.integers(256)
        try:
            validate(read_xgboost(bytes(broken)))
        except ConversionError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"binf\x00\x01",
        bytes(136) + b"\x0f" + bytes(7) + b"binary:logistic",
        b"[1]",
        b"{" * 10_000,
        b'{"a":' * 100_000,
        b"{L" + b"\xff" * 8,
        b"{i\x01a[$Z#L\x00\x00\x00\x00\x00\x00\x00\x05}",
        b"{i\x01a[$d#L\x00\x00\x00\x7f\xff\xff\xff\xff}",
        b"{i\x01a" + b"[" * 1000,
        b"{i\x01aZi\x01aZ}",
        b"{i\x01aZ}trailing",
        b"{NNNN",
        b"{#i\x05",
    ],
    ids=range(14),
)
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ConversionError):
        read_xgboost(data)
