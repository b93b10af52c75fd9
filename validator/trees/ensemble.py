"""One canonical form of every tree model: flat arrays that readers make and the writer takes.

A row x is answered in four steps:

1. x is cast to `comparison_dtype`, is NaN where it then equals `missing_value`, and walks each tree from `roots[t]`:
   at node i it goes to `true_child[i]` when the node's test holds, else to `false_child[i]`, until it meets a leaf.
2. The leaves' values are summed per target, tree by tree in the order of `roots`, in `accumulation_dtype`.
3. `base_score` starts the sum or is added to it last (`base_first`), and the sum is divided by `divisor`
   (sum / divisor + base where the base comes last): the raw score.
4. `transform` makes probabilities or predictions of the raw scores, and `label_rule` the label.

References: a child or root r >= 0 is node r; r < 0 is leaf ~r. Nodes and leaves may be in any order; each is
referred to exactly once. A tree that is a single leaf has a leaf as root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import IntEnum
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from validator.python39 import StrEnum, dataclass

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Refs = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

MAX_DEPTH = 5000
"""ONNX Runtime recurses while it loads a tree; it has been seen to overflow its stack at about twice this depth."""

ZERO_ZONE = float(np.float32(1e-35))
"""Where `zero_is_missing`, every x with |x| <= ZERO_ZONE is missing (LightGBM's kZeroThreshold)."""


class BranchMode(IntEnum):
    """What a node tests. NaN never reaches the test: `missing_true` decides."""

    LE = 0
    """x <= threshold"""
    LT = 1
    """x < threshold"""
    MEMBER = 2
    """x, made a category as `category_rule` says, is in the node's category set"""


class CategoryRule(StrEnum):
    """How a number becomes a category at MEMBER nodes."""

    TRUNCATE = "truncate"
    """trunc(x) is looked up: -0.5 is category 0 (LightGBM)"""
    TRUNCATE_NON_NEGATIVE = "truncate_non_negative"
    """as before, but a negative x is never a member: -0.5 is in no set (XGBoost)"""
    EXACT = "exact"
    """x itself is looked up: 1.5 equals no category but 1.5 (histogram gradient boosting)"""


class TransformKind(StrEnum):
    """How raw scores r [N, K] become outputs. `factor` and `offset` are the Transform's."""

    IDENTITY = "identity"
    SIGMOID = "sigmoid"
    """1 / (1 + exp(-factor * r)), each target alone; one target of a classifier gives probabilities [1 - p, p]"""
    SOFTMAX = "softmax"
    """over the K targets"""
    NORMALISED = "normalised"
    """r / sum of r over the targets; a row whose sum is 0 is divided by 1"""
    EXP = "exp"
    SIGNED_SQUARE = "signed_square"
    """sign(r) * r**2 (LightGBM's reg_sqrt)"""
    LOG1P_EXP = "log1p_exp"
    """log(1 + exp(r)) (LightGBM's cross_entropy_lambda)"""
    STEP = "step"
    """1 where r > 0, else 0 (XGBoost's binary:hinge)"""
    ISOLATION = "isolation"
    """-(2 ** (-r / factor)) - offset: r the path length, factor the normaliser (isolation forest)"""


class Task(StrEnum):
    """What the model answers; it decides the outputs of the ONNX file."""

    CLASSIFICATION = "classification"
    """`label` [N], `probabilities` [N, C]; C = len(class_labels); K == C, or K == 1 and C == 2"""
    REGRESSION = "regression"
    """`prediction` [N] where K == 1, else [N, K]"""
    RANKING = "ranking"
    """`score` [N]"""
    OUTLIER = "outlier"
    """`score` [N]"""


class LabelRule(StrEnum):
    """How a classifier chooses its label, an index into `class_labels`."""

    ARGMAX_PROBABILITY = "argmax_probability"
    """the first largest of the probabilities; with K == 1 of [1 - p, p], so p == 0.5 gives class 0"""
    ARGMAX_RAW = "argmax_raw"
    """the first largest raw score"""
    PROBABILITY_ABOVE_HALF = "probability_above_half"
    """K == 1: class 1 where p > 0.5"""
    RAW_POSITIVE = "raw_positive"
    """K == 1: class 1 where r > 0"""
    RAW_NOT_NEGATIVE = "raw_not_negative"
    """K == 1: class 1 where r >= 0"""


@dataclass(frozen=True, kw_only=True)
class Transform:
    """From raw scores to outputs; `dtype` is what the native library computes it in ("float32" or "float64")."""

    kind: TransformKind = TransformKind.IDENTITY
    factor: float = 1.0
    offset: float = 0.0
    dtype: str = "float64"


@dataclass(frozen=True, kw_only=True)
class LinearLeaves:
    """Leaves that are linear models, in CSR form: leaf l uses entries indptr[l]:indptr[l + 1].

    Its value is const[l] + sum(coef * x[feature]), summed in that order; where any of its features is NaN it is the
    leaf's own `leaf_value`. An x with |x| <= ZERO_ZONE counts as 0. A leaf without entries has the value const[l].
    """

    indptr: Ints
    """int64 [L + 1]"""
    feature: Refs
    """int32 [E], in 0..n_features-1"""
    coef: Floats
    """float64 [E]"""
    const: Floats
    """float64 [L]"""


def _no_values() -> Floats:
    return np.zeros(0, dtype=np.float64)


def _no_sets() -> Ints:
    return np.zeros(1, dtype=np.int64)


def _no_maps() -> Mapping[int, tuple[str | float, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True, eq=False)
class TreeEnsemble:
    """A tree model as flat arrays; M nodes, L leaves, T trees, K targets, S category sets. See the module's text."""

    library: str
    """who trained it: "lightgbm", "xgboost", "sklearn", "catboost"; "onnx" for what was read from an ONNX file"""
    task: Task
    n_features: int
    n_targets: int

    feature: Refs
    """int32 [M], in 0..n_features-1"""
    threshold: Floats
    """float64 [M]; need not be representable in comparison_dtype; never NaN; +-inf allowed; 0 at MEMBER nodes"""
    comparison: npt.NDArray[np.uint8]
    """uint8 [M] of Comparison"""
    true_child: Refs
    """int32 [M] reference"""
    false_child: Refs
    """int32 [M] reference"""
    missing_true: Flags
    """bool [M]: NaN goes to true_child; so it does at MEMBER nodes"""
    zero_is_missing: Flags
    """bool [M]: |x| <= ZERO_ZONE goes where NaN goes; never at MEMBER nodes"""

    category_set: Refs
    """int32 [M]: index of the node's set at MEMBER nodes, else -1. Nodes may share a set"""
    set_indptr: Ints = field(default_factory=_no_sets)
    """int64 [S + 1]: set s is set_values[set_indptr[s]:set_indptr[s + 1]]; a set may be empty (never true)"""
    set_values: Floats = field(default_factory=_no_values)
    """float64, finite, strictly ascending within each set; whole and non-negative under the truncating rules"""
    category_rule: CategoryRule = CategoryRule.TRUNCATE

    roots: Refs
    """int32 [T] reference, in the order of summation"""
    leaf_value: Floats
    """float64 [L, W], W == 1 or W == n_targets: leaf l adds leaf_value[l, j] to target leaf_target[l] + j"""
    leaf_target: Refs
    """int32 [L]: the target of the leaf's first value; all 0 where W == n_targets"""
    linear: LinearLeaves | None = None
    """only with W == 1"""
    leaf_cover: Floats | None = None
    """float64 [L]: how often each leaf was met in training (rows or their weight), finite and not negative; None
    where the file does not say. It changes no answer: the writer lays out nodes by it so that they run faster"""

    base_score: Floats
    """float64 [K]"""
    base_first: bool = True
    """True: the sum starts from base_score, then comes the division. False: sum / divisor + base_score"""
    divisor: float = 1.0
    """the number of trees (or iterations) whose average is taken; 1 for a plain sum"""
    comparison_dtype: str = "float64"
    """"float32" or "float64": what x is cast to before any test; the test itself compares as float64"""
    accumulation_dtype: str = "float64"
    """"float32" or "float64": what the sums are taken in"""
    admits_missing: bool = True
    """the native model accepts NaN"""
    missing_value: float | None = None
    """a finite number of comparison_dtype that stands for a missing value in every feature: x, once cast, is NaN
    where it equals it. NaN itself stays missing; only with admits_missing, and without `zero_is_missing` nodes"""
    admits_infinity: bool = True
    """the native model accepts +-inf; where False the conversion need only be exact for finite values and NaN"""

    transform: Transform = field(default_factory=Transform)
    label_rule: LabelRule = LabelRule.ARGMAX_PROBABILITY
    class_labels: tuple[int, ...] | tuple[str, ...] = ()
    """classifiers: C labels, all int or all str, in the order of the probabilities; else empty"""
    feature_names: tuple[str, ...] = ()
    """n_features names, or empty where the model does not know them"""
    feature_categories: Mapping[int, tuple[str | float, ...]] = field(default_factory=_no_maps)
    """feature index -> the values a user gives (all str or all numbers) for codes 0, 1, ...; a value not
    listed is NaN. Tests see the code. Empty where users give numbers as they are"""

    @property
    def n_nodes(self) -> int:
        return len(self.feature)

    @property
    def n_leaves(self) -> int:
        return len(self.leaf_value)

    @property
    def n_trees(self) -> int:
        return len(self.roots)

    def category_members(self, node: int) -> Floats:
        """The sorted category set of a MEMBER node."""
        index = self.category_set[node]
        return self.set_values[self.set_indptr[index] : self.set_indptr[index + 1]]
