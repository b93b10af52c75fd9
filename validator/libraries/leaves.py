"""What a live tree model says of its own inside: the leaf that a row meets in each tree, and its raw scores.

Leaves are numbered within their tree in the order of the library's own numbering, from 0: the order in which the
exact converter keeps them.
"""

from __future__ import annotations

import warnings
from typing import Any, Optional, Tuple

from validator.libraries.known import live_of


def final_and_given(model: Any, given: Any) -> Tuple[Any, Any]:
    """The estimator that answers, and what the steps before it make of the input."""
    steps = getattr(model, "steps", None)
    if not steps:
        return model, given
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _, step in steps[:-1]:
            if step is not None and step != "passthrough":
                given = step.transform(given)
    return final_and_given(steps[-1][1], given)


def leaves(model: Any, given: Any) -> Optional[Any]:
    """The leaf that each row meets in each tree, by number: integers [N, T]; None where the library does not say."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return live_of(model).leaves(model, given)


def raw_scores(model: Any, given: Any) -> Optional[Any]:
    """Scores [N] or [N, K] before the transform to outputs; None where the library does not give them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return live_of(model).raw_scores(model, given)


def sums_of(values: Any, starts: Any, met: Any) -> Any:
    """The fingerprint [N] of rows that meet the leaves `met` [N, T'], numbered from 0 in each tree.

    The leaves of tree t are values[starts[t]:starts[t + 1]]. The last T' trees are the model's; those before them
    only hold a base score. Raises ValueError for leaves or trees that do not exist.
    """
    import numpy as np

    extra = len(starts) - 1 - met.shape[1]
    counts = np.diff(starts)
    if extra < 0 or (counts[:extra] != 1).any():
        raise ValueError(f"the ONNX file has {len(counts)} trees, the model {met.shape[1]}")
    if (met < 0).any() or (met >= counts[extra:]).any():
        raise ValueError("the library met a leaf that its tree does not have")
    return values[starts[extra:-1] + met].sum(axis=1) + values[:extra].sum()
