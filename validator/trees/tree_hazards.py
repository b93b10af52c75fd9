"""What the stock converters are known to make another model of, found in trees before they are written.

Each was seen with onnxmltools 1.16 and skl2onnx 1.20: the file converts, runs, and answers something else. Here it is
converted exactly, so every entry is a repaired one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from validator.python39 import dataclass
from validator.trees.ensemble import BranchMode, Task, TransformKind, TreeEnsemble
from validator.trees.hazard import TreeHazard


@dataclass(frozen=True, kw_only=True)
class _Rule:
    id: str
    message: str
    applies: Callable[[TreeEnsemble], bool]


def _of(library: str, also: Callable[[TreeEnsemble], bool]) -> Callable[[TreeEnsemble], bool]:
    return lambda trees: trees.library == library and also(trees)


def _has_categories(trees: TreeEnsemble) -> bool:
    return bool((trees.comparison == BranchMode.MEMBER).any())


def _rounded(trees: TreeEnsemble) -> bool:
    """Whether float32 holds not every threshold: some rows then fall on the other side."""
    numeric = trees.threshold[(trees.comparison != BranchMode.MEMBER) & np.isfinite(trees.threshold)]
    with np.errstate(over="ignore"):
        return bool((numeric.astype(np.float32) != numeric).any())


_RULES = (
    _Rule(
        id="averaged-trees",
        message="the trees are averaged (boosting=rf); stock converters add them up",
        applies=_of("lightgbm", lambda trees: trees.divisor != 1),
    ),
    _Rule(
        id="linear-leaves",
        message="the leaves are linear models; stock converters keep their constants alone",
        applies=_of("lightgbm", lambda trees: trees.linear is not None),
    ),
    _Rule(
        id="sigmoid-factor",
        message="the objective's sigmoid is not 1; stock converters take it for 1",
        applies=_of(
            "lightgbm",
            lambda trees: trees.transform.kind is TransformKind.SIGMOID and trees.transform.factor != 1,
        ),
    ),
    _Rule(
        id="one-against-all",
        message="each class has a probability of its own (multiclassova); stock converters take a softmax",
        applies=_of(
            "lightgbm",
            lambda trees: trees.transform.kind is TransformKind.SIGMOID and trees.n_targets > 1,
        ),
    ),
    _Rule(
        id="squared-answers",
        message="the answer is the square of the score (reg_sqrt); stock converters leave the square out",
        applies=_of("lightgbm", lambda trees: trees.transform.kind is TransformKind.SIGNED_SQUARE),
    ),
    _Rule(
        id="zero-is-missing",
        message="zeros count as missing; stock converters take them for numbers",
        applies=lambda trees: bool(trees.zero_is_missing.any()),
    ),
    _Rule(
        id="category-splits",
        message="the trees split on categories; stock converters send other values than whole ones astray",
        applies=_has_categories,
    ),
    _Rule(
        id="missing-values",
        message="the trees route missing values; stock converters send them all one way",
        applies=_of(
            "sklearn",
            lambda trees: trees.admits_missing and trees.comparison_dtype == "float32",
        ),
    ),
    _Rule(
        id="several-outputs",
        message="the model has several outputs; stock converters give one of them",
        applies=_of("xgboost", lambda trees: trees.task is Task.REGRESSION and trees.n_targets > 1),
    ),
    _Rule(
        id="rounded-thresholds",
        message="float32 does not hold every threshold; stock converters round them, so rows on the edge fall to "
        "the other side",
        applies=_rounded,
    ),
)


def examine(trees: TreeEnsemble) -> tuple[TreeHazard, ...]:
    """What is known to go wrong with such trees elsewhere, and does not here."""
    return tuple(
        TreeHazard(
            id=rule.id, step=trees.library, action="repaired", message=f"{rule.message}; converted exactly"
        )
        for rule in _RULES
        if rule.applies(trees)
    )
