"""Checking LightGBM's model text before its parser sees it: counts that agree, trees that are trees.

LightGBM's reader trusts the text: a wrong count or child index ends in a segmentation fault. The rules follow from
how `GBDT::SaveModelToString` and `Tree::ToString` write it: inner nodes are numbered in the order of splitting, so
that a child always has a higher number than its parent, and a leaf `i` is written as `~i`.
"""

from __future__ import annotations

from validator.documents import MOST_NODES, DocumentError, most_nodes
from validator.libraries.library import Checked
from validator.libraries.lightgbm.text import Lines, ModelText, take_apart

_MOST_LEAVES = 1_000_000
_MOST_CLASSES = 100_000


def check_text(data: bytes, *, nodes: int = MOST_NODES) -> Checked:
    """The text's own version and its header's facts. Raises ValueError or OverflowError where it does not add up."""
    data.decode("utf-8")
    _need(b"\0" not in data, "it holds a NUL, where LightGBM stops reading")
    text = take_apart(data)
    head, trees = text.header, text.trees
    n_features = _integer(head, "max_feature_idx", "the header") + 1
    per_iteration = _integer(head, "num_tree_per_iteration", "the header")
    n_classes = _integer(head, "num_class", "the header")
    _need(0 <= n_features <= 10_000_000, f"the header claims {n_features:,} features")
    _need(
        1 <= per_iteration <= _MOST_CLASSES and 1 <= n_classes <= _MOST_CLASSES, "the header claims no class"
    )
    _need(n_classes in (1, per_iteration), "num_class and num_tree_per_iteration do not agree")
    for key in ("feature_names", "feature_infos"):
        count = len(_parted(head.get(key.encode(), b"")))
        _need(count == n_features, f"{key} lists {count:,} of {n_features:,} features")
    _need(len(trees) % per_iteration == 0, f"{len(trees):,} trees are no whole number of iterations")
    _check_sizes(text, crlf=b"\r\n" in data)
    splits, most = 0, most_nodes(data, nodes)
    for number, tree in enumerate(trees):
        splits += _check_tree(tree, f"tree {number}", n_features)
        _need(splits <= most, f"there are more than {most:,} splits")
    linear = sum(tree.get(b"is_linear") == b"1" for tree in trees)
    facts = {
        **({"averaged": "yes"} if b"average_output" in head else {}),
        **({"linear trees": str(linear)} if linear else {}),
        "version": _shown(head, b"version"), "objective": _shown(head, b"objective")[:200],
        "features": str(n_features), "trees": str(len(trees)), "splits": str(splits), "classes": str(n_classes),
    }  # fmt: skip
    return Checked(facts["version"], facts)


def _parted(line: bytes) -> list[bytes]:
    """LightGBM parts them at blanks alone: a name may hold a tab, or what else is a space elsewhere."""
    return [word for word in line.split(b" ") if word.strip()]


def _check_sizes(text: ModelText, *, crlf: bool) -> None:
    """`tree_sizes` are the lengths in bytes by which the reader cuts the text; each must begin its tree."""
    sizes = [int(part) for part in text.header.get(b"tree_sizes", b"").split()]
    if not sizes:
        return
    _need(
        len(sizes) == len(text.sizes),
        f"tree_sizes lists {len(sizes):,} trees, there are {len(text.sizes):,}",
    )
    for number, (size, seen) in enumerate(zip(sizes, text.sizes)):
        # The last tree is followed by the blank line before "end of trees".
        _need(
            size <= seen <= size + 2,
            f"tree {number} has {seen:,} bytes, tree_sizes says {size:,}"
            + (": its lines end in CR LF, as git writes them where `autocrlf` is on" if crlf else ""),
        )


