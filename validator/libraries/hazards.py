"""What the stock converters are known to make another model of, found in trees before they are written.

Each was seen with onnxmltools 1.16 and skl2onnx 1.20: the file converts, runs, and answers something else. Here it is
converted exactly, so every entry is a repaired one. Those of one library stand in its
record; these may be any library's.
"""

from __future__ import annotations

import numpy as np

from validator.libraries.known import library_named
from validator.libraries.library import KnownHazard
from validator.trees.ensemble import BranchMode, TreeEnsemble
from validator.trees.hazard import TreeHazard


def _has_categories(trees: TreeEnsemble) -> bool:
    return bool((trees.comparison == BranchMode.MEMBER).any())


def _rounded(trees: TreeEnsemble) -> bool:
    """Whether float32 holds not every threshold: some rows then fall on the other side."""
    numeric = trees.threshold[(trees.comparison != BranchMode.MEMBER) & np.isfinite(trees.threshold)]
    with np.errstate(over="ignore"):
        return bool((numeric.astype(np.float32) != numeric).any())


_GENERAL = (
    KnownHazard(
        id="zero-is-missing",
        what="zeros count as missing",
        elsewhere="stock converters take them for numbers",
        applies=lambda trees: bool(trees.zero_is_missing.any()),
    ),
    KnownHazard(
        id="category-splits",
        what="the trees split on categories",
        elsewhere="stock converters send other values than whole ones astray",
        applies=_has_categories,
    ),
    KnownHazard(
        id="rounded-thresholds",
        what="float32 does not hold every threshold",
        elsewhere="stock converters round them, so rows on the edge fall to the other side",
        applies=_rounded,
    ),
)


def examine(trees: TreeEnsemble) -> tuple[TreeHazard, ...]:
    """What is known to go wrong with such trees elsewhere, and does not here."""
    library = library_named(trees.library)
    return tuple(
        TreeHazard(
            id=hazard.id,
            step=trees.library,
            action="repaired",
            message=f"{hazard.what}; {hazard.elsewhere}; converted exactly",
        )
        for hazard in (*(library.hazards if library else ()), *_GENERAL)
        if hazard.applies(trees)
    )
