"""Many rows in an order in which neighbours walk alike through the trees, and their answers put back.

What a tree costs on a batch is mispredicted branches. Rows that agree in the features that are split by most walk
most nodes alike; sorted by a Morton key of three such features (the bits of their ranks, interleaved: G. M. Morton,
1966) neighbours agree in all three. Each row's answer is the same bits as before: the order makes a call faster or
slower, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: The name under which an ONNX file's metadata hold the features, by their positions.
KEY = "row_order"
#: Fewer trees or rows take no longer than the sorting does.
LEAST_TREES = 50
LEAST_ROWS = 10_000
#: Sorted rows are a copy of the batch.
_MOST_BYTES = 2**28
_FEATURES = 3
_BITS = 5
#: Rows that tell the ranks of values.
_LOOKED_AT = 2_000
#: Of the last rows so many stay where they are: what is computed in vectors ends in numbers alone, which may round
#: otherwise, and so each row must stay on its side.
_LANES = 64
#: The bits of a rank, with room for the other features' between them.
_SPREAD = np.array(
    [sum((rank >> bit & 1) << _FEATURES * bit for bit in range(_BITS)) for rank in range(2**_BITS)],
    dtype=np.uint16,
)

Run = Callable[[Any], list[Any]]


def hint(n_trees: int, n_features: int, split_by: NDArray[Any]) -> str:
    """The features that most nodes split by, as the metadata hold them; empty for few trees or features.

    `split_by` holds the feature of each node [M].
    """
    if n_trees < LEAST_TREES or n_features < _FEATURES:
        return ""
    splits = np.bincount(split_by, minlength=n_features)
    return ",".join(map(str, np.argsort(-splits, kind="stable")[:_FEATURES].tolist()))


def features_of(session: Any) -> tuple[int, ...]:
    """The features by which a session's rows are worth sorting; none where it is not known, or bits could change.

    With several threads each computes a part of the batch, and parts end where vectors do not.
    """
    told = session.get_modelmeta().custom_metadata_map.get(KEY, "").split(",")
    shape = session.get_inputs()[0].shape
    known = len(told) == _FEATURES and all(
        one.isascii() and one.isdecimal() and len(one) < 10 for one in told
    )
    if not known or len(shape) != 2 or not isinstance(shape[1], int):
        return ()
    alone = session.get_session_options().intra_op_num_threads == 1
    fits = all(int(one) < shape[1] for one in told)
    return (
        tuple(map(int, told))
        if alone and fits and session.get_providers() == ["CPUExecutionProvider"]
        else ()
    )


def run_sorted(run: Run, rows: NDArray[Any], features: Sequence[int]) -> list[Any]:
    """What `run` gives for these rows [N, F], bit by bit; sorted by these features where that pays."""
    if not features or len(rows) < LEAST_ROWS or rows.nbytes > _MOST_BYTES:
        return run(rows)
    order = np.arange(len(rows))
    whole = len(rows) - len(rows) % _LANES
    order[:whole] = np.argsort(_keys(rows[:whole], features), kind="stable")
    found = []
    for answers in run(rows[order]):
        placed = np.empty_like(answers)
        placed[order] = answers
        found.append(placed)
    return found


def _keys(rows: NDArray[Any], features: Sequence[int]) -> NDArray[np.uint16]:
    """The Morton key of each row [N]. NaN is above every number."""
    keys = np.zeros(len(rows), dtype=np.uint16)
    for place, feature in enumerate(features):
        values = rows[:, feature]
        known = np.sort(values[:: max(1, len(values) // _LOOKED_AT)])
        cuts = known[np.linspace(0, len(known) - 1, 2**_BITS + 1).astype(np.int64)[1:-1]]
        keys |= _SPREAD[np.searchsorted(cuts, values)] << np.uint16(place)
    return keys