def _check_tree(tree: Lines, where: str, n_features: int) -> int:
    leaves = _integer(tree, "num_leaves", where)
    _need(1 <= leaves <= _MOST_LEAVES, f"{where} claims {leaves:,} leaves")
    _floats(tree, "leaf_value", leaves, where)
    if _integer(tree, "is_linear", where, default=0):
        _check_linear(tree, leaves, n_features, where)
    if leaves == 1:
        return 0
    splits = leaves - 1
    features = _integers(tree, "split_feature", splits, where)
    _need(
        min(features) >= 0 and max(features) < n_features, f"{where} splits on a feature that does not exist"
    )
    _check_children(tree, leaves, where)
    kinds = _integers(tree, "decision_type", splits, where)
    _need(min(kinds) >= 0 and max(kinds) < 16, f"{where} has an unknown kind of split")
    thresholds = _floats(tree, "threshold", splits, where)
    _check_categorical(tree, kinds, thresholds, where)
    return splits


def _check_children(tree: Lines, leaves: int, where: str) -> None:
    splits = leaves - 1
    sides = [_integers(tree, side, splits, where) for side in ("left_child", "right_child")]
    for children in sides:
        _need(-leaves <= min(children) and max(children) < splits, f"{where} has a child that does not exist")
        # A child that is a leaf counts below 0.
        back = [child for parent, child in enumerate(children) if 0 <= child <= parent]
        _need(not back, f"{where} has a child that makes a cycle")
    # With n splits there are 2n children: each of the others and each leaf once, the root never.
    met = set(sides[0]).union(sides[1])
    _need(len(met) == 2 * splits, f"{where} has a node with two parents")
    _need(0 not in met, f"{where}: the root is a child")


def _check_categorical(tree: Lines, kinds: list[int], thresholds: list[float], where: str) -> None:
    count = _integer(tree, "num_cat", where)
    categorical = [threshold for kind, threshold in zip(kinds, thresholds) if kind & 1]
    _need(bool(count) or not categorical, f"{where} has categorical splits but no categories")
    if not count:
        return
    _need(0 < count <= len(kinds), f"{where} claims {count:,} category sets")
    boundaries = _integers(tree, "cat_boundaries", count + 1, where)
    ordered = boundaries[0] == 0 and all(a <= b for a, b in zip(boundaries, boundaries[1:]))  # noqa: RUF007
    _need(ordered, f"{where} has category sets out of order")
    words = _integers(tree, "cat_threshold", boundaries[-1], where)
    _need(
        not words or (min(words) >= 0 and max(words) < 1 << 32), f"{where} has a category word out of range"
    )
    for threshold in categorical:
        _need(
            threshold == int(threshold) and 0 <= threshold < count,
            f"{where} points to a category set that is missing",
        )


def _check_linear(tree: Lines, leaves: int, n_features: int, where: str) -> None:
    _floats(tree, "leaf_const", leaves, where)
    counts = _integers(tree, "num_features", leaves, where)
    _need(min(counts) >= 0, f"{where} has a negative number of features")
    features = _integers(tree, "leaf_features", sum(counts), where)
    _floats(tree, "leaf_coeff", sum(counts), where)
    _need(
        not features or (min(features) >= 0 and max(features) < n_features),
        f"{where} uses a feature that is missing",
    )


def _integer(lines: Lines, key: str, where: str, default: int | None = None) -> int:
    if key.encode() not in lines and default is not None:
        return default
    (value,) = _integers(lines, key, 1, where)
    return value


def _integers(lines: Lines, key: str, count: int, where: str) -> list[int]:
    return list(map(int, _words(lines, key, count, where)))


def _floats(lines: Lines, key: str, count: int, where: str) -> list[float]:
    return list(map(float, _words(lines, key, count, where)))


def _words(lines: Lines, key: str, count: int, where: str) -> list[bytes]:
    line = lines.get(key.encode(), b"")
    _need(b"_" not in line, f"{where}: {key} has an underscore in a number")  # which Python skips
    words = line.split()
    _need(len(words) == count, f"{where}: {key} has {len(words):,} values instead of {count:,}")
    return words


def _shown(lines: Lines, key: bytes) -> str:
    return lines.get(key, b"").decode("utf-8")


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise DocumentError(reason)
