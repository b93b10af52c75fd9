"""Differences in words."""

from __future__ import annotations

import numpy as np

from validator.trees.ensemble import TreeEnsemble
from validator.trees.proof.canonical import SetStore, Walk
from validator.trees.proof.keys import INFINITY, floats
from validator.trees.proof.lockstep import Pairs

_SHOWN = 6


def places(native: TreeEnsemble, walks: tuple[Walk, Walk], store: SetStore, pairs: Pairs, index: int) -> str:
    """What a model's node and an ONNX file's do, where they differ."""
    a, b = int(pairs.native[index]), int(pairs.onnx[index])
    mine, theirs = (_place(native, walk, store, r) for walk, r in zip(walks, (a, b), strict=True))
    where = f"tree {int(pairs.tree[index])}, " + (f"node {a}" if a >= 0 else f"leaf {~a}")
    return f"{where}: the model {mine}, the ONNX file {theirs}"


def feature_name(native: TreeEnsemble, feature: int) -> str:
    """A feature's name, or its number."""
    return repr(native.feature_names[feature]) if native.feature_names else str(feature)


def _place(native: TreeEnsemble, walk: Walk, store: SetStore, reference: int) -> str:
    if reference < 0:
        return f"has leaf {~reference}"
    feature = feature_name(native, int(walk.feature[reference]))
    number = int(walk.set_id[reference])
    test = _set(store, number) if number >= 0 else _cut(int(walk.cut[reference]))
    missing = "NaN goes the other way" if walk.nan_second[reference] else "NaN goes there too"
    low, high = floats(walk.zone[reference]).tolist()
    if walk.zone[reference, 0] <= walk.zone[reference, 1]:
        missing += f" and so does {low!r} <= x <= {high!r}"
    return f"asks of feature {feature} whether {test} ({missing})"


def _cut(key: int) -> str:
    if key < -INFINITY:
        return "it is below everything"
    return f"x <= {float(floats(np.array(key)))!r}"


def _set(store: SetStore, number: int) -> str:
    lows = floats(store.intervals[number][:, 0])
    shown = ", ".join(f"{low:g}" for low in lows[:_SHOWN])
    return f"x is one of {{{shown}{', ...' if len(lows) > _SHOWN else ''}}} ({len(lows)} ranges from these numbers)"
