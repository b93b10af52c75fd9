"""What is no well-formed ensemble is refused, and said why: every refusal there is."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import numpy as np
import pytest

from tests.unit.trees.chain import chain
from validator.errors import ConversionError
from validator.trees import validity
from validator.trees.ensemble import (
    MAX_DEPTH,
    BranchMode,
    CategoryRule,
    LabelRule,
    LinearLeaves,
    Task,
    Transform,
)
from validator.trees.validity import validate


def ints(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def members(*values: float, at: tuple[int, ...] | None = None, **changes: Any) -> dict[str, Any]:
    """Every node asks whether the value is in the one set."""
    return {
        "comparison": np.full(3, BranchMode.MEMBER, dtype=np.uint8),
        "category_set": np.zeros(3, dtype=np.int32),
        "set_indptr": np.array((0, len(values)) if at is None else at),
        "set_values": np.array(values),
        **changes,
    }


def linear(**changes: Any) -> dict[str, Any]:
    parts: dict[str, Any] = {
        "indptr": np.array([0, 1, 1, 1, 1]),
        "feature": ints(0),
        "coef": np.ones(1),
        "const": np.zeros(4),
    }
    return {"linear": LinearLeaves(**{**parts, **changes})}


#: Two scores, each leaf with both.
TWO = {"n_targets": 2, "leaf_value": np.zeros((4, 2)), "base_score": np.zeros(2)}
TWO_CLASSES = {"task": Task.CLASSIFICATION, "class_labels": (0, 1)}

DAMAGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("feature is int64", {"feature": np.zeros(3, dtype=np.int64)}),
    ("threshold is float64 (2,)", {"threshold": np.zeros(2)}),
    ("roots is int32 (1, 1), not int32 [T]", {"roots": np.zeros((1, 1), dtype=np.int32)}),
    ("0 features and 1 targets", {"n_features": 0}),
    ("leaf_value is float32", {"leaf_value": np.zeros((4, 1), dtype=np.float32)}),
    ("leaves hold 3 values for 1 targets", {"leaf_value": np.zeros((4, 3))}),
    ("leaf_target is int32 (3,)", {"leaf_target": ints(0, 0, 0)}),
    ("base_score is float64 (2,)", {"base_score": np.zeros(2)}),
    ("the threshold of node 1 is NaN", {"threshold": np.array([0.0, np.nan, 1.0])}),
    ("a value of leaf 2 is not finite", {"leaf_value": np.array([[0.0], [1.0], [np.inf], [2.0]])}),
    ("a base score is not finite", {"base_score": np.full(1, np.nan)}),
    ("the divisor is 0.0", {"divisor": 0.0}),
    ("the divisor is inf", {"divisor": np.inf}),
    ("unknown number type 'float16'", {"comparison_dtype": "float16"}),
    ("unknown number type 'int8'", {"accumulation_dtype": "int8"}),
    ("unknown number type 'f'", {"transform": Transform(dtype="f")}),
    ("the transform's parameters are not finite", {"transform": Transform(factor=np.nan)}),
    ("unknown comparison 9", {"comparison": np.full(3, 9, dtype=np.uint8)}),
    (
        "the number 0.1 that stands for missing values is none of float32",
        {"missing_value": 0.1, "comparison_dtype": "float32"},
    ),
    ("the number inf that stands for missing values is none of float64", {"missing_value": np.inf}),
    (
        "a number stands for missing values where there are none",
        {"missing_value": 0.0, "admits_missing": False},
    ),
    ("or beside zero", {"missing_value": 7.0, "zero_is_missing": np.ones(3, dtype=bool)}),
    ("node 2 tests feature 7 of 1", {"feature": ints(0, 0, 7)}),
    ("node 0 tests feature -1 of 1", {"feature": ints(-1, 0, 0)}),
    ("a child does not exist", {"true_child": ints(~0, ~1, ~9)}),
    ("a child does not exist", {"true_child": ints(~0, ~1, 9)}),
    ("leaf 0 is referred to 2 times", {"true_child": ints(~0, ~0, ~2)}),
    ("node 0 is referred to 2 times", {"true_child": ints(~0, ~1, 0)}),
    ("a numeric node has a category set", {"category_set": ints(0, 0, 0)}),
    ("a category node reads zero as missing", members(1.0, zero_is_missing=np.ones(3, dtype=bool))),
    ("the category sets' offsets do not fit their values", members(1.0, at=(0, 2))),
    ("the category sets' offsets descend", members(1.0, at=(0, 2, 1))),
    ("a category set does not exist", members(1.0, category_set=ints(0, 0, 1))),
    ("a category set does not exist", members(1.0, category_set=ints(0, -1, 0))),
    ("a category is not finite", members(np.nan)),
    ("a category is negative or fractional", members(1.5)),
    ("a category is negative or fractional", members(-1.0)),
    ("a category set is not strictly ascending", members(2.0, 2.0)),
    ("a leaf's target lies outside the 1 targets", {"leaf_target": ints(0, 0, 0, 1)}),
    ("a leaf's target lies outside the 2 targets", {**TWO, "leaf_target": ints(0, 0, 0, 1)}),
    ("the leaves' covers are not one finite number each", {"leaf_cover": np.array([1.0, 2.0])}),
    ("the leaves' covers are not one finite number each", {"leaf_cover": np.array([1.0, 2.0, -1.0, 0.0])}),
    ("linear leaves with more than one value", {**TWO, **linear()}),
    ("linear leaves for 3 leaves of 4", linear(const=np.zeros(3))),
    ("the linear leaves' offsets do not fit their coefficients", linear(indptr=np.array([0, 1, 1, 1, 2]))),
    ("the linear leaves' features do not fit their coefficients", linear(feature=ints(0, 0))),
    ("a linear leaf uses a feature outside the 1", linear(feature=ints(1))),
    ("a linear leaf's coefficient is not finite", linear(coef=np.full(1, np.inf))),
    ("0 class labels for 1 scores", {"task": Task.CLASSIFICATION}),
    ("class labels of mixed kinds, or one twice", {**TWO_CLASSES, "class_labels": (0, 0)}),
    ("class labels of mixed kinds, or one twice", {**TWO_CLASSES, "class_labels": (0, "b")}),
    (
        "the label rule raw_positive for 2 scores",
        {**TWO, **TWO_CLASSES, "label_rule": LabelRule.RAW_POSITIVE},
    ),
    ("class labels for a regression model", {"class_labels": (0, 1)}),
    ("2 scores for a ranking model", {**TWO, "task": Task.RANKING}),
    ("2 feature names, or one twice, for 1 features", {"feature_names": ("a", "b")}),
    ("categories of a feature that does not exist", {"feature_categories": {1: ("a",)}}),
    ("3 nodes lie on cycles", {"roots": ints(~3), "false_child": ints(1, 2, 0)}),
)


@pytest.mark.parametrize(("message", "changes"), DAMAGE)
def test_what_is_not_well_formed_is_refused(message: str, changes: dict[str, Any]) -> None:
    validate(chain(3))
    with pytest.raises(ConversionError, match=re.escape(message)):
        validate(chain(3, **changes))


def test_what_is_too_deep_is_refused() -> None:
    validate(chain(MAX_DEPTH))
    with pytest.raises(ConversionError, match=f"a tree is deeper than {MAX_DEPTH} levels"):
        validate(chain(MAX_DEPTH + 1))


def test_sets_may_be_empty_shared_and_exact() -> None:
    validate(chain(3, **members()))
    validate(chain(3, **members(3.0, 1.0, at=(0, 1, 2))))
    validate(chain(3, **members(-1.5, 2.5, category_rule=CategoryRule.EXACT)))


def test_every_refusal_has_a_case_above() -> None:
    said = [message for _, changes in DAMAGE if (message := validity.problem(chain(3, **changes)))]
    said.append(validity.problem(chain(MAX_DEPTH + 1)) or "")
    for node in ast.walk(ast.parse(inspect.getsource(validity))):
        if isinstance(node, ast.Return) and isinstance(node.value, (ast.Constant, ast.JoinedStr)):
            parts = node.value.values if isinstance(node.value, ast.JoinedStr) else [node.value]
            texts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts]
            if texts != ["None"]:
                assert any(re.fullmatch("".join(texts), one) for one in said), "".join(texts)
