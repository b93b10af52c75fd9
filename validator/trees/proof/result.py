"""What comes out of a proof."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt


class Status(StrEnum):
    """How a proof ended."""

    PROVED = "proved"
    """for every input the two answer the same, within the bounds"""
    DIFFERENT = "different"
    """they do not: `difference` says where, and shows it on a row"""
    UNPROVED = "unproved"
    """neither; `reason` says what is in the way. To be measured"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Counterexample:
    """A place where native model and ONNX file differ, and an input that meets it."""

    what: str
    """one sentence: the node, the two cuts, or the two values"""
    tree: int | None = None
    """number of the native tree"""
    native_node: int | None = None
    """index into the TreeEnsemble's nodes; None where leaves or what comes after the trees differ"""
    row: npt.NDArray[np.float64] | None = None
    """[F], values of the input type, held as float64: both ways differ on it"""
    native_scores: npt.NDArray[np.float64] | None = None
    """[K]: raw scores of the row by the native model's trees"""
    onnx_scores: npt.NDArray[np.float64] | None = None
    """[K]: raw scores of the row by the ONNX file's trees, as read"""
    seen: bool = False
    """both were run on the row, and their outputs differ"""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far the two can differ on any input. 0.0 means bit for bit."""

    raw: float
    """largest difference of raw scores, whatever the order of summation (threads change it)"""
    raw_in_order: float
    """the same, where ONNX Runtime sums the trees in their order: on one thread"""
    output: float
    """largest difference of probabilities or predictions, of any order; assumes exp, log and pow within 4 ulp"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Proof:
    """The result of `prove`."""

    status: Status
    reason: str
    trees: int
    nodes: int
    leaves: int
    bounds: Bounds | None = None
    """only where proved"""
    labels_exact: bool = False
    """labels are equal for every input, ties included, where ONNX Runtime sums the trees in their order"""
    unreachable: int = 0
    """places that look different but that no input, or no differing answer, can reach"""
    difference: Counterexample | None = None
    """only where different"""
    seconds: float = 0.0
