"""LightGBM's JSON dump as model text: the booster that loads it answers bit for bit as the one that was dumped."""

from __future__ import annotations

import json
from typing import Any

import lightgbm
import numpy as np
import pytest

from tests.zoo.data import affairs, cancer_with_gaps, diabetes, digits, firms_as_categories, wine
from validator.errors import ModelError
from validator.libraries.lightgbm.dump import text_of_dump

MODELS: dict[str, tuple[Any, dict[str, Any]]] = {
    "binary": (cancer_with_gaps, {"objective": "binary", "sigmoid": 2.0}),
    "multiclass": (wine, {"objective": "multiclass", "num_class": 3}),
    "sqrt": (diabetes, {"objective": "regression", "reg_sqrt": True}),
    "rf": (cancer_with_gaps, {"objective": "binary", "boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}),
    "linear": (diabetes, {"objective": "regression", "linear_tree": True}),
    "zeros": (digits, {"objective": "multiclass", "num_class": 10, "zero_as_missing": True}),
    "no-missing": (cancer_with_gaps, {"objective": "binary", "use_missing": False}),
    "codes": (affairs, {"objective": "binary", "categorical_feature": [6, 7], "min_data_per_group": 5}),
    "names": (firms_as_categories, {"objective": "regression", "min_data_in_leaf": 5, "min_data_per_group": 5}),
    "leaf": (diabetes, {"objective": "regression", "min_data_in_leaf": 400}),
}  # fmt: skip


@pytest.fixture(params=MODELS, ids=list(MODELS))
def booster(request: pytest.FixtureRequest) -> tuple[lightgbm.Booster, Any]:
    data, params = MODELS[request.param]
    dataset = lightgbm.Dataset(data().X, data().y, params={"verbosity": -1})
    return lightgbm.train(
        {"verbosity": -1, "num_leaves": 9, "num_threads": 1, **params}, dataset, 5
    ), data().X


@pytest.mark.filterwarnings("ignore:categorical_feature")
def test_the_text_answers_as_the_dumped_booster(booster: tuple[lightgbm.Booster, Any]) -> None:
    model, X = booster
    dumped = json.dumps(model.dump_model()).encode()
    again = lightgbm.Booster(model_str=text_of_dump(dumped))
    for options in ({}, {"raw_score": True}, {"pred_leaf": True}):
        assert np.array_equal(model.predict(X, **options), again.predict(X, **options))
    assert again.feature_name() == model.feature_name()
    assert again.pandas_categorical == model.pandas_categorical


@pytest.mark.parametrize("lacking", ["tree_info", "feature_names", "num_class"])
def test_a_dump_without_a_part_is_refused(lacking: str) -> None:
    model = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(wine().X, wine().y), 1).dump_model()
    del model[lacking]
    with pytest.raises(ModelError, match=lacking):
        text_of_dump(json.dumps(model).encode())


def test_trees_that_do_not_add_up_are_refused() -> None:
    model = lightgbm.train({"verbosity": -1}, lightgbm.Dataset(wine().X, wine().y), 1).dump_model()
    model["tree_info"][0]["num_leaves"] += 1
    with pytest.raises(ModelError, match="leaves"):
        text_of_dump(json.dumps(model).encode())
    with pytest.raises(ModelError, match="lacks a part"):
        text_of_dump(b"[]")
