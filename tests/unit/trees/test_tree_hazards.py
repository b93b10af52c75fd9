"""Hazards of stock converters: told of trees before they are written, and of files before they are loaded."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from validator.libraries import hazards as tree_hazards
from validator.libraries.convert import convert_trees
from validator.libraries.export import export
from validator.libraries.read import read
from validator.model.safety import scan
from validator.pipelines.foreseen import foreseen

CANCER, WINE = load_breast_cancer(), load_wine()


def trained(**params: Any) -> lightgbm.Booster:
    several = str(params.get("objective", "")).startswith("multi")
    data = WINE if several else CANCER
    options = {"objective": "binary", "verbosity": -1, "num_leaves": 4, **params}
    options |= {"num_class": 3} if several else {}
    return lightgbm.train(options, lightgbm.Dataset(data.data, data.target), 3)


def ids(model: Any) -> set[str]:
    trees = read(*export(model))
    assert trees is not None
    found = tree_hazards.examine(trees)
    assert {hazard.action for hazard in found} <= {"repaired"}
    assert convert_trees(trees).hazards == found
    return {hazard.id for hazard in found}


RF = {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}
MODELS = [
    (RF, "averaged-trees"),
    ({"objective": "regression", "linear_tree": True}, "linear-leaves"),
    ({"sigmoid": 2.0}, "sigmoid-factor"),
    ({"objective": "multiclassova"}, "one-against-all"),
    ({"objective": "regression", "reg_sqrt": True}, "squared-answers"),
]


@pytest.mark.parametrize(("params", "hazard"), MODELS, ids=[hazard for _, hazard in MODELS])
def test_a_setting_is_named_in_the_trees_and_in_the_text(params: dict[str, Any], hazard: str) -> None:
    booster = trained(**params)
    assert hazard in ids(booster)
    assert hazard not in ids(trained())
    report = scan(booster.model_to_string().encode(), "lightgbm-text")
    assert hazard in {one.id for one in foreseen((), dict(report.facts))}


def test_zeros_and_categories_are_named() -> None:
    assert "zero-is-missing" in ids(trained(zero_as_missing=True))
    X = np.column_stack([np.arange(569) % 7, CANCER.data[:, 0]])
    y = np.isin(X[:, 0], [1, 4, 6]).astype(int)
    dataset = lightgbm.Dataset(X, y, categorical_feature=[0])
    params = {"objective": "binary", "verbosity": -1, "min_data_per_group": 1, "cat_smooth": 1}
    assert "category-splits" in ids(lightgbm.train(params, dataset, 2))


def test_rounded_thresholds_are_those_that_float32_does_not_hold() -> None:
    whole = trained()
    assert "rounded-thresholds" in ids(whole)
    halves = lightgbm.Dataset((CANCER.data[:, :3] > 15) * 1.0, CANCER.target, params={"max_bin": 3})
    held = read(*export(lightgbm.train({"objective": "binary", "verbosity": -1}, halves, 2)))
    assert held is not None
    exact = held.threshold.astype(np.float32) == held.threshold
    assert ("rounded-thresholds" in {hazard.id for hazard in tree_hazards.examine(held)}) is not exact.all()


def test_trees_that_take_missing_values_are_named() -> None:
    X, y = CANCER.data, CANCER.target
    assert "missing-values" in ids(RandomForestClassifier(3, random_state=0).fit(X, y))
    assert "missing-values" not in ids(GradientBoostingClassifier(n_estimators=2, random_state=0).fit(X, y))


def test_a_pickle_shows_its_hazards_by_the_classes_that_it_names() -> None:
    found = foreseen(
        ["sklearn.preprocessing._data.StandardScaler", "sklearn.neighbors._regression.KNeighborsRegressor"],
        {},
    )
    assert {one.id for one in found} == {"knn-distance-weights", "neighbour-ties"}
    assert all(one.subject == "KNeighborsRegressor" and one.message for one in found)
    assert foreseen(["sklearn.linear_model._base.LinearRegression"], {}) == ()
