"""CatBoost itself is the oracle: raw scores bit for bit on boundary rows, outputs within the rounding of exp."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.errors import ConversionError
from validator.libraries.catboost.trees import read_catboost
from validator.libraries.export import export
from validator.libraries.read import read
from validator.trees.ensemble import Task
from validator.trees.validity import validate

catboost = pytest.importorskip("catboost", reason="CatBoost is an optional extra")

RNG = np.random.default_rng(5)
X = RNG.normal(size=(300, 4)).astype(np.float32)
X_MISSING = np.where(RNG.random(X.shape) < 0.1, np.float32(np.nan), X)
SCORE = X[:, 0] + RNG.normal(size=300)
CLASSES = np.digitize(SCORE, [-0.7, 0.7])
POSITIVE = np.exp(SCORE / 2)
SMALL = {"iterations": 12, "depth": 4, "verbose": 0, "allow_writing_files": False, "thread_count": 1}


def hold(model: Any, base: np.ndarray, answer: Any, *, sums: float = 0.0) -> Any:
    """Raw scores within `sums` (0: every bit), labels the same, outputs within a few ulps."""
    found = answer(model, base, round_to="float32")
    rows = found.rows.astype(np.float32)
    raw = np.asarray(catboost.CatBoost.predict(model, rows, prediction_type="RawFormulaVal"))
    assert np.abs(raw.reshape(len(rows), -1) - found.raw).max() <= sums
    if hasattr(model, "predict_proba"):
        expected = model.predict_proba(rows)
        label = found.onnx["label"]
        assert (model.predict(rows).reshape(-1).astype(label.dtype) == label).all()
    else:
        expected = np.asarray(model.predict(rows)).reshape(len(rows), -1)
    np.testing.assert_allclose(found.numbers, expected, rtol=4e-15, atol=1e-15)
    return found


@pytest.mark.parametrize("policy", ["SymmetricTree", "Lossguide", "Depthwise"])
@pytest.mark.parametrize("missing", ["Min", "Max"])
@pytest.mark.parametrize("rows", [X, X_MISSING], ids=["whole", "missing"])
def test_trees_of_every_policy(policy: str, missing: str, rows: np.ndarray, answer: Any) -> None:
    model = catboost.CatBoostRegressor(grow_policy=policy, nan_mode=missing, **SMALL)
    hold(model.fit(rows, SCORE), rows, answer)


@pytest.mark.parametrize(
    ("loss", "label"),
    [
        ("Quantile:alpha=0.7", SCORE),
        ("MAE", SCORE),
        ("Huber:delta=1", SCORE),
        ("Poisson", POSITIVE),
        ("Tweedie:variance_power=1.5", POSITIVE),
        ("MultiRMSE", np.column_stack([SCORE, POSITIVE])),
        ("Cox", POSITIVE),
    ],
)
def test_regression_losses(loss: str, label: np.ndarray, answer: Any) -> None:
    model = catboost.CatBoostRegressor(loss_function=loss, **SMALL).fit(X, label)
    assert hold(model, X, answer).ensemble.task is Task.REGRESSION


@pytest.mark.parametrize("policy", ["SymmetricTree", "Lossguide"])
@pytest.mark.parametrize(
    ("loss", "label"),
    [
        ("Logloss", SCORE > 0),
        ("Logloss", np.where(SCORE > 0, "yes", "no")),
        ("CrossEntropy", (SCORE > 0).astype(int)),
        ("MultiClass", CLASSES * 10),
        ("MultiClass", SCORE > 0),
        ("MultiClassOneVsAll", CLASSES),
    ],
    ids=lambda value: value if isinstance(value, str) else value.dtype.kind,
)
def test_classification_losses(loss: str, label: np.ndarray, policy: str, answer: Any) -> None:
    model = catboost.CatBoostClassifier(loss_function=loss, grow_policy=policy, **SMALL).fit(X_MISSING, label)
    hold(model, X_MISSING, answer)


def test_ranker(answer: Any) -> None:
    model = catboost.CatBoostRanker(**SMALL).fit(X, CLASSES, group_id=np.repeat(np.arange(4), 75))
    found = answer(model, X, round_to="float32")
    assert found.ensemble.task is Task.RANKING
    assert (model.predict(found.rows.astype(np.float32)) == found.numbers[:, 0]).all()


def test_scale_and_bias_come_last(answer: Any) -> None:
    model = catboost.CatBoostRegressor(**SMALL).fit(X, SCORE)
    model.set_scale_and_bias(0.3, 2.0)
    hold(model, X, answer, sums=2e-15)


def test_file_loaded_without_its_wrapper_keeps_its_classes(tmp_path: Any, answer: Any) -> None:
    model = catboost.CatBoostClassifier(**SMALL).fit(X, np.where(SCORE > 0, "yes", "no"))
    model.save_model(str(tmp_path / "model.cbm"))
    plain = catboost.CatBoost().load_model(str(tmp_path / "model.cbm"))
    found = answer(plain, X, round_to="float32")
    assert found.ensemble.class_labels == ("no", "yes")
    rows = found.rows.astype(np.float32)
    assert (model.predict(rows) == found.onnx["label"]).all()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    depth=st.integers(1, 8),
    borders=st.sampled_from([1, 5, 254]),
    policy=st.sampled_from(["SymmetricTree", "Depthwise"]),
    scale=st.sampled_from([1e-30, 1.0, 1e20]),
    seed=st.integers(0, 2**16),
)
def test_trees_of_any_shape(
    depth: int, borders: int, policy: str, scale: float, seed: int, answer: Any
) -> None:
    rows = (X_MISSING * scale).astype(np.float32)
    options = {**SMALL, "depth": depth, "iterations": 5, "border_count": borders, "random_seed": seed}
    hold(catboost.CatBoostRegressor(grow_policy=policy, **options).fit(rows, SCORE), rows, answer)


def test_labels_at_equal_scores_follow_the_native_rule(tmp_path: Any) -> None:
    """Binary: class 1 only above zero. Several classes: the first of the largest."""
    from validator.trees.ensemble import LabelRule

    path = str(tmp_path / "model.json")
    for label, leaves, expected, rule in (
        (CLASSES > 1, [0.0, 1e-18], [False, True], LabelRule.RAW_POSITIVE),
        (CLASSES, [0.0, 0.0, 0.0, 1e-18, 2e-18, 2e-18], [0, 1], LabelRule.ARGMAX_RAW),
    ):
        loss = "MultiClass" if len(leaves) > 2 else "Logloss"
        options = {**SMALL, "iterations": 1, "depth": 1, "loss_function": loss}
        catboost.CatBoostClassifier(**options).fit(X, label).save_model(path, format="json")
        tree = json.loads(Path(path).read_text())
        tree["oblivious_trees"][0]["leaf_values"] = leaves
        split = tree["oblivious_trees"][0]["splits"][0]
        Path(path).write_text(json.dumps(tree))
        model = catboost.CatBoostClassifier().load_model(path, format="json")
        rows = np.zeros((2, 4))
        rows[:, split["float_feature_index"]] = split["border"] + np.array([-1.0, 1.0])
        assert model.predict(rows).reshape(-1).tolist() == expected
        ensemble = read(*export(model))
        assert ensemble is not None
        assert ensemble.label_rule is rule


def mixed_rows() -> np.ndarray:
    rows = X.astype(object)
    rows[:, 1] = [str(value) for value in CLASSES]
    return rows


@pytest.mark.parametrize(
    ("model", "rows", "label", "reason"),
    [
        (catboost.CatBoostRegressor(cat_features=[1], **SMALL), mixed_rows(), SCORE, "categorical features"),
        (
            catboost.CatBoostRegressor(loss_function="RMSEWithUncertainty", **SMALL),
            X,
            SCORE,
            "several scores",
        ),
        (
            catboost.CatBoostClassifier(loss_function="MultiLogloss", **SMALL),
            X,
            np.column_stack([SCORE > 0, CLASSES > 1]).astype(int),
            "no single label",
        ),
    ],
    ids=["categories", "uncertainty", "multilabel"],
)
def test_what_cannot_be_expressed_is_refused_by_name(
    model: Any, rows: np.ndarray, label: np.ndarray, reason: str
) -> None:
    header, arrays = export(model.fit(rows, label))
    with pytest.raises(ConversionError, match=reason) as caught:
        read(header, arrays)
    assert caught.value.hint


def test_features_that_catboost_computes_itself_are_refused_by_name() -> None:
    words = [[f"{'good' if i % 2 else 'bad'} word{i % 7}"] for i in range(100)]
    model = catboost.CatBoostClassifier(text_features=[0], **SMALL).fit(words, np.arange(100) % 2)
    header, _ = export(model)
    assert header["kind"] == "other"
    assert "has text features" in header["reason"]
    assert header["hint"] == "turn the text into numbers before training, in a step of its own"


def test_another_probability_threshold_is_refused() -> None:
    model = catboost.CatBoostClassifier(**SMALL).fit(X, SCORE > 0)
    model.set_probability_threshold(0.3)
    with pytest.raises(ConversionError, match="threshold"):
        read(*export(model))


@pytest.fixture(scope="module")
def exported() -> tuple[dict[str, Any], dict[str, Any]]:
    header, arrays = export(catboost.CatBoostRegressor(**SMALL).fit(X, SCORE))
    return header, json.loads(arrays["model"].tobytes())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("features_info", None),
        ("features_info.float_features.0.nan_value_treatment", "AsHappens"),
        ("features_info.float_features.0.feature_index", 99),
        ("features_info.float_features.0.flat_feature_index", 99),
        ("scale_and_bias", [1]),
        ("scale_and_bias", [1, [0, 0]]),
        ("scale_and_bias", [1e400, [0]]),
        ("oblivious_trees", []),
        ("oblivious_trees.0.leaf_values", [1.0]),
        ("oblivious_trees.0.leaf_values.0", None),
        ("oblivious_trees.0.splits.0.float_feature_index", -1),
        ("oblivious_trees.0.splits.0.split_type", "OnlineCtr"),
        ("oblivious_trees.0.splits.0.border", "NaN"),
        ("oblivious_trees.0.splits", [{}] * 40),
    ],
)
def test_damaged_json_is_refused(
    exported: tuple[dict[str, Any], dict[str, Any]], path: str, value: Any
) -> None:
    header, parts = exported
    broken: Any = json.loads(json.dumps(parts))
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = broken
    for step in way:
        place = place[step]
    place[last] = value
    with pytest.raises(ConversionError):
        validate(read_catboost(json.dumps(broken).encode(), header))


@pytest.mark.parametrize("data", [b"", b"CBM1", b"[" * 100_000, b"{}", b"3"], ids=range(5))
def test_bytes_that_are_no_model_are_refused(data: bytes) -> None:
    with pytest.raises(ConversionError):
        read_catboost(data, {"task": "regression", "n_features": 4})
