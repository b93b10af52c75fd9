"""Checking LightGBM's model text before its parser sees it: counts that agree, trees that are trees.

LightGBM's reader trusts the text: a wrong count or child index ends in a segmentation fault. The rules follow from
how `GBDT::SaveModelToString` and `Tree::ToString` write it: inner nodes are numbered in the order of splitting, so
that a child always has a higher number than its parent, and a leaf `i` is written as `~i`.
"""

from __future__ import annotations

import json
import re

from validator.model.safety.report import DEFAULT_LIMITS, SAFE, UNSAFE, Finding, Limits, SafetyReport

_HINT = "Write the file again with `booster.save_model(path)`; if this stays, find out who made it."
_END = "end of trees"
_MOST_LEAVES = 1_000_000
_MOST_CLASSES = 100_000
_KEY = re.compile(r"[A-Za-z_]\w*\Z")


class BrokenModelError(Exception):
    """The text is not one that LightGBM would write: what is wrong, and where."""


def scan_lightgbm_text(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> SafetyReport:
    """Check sizes, counts, indices and tree structure of a LightGBM model text."""
    try:
        text = data.decode("utf-8")
        facts = check_text(text, limits)
    except (BrokenModelError, UnicodeDecodeError, ValueError, OverflowError) as error:
        finding = Finding("lightgbm text", "format", 0, str(error)[:500], _HINT)
        return SafetyReport("lightgbm-text", UNSAFE, (finding,), model_class="lightgbm.basic.Booster")
    return SafetyReport(
        "lightgbm-text",
        SAFE,
        versions=(("lightgbm model text", facts["version"]),),
        model_class="lightgbm.basic.Booster",
        preload=("lightgbm",),
        facts=tuple(sorted(facts.items())),
    )


def check_text(text: str, limits: Limits) -> dict[str, str]:
    """The header's facts. Raises BrokenModelError or ValueError where the text does not add up."""
    first = text.find("\nTree=")
    head_text = text if first < 0 else text[:first]
    head = _pairs(head_text, "the header")
    _need(head_text.startswith("tree"), "the text does not begin with `tree`")
    n_features = _integer(head, "max_feature_idx", "the header") + 1
    per_iteration = _integer(head, "num_tree_per_iteration", "the header")
    n_classes = _integer(head, "num_class", "the header")
    _need(0 <= n_features <= 10_000_000, f"the header claims {n_features:,} features")
    _need(
        1 <= per_iteration <= _MOST_CLASSES and 1 <= n_classes <= _MOST_CLASSES, "the header claims no class"
    )
    _need(n_classes in (1, per_iteration), "num_class and num_tree_per_iteration do not agree")
    for key in ("feature_names", "feature_infos"):
        count = len(head.get(key, "").split())
        _need(count == n_features, f"{key} lists {count:,} of {n_features:,} features")
    sizes = [int(part) for part in head.get("tree_sizes", "").split()]
    trees, tail = _split_trees(text, len(head_text))
    _need(len(trees) % per_iteration == 0, f"{len(trees):,} trees are no whole number of iterations")
    _check_sizes(sizes, trees)
    nodes = 0
    for number, tree in enumerate(trees):
        nodes += _check_tree(tree, number, n_features)
        _need(nodes <= limits.nodes, f"there are more than {limits.nodes:,} splits")
    _check_categories(tail)
    linear = sum("\nis_linear=1" in tree for tree in trees)
    return {
        **({"averaged": "yes"} if "\naverage_output\n" in f"{head_text}\n" else {}),
        **({"linear trees": str(linear)} if linear else {}),
        "version": head.get("version", ""), "objective": head.get("objective", "")[:200],
        "features": str(n_features), "trees": str(len(trees)), "splits": str(nodes), "classes": str(n_classes),
    }  # fmt: skip


def _split_trees(text: str, start: int) -> tuple[list[str], str]:
    """The trees from `start` on, and what follows them. The text is large: it is copied once."""
    end = text.find(_END, start)
    _need(end >= 0, "the list of trees does not end: the file is cut off")
    parts = text[start:end].split("Tree=")
    _need(not parts[0].strip(), "something stands before the first tree")
    return parts[1:], text[end + len(_END) :]


def _check_sizes(sizes: list[int], trees: list[str]) -> None:
    """`tree_sizes` are the lengths in bytes by which the reader cuts the text; each must begin its tree."""
    if not sizes:
        return
    _need(len(sizes) == len(trees), f"tree_sizes lists {len(sizes):,} trees, there are {len(trees):,}")
    for number, (size, tree) in enumerate(zip(sizes, trees)):  # noqa: B905 - Python 3.9
        seen = len(tree.encode()) + len("Tree=")
        # The last tree is followed by the blank line before "end of trees".
        _need(size <= seen <= size + 2, f"tree {number} has {seen:,} bytes, tree_sizes says {size:,}")


def _check_tree(text: str, number: int, n_features: int) -> int:
    where = f"tree {number}"
    label, _, body = text.partition("\n")
    _need(label.strip() == str(number), f"{where} is numbered {label.strip()[:20]!r}")
    tree = _pairs(body, where)
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


def _check_children(tree: dict[str, str], leaves: int, where: str) -> None:
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


def _check_categorical(tree: dict[str, str], kinds: list[int], thresholds: list[float], where: str) -> None:
    count = _integer(tree, "num_cat", where)
    categorical = [threshold for kind, threshold in zip(kinds, thresholds) if kind & 1]  # noqa: B905 - Python 3.9
    _need(bool(count) or not categorical, f"{where} has categorical splits but no categories")
    if not count:
        return
    _need(0 < count <= len(kinds), f"{where} claims {count:,} category sets")
    boundaries = _integers(tree, "cat_boundaries", count + 1, where)
    ordered = boundaries[0] == 0 and all(a <= b for a, b in zip(boundaries, boundaries[1:]))  # noqa: B905, RUF007
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


def _check_linear(tree: dict[str, str], leaves: int, n_features: int, where: str) -> None:
    _floats(tree, "leaf_const", leaves, where)
    counts = _integers(tree, "num_features", leaves, where)
    _need(min(counts) >= 0, f"{where} has a negative number of features")
    features = _integers(tree, "leaf_features", sum(counts), where)
    _floats(tree, "leaf_coeff", sum(counts), where)
    _need(
        not features or (min(features) >= 0 and max(features) < n_features),
        f"{where} uses a feature that is missing",
    )


def _check_categories(tail: str) -> None:
    """`pandas_categorical` is JSON, at most a list of lists, which the library parses."""
    _, found, line = tail.rpartition("pandas_categorical:")
    if not found:
        return
    line = line.strip().splitlines()[0] if line.strip() else "null"
    _need(re.sub(r'"(\\.|[^"\\])*"', "", line).count("[") < 100_000, "pandas_categorical has too many lists")
    depth = 0
    for character in re.sub(r'"(\\.|[^"\\])*"', "", line):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(character, 0)
        _need(depth <= 3, "pandas_categorical is nested too deep")
    value = json.loads(line)
    _need(value is None or isinstance(value, list), "pandas_categorical is no list")


def _pairs(text: str, where: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.strip("\r").partition("=")
        if equals:
            _need(bool(_KEY.match(key)), f"{where} has a key {key[:40]!r}")
            _need(key not in found, f"{where} has {key} twice")
            found[key] = value
    return found


def _integer(pairs: dict[str, str], key: str, where: str, default: int | None = None) -> int:
    if key not in pairs and default is not None:
        return default
    (value,) = _integers(pairs, key, 1, where)
    return value


def _integers(pairs: dict[str, str], key: str, count: int, where: str) -> list[int]:
    parts = pairs.get(key, "").split()
    _need(len(parts) == count, f"{where}: {key} has {len(parts):,} values instead of {count:,}")
    return list(map(int, parts))


def _floats(pairs: dict[str, str], key: str, count: int, where: str) -> list[float]:
    parts = pairs.get(key, "").split()
    _need(len(parts) == count, f"{where}: {key} has {len(parts):,} values instead of {count:,}")
    return list(map(float, parts))


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise BrokenModelError(reason)
