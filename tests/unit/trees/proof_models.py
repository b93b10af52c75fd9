"""Random tree ensembles of every shape, without training anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from validator.trees.ensemble import (
    BranchMode,
    CategoryRule,
    LabelRule,
    Task,
    Transform,
    TransformKind,
    TreeEnsemble,
)
from validator.trees.validity import validate


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What to make."""

    name: str
    classes: int = 0
    targets: int = 1
    width: int = 1
    transform: Transform = Transform()  # noqa: RUF009 (frozen)
    rule: LabelRule = LabelRule.ARGMAX_PROBABILITY
    comparison_dtype: str = "float64"
    accumulation_dtype: str = "float64"
    strict: bool = False
    zones: bool = False
    categories: CategoryRule | None = None
    missing: float | None = None
    base: float = 0.0
    base_first: bool = True
    divisor: float = 1.0


SIGMOID = Transform(kind=TransformKind.SIGMOID)
KINDS = (
    Kind(name="regression"),
    Kind(name="zones", zones=True),
    Kind(name="truncated", categories=CategoryRule.TRUNCATE, zones=True),
    Kind(name="exact categories", categories=CategoryRule.EXACT, base=0.5),
    Kind(name="binary", classes=2, transform=SIGMOID),
    Kind(name="half sigmoid", classes=2, transform=Transform(kind=TransformKind.SIGMOID, factor=0.5)),
    Kind(name="multiclass", classes=3, targets=3, transform=Transform(kind=TransformKind.SOFTMAX)),
    Kind(
        name="xgboost", comparison_dtype="float32", accumulation_dtype="float32", strict=True, base=0.25,
        transform=Transform(dtype="float32"), categories=CategoryRule.TRUNCATE_NON_NEGATIVE,
    ),
    Kind(
        name="marked", comparison_dtype="float32", accumulation_dtype="float32", strict=True, missing=0.5,
        transform=Transform(dtype="float32"), categories=CategoryRule.TRUNCATE_NON_NEGATIVE,
    ),
    Kind(name="marked by a category", categories=CategoryRule.TRUNCATE_NON_NEGATIVE, missing=2.0),
    Kind(
        name="forest", classes=3, targets=3, width=3, comparison_dtype="float32", divisor=5.0,
    ),
    Kind(name="averaged", comparison_dtype="float32", divisor=5.0),
    Kind(name="poisson", transform=Transform(kind=TransformKind.EXP), base=0.125),
    Kind(name="based last", base=0.5, base_first=False, divisor=5.0),
    Kind(name="rooted", transform=Transform(kind=TransformKind.SIGNED_SQUARE)),
    Kind(name="vectors", targets=2, width=2, base=0.5),
)  # fmt: skip

FEATURES = 4
CATEGORICAL = 3


def make(kind: Kind, seed: int, *, trees: int = 5, splits: int = 6) -> TreeEnsemble:
    """A valid random ensemble."""
    random = np.random.default_rng(seed)
    parts: dict[str, list[Any]] = {
        name: [] for name in ("feature", "threshold", "true", "false", "roots", "leaf_tree")
    }
    for tree in range(trees):
        _grow(random, parts, tree, splits)
    count, leaves = len(parts["feature"]), len(parts["leaf_tree"])
    feature = np.array(parts["feature"], dtype=np.int32)
    member = (feature == CATEGORICAL) & (kind.categories is not None)
    sets = [
        np.unique(random.integers(0, 9, size=random.integers(1, 5))).astype(float)
        for _ in range(int(member.sum()))
    ]
    set_of = np.full(count, -1, dtype=np.int32)
    set_of[member] = np.arange(len(sets))
    comparison = np.full(count, BranchMode.LT if kind.strict else BranchMode.LE, dtype=np.uint8)
    comparison[member] = BranchMode.MEMBER
    leaf_value = random.normal(size=(leaves, kind.width))
    if kind.width > 1 and kind.classes:
        leaf_value = np.abs(leaf_value) / np.abs(leaf_value).sum(axis=1, keepdims=True)
    if kind.accumulation_dtype == "float32":
        leaf_value = leaf_value.astype(np.float32).astype(np.float64)
    target = (
        np.array(parts["leaf_tree"], dtype=np.int32) % kind.targets
        if kind.width == 1
        else np.zeros(leaves, np.int32)
    )
    ensemble = TreeEnsemble(
        library="lightgbm", task=Task.CLASSIFICATION if kind.classes else Task.REGRESSION,
        n_features=FEATURES, n_targets=kind.targets, feature=feature,
        threshold=np.where(member, 0.0, np.array(parts["threshold"])), comparison=comparison,
        true_child=np.array(parts["true"], dtype=np.int32), false_child=np.array(parts["false"], dtype=np.int32),
        missing_true=random.random(count) < 0.5,
        zero_is_missing=(random.random(count) < 0.5) & ~member & kind.zones,
        category_set=set_of, set_indptr=np.cumsum([0, *map(len, sets)]).astype(np.int64),
        set_values=np.concatenate([*sets, np.zeros(0)]),
        category_rule=kind.categories or CategoryRule.TRUNCATE,
        roots=np.array(parts["roots"], dtype=np.int32), leaf_value=leaf_value, leaf_target=target.astype(np.int32),
        base_score=np.full(kind.targets, kind.base), base_first=kind.base_first, divisor=kind.divisor,
        comparison_dtype=kind.comparison_dtype, accumulation_dtype=kind.accumulation_dtype,
        missing_value=kind.missing,
        transform=kind.transform, label_rule=kind.rule, class_labels=tuple(range(kind.classes)),
    )  # fmt: skip
    validate(ensemble)
    return ensemble


def _grow(random: np.random.Generator, parts: dict[str, list[Any]], tree: int, splits: int) -> None:
    """Split leaves of a growing tree at random; every third tree or so stays smaller."""
    first = len(parts["feature"])
    open_ends: list[tuple[int, str]] = []
    for _ in range(int(random.integers(1, splits + 1))):
        node = len(parts["feature"])
        parts["feature"].append(int(random.integers(FEATURES)))
        parts["threshold"].append(float(random.choice([random.normal(), 0.0, 1e-36, -1e-36, 0.5])))
        parts["true"].append(None)
        parts["false"].append(None)
        if node > first:
            parent, side = open_ends.pop(int(random.integers(len(open_ends))))
            parts[side][parent] = node
        open_ends += [(node, "true"), (node, "false")]
    for parent, side in open_ends:
        parts[side][parent] = ~len(parts["leaf_tree"])
        parts["leaf_tree"].append(tree)
    parts["roots"].append(first)
