"""LightGBM's JSON dump as the model text that says the same, which LightGBM can load.

The dump (`booster.dump_model()`) writes every number with 17 digits, so that nothing is lost on the way. Python 3.9
with the standard library.
"""

from __future__ import annotations

import json
from typing import Any, Dict, List, Tuple

from validator.errors import ModelError

_HINT = "save the model with booster.save_model() instead"
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING = {"None": 0, "Zero": 1, "NaN": 2}
_WORD_BITS = 32
_MOST_CATEGORY = 1 << 20


def text_of_dump(data: bytes) -> str:
    """The model text. Raises ModelError for what is no whole dump."""
    try:
        model = json.loads(data)
        names = [str(name) for name in model["feature_names"]]
        header = [
            "tree",
            f"version={model['version']}",
            f"num_class={int(model['num_class'])}",
            f"num_tree_per_iteration={int(model['num_tree_per_iteration'])}",
            f"label_index={int(model['label_index'])}",
            f"max_feature_idx={int(model['max_feature_idx'])}",
            *([f"objective={model['objective']}"] if model.get("objective") else []),
            *(["average_output"] if model.get("average_output") else []),
            f"feature_names={' '.join(names)}",
            f"feature_infos={' '.join(_infos(names, model.get('feature_infos') or {}))}",
            "",
        ]
        trees = [_tree(number, tree) for number, tree in enumerate(model["tree_info"])]
        tail = ["end of trees", "", *_parameters(names, model), *_pandas(model)]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"the LightGBM dump lacks a part, or it is of the wrong kind ({type(error).__name__}: {error})",
            hint=_HINT,
        ) from error
    return "\n".join([*header, *trees, *tail]) + "\n"


def _infos(names: List[str], infos: Dict[str, Any]) -> List[str]:
    """What training saw of each feature: its range, or its categories."""
    found = []
    for name in names:
        info = infos.get(name)
        if info is None:
            found.append("none")
        elif info.get("values"):
            found.append(":".join(str(int(value)) for value in info["values"]))
        else:
            found.append(f"[{float(info['min_value'])!r}:{float(info['max_value'])!r}]")
    return found


def _parameters(names: List[str], model: Dict[str, Any]) -> List[str]:
    infos = model.get("feature_infos") or {}
    categorical = [str(i) for i, name in enumerate(names) if (infos.get(name) or {}).get("values")]
    return ["parameters:", f"[categorical_feature: {','.join(categorical)}]", "end of parameters", ""]


def _pandas(model: Dict[str, Any]) -> List[str]:
    lists = model.get("pandas_categorical")
    return [] if lists is None else [f"pandas_categorical:{json.dumps(lists)}"]


def _tree(number: int, tree: Dict[str, Any]) -> str:
    splits, leaves = _flat(tree["tree_structure"], int(tree["num_leaves"]))
    boundaries, words = [0], []
    decisions, thresholds = [], []
    for split in splits:
        decision = _MISSING[split["missing_type"]] << 2 | (_DEFAULT_LEFT if split["default_left"] else 0)
        if split["decision_type"] == "==":
            thresholds.append(str(len(boundaries) - 1))
            words += _bits(str(split["threshold"]))
            boundaries.append(len(words))
            decision |= _CATEGORICAL
        else:
            thresholds.append(repr(float(split["threshold"])))
        decisions.append(str(decision))
    lines = [f"Tree={number}", f"num_leaves={len(leaves)}", f"num_cat={len(boundaries) - 1}"]
    if splits:
        lines += [
            "split_feature=" + " ".join(str(int(split["split_feature"])) for split in splits),
            "split_gain=" + " ".join(repr(float(split.get("split_gain", 0))) for split in splits),
            "threshold=" + " ".join(thresholds),
            "decision_type=" + " ".join(decisions),
            "left_child=" + " ".join(str(_reference(split["left_child"])) for split in splits),
            "right_child=" + " ".join(str(_reference(split["right_child"])) for split in splits),
        ]
    lines.append("leaf_value=" + " ".join(repr(float(leaf["leaf_value"])) for leaf in leaves))
    if splits:
        lines += _counts(splits, leaves)
    if len(boundaries) > 1:
        lines += [
            "cat_boundaries=" + " ".join(map(str, boundaries)),
            "cat_threshold=" + " ".join(map(str, words)),
        ]
    return "\n".join([*lines, *_linear(leaves), f"shrinkage={float(tree.get('shrinkage', 1))!r}", "", ""])


def _counts(splits: List[Any], leaves: List[Any]) -> List[str]:
    return [
        "leaf_weight=" + " ".join(repr(float(leaf.get("leaf_weight", 0))) for leaf in leaves),
        "leaf_count=" + " ".join(str(int(leaf.get("leaf_count", 0))) for leaf in leaves),
        "internal_value=" + " ".join(repr(float(split.get("internal_value", 0))) for split in splits),
        "internal_weight=" + " ".join(repr(float(split.get("internal_weight", 0))) for split in splits),
        "internal_count=" + " ".join(str(int(split.get("internal_count", 0))) for split in splits),
    ]


def _linear(leaves: List[Any]) -> List[str]:
    if not any("leaf_const" in leaf for leaf in leaves):
        return ["is_linear=0"]
    features = [leaf.get("leaf_features") or [] for leaf in leaves]
    coefficients = [leaf.get("leaf_coeff") or [] for leaf in leaves]
    return [
        "is_linear=1",
        "leaf_const=" + " ".join(repr(float(leaf["leaf_const"])) for leaf in leaves),
        "num_features=" + " ".join(str(len(listed)) for listed in features),
        "leaf_features="
        + "  ".join(" ".join(str(int(item)) for item in listed) for listed in features)
        + " ",
        "leaf_coeff=" + "  ".join(" ".join(repr(float(x)) for x in listed) for listed in coefficients) + " ",
    ]


def _flat(root: Dict[str, Any], n_leaves: int) -> Tuple[List[Any], List[Any]]:
    """Splits and leaves, each in the order of its own numbers. Raises ValueError where a number is missing."""
    splits: Dict[int, Any] = {}
    leaves: Dict[int, Any] = {}
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if "split_index" in node:
            splits[int(node["split_index"])] = node
            waiting += [node["left_child"], node["right_child"]]
        else:
            leaves[int(node.get("leaf_index", 0))] = node
    if sorted(splits) != list(range(n_leaves - 1)) or sorted(leaves) != list(range(n_leaves)):
        raise ValueError(f"a tree of {n_leaves} leaves has {len(splits)} splits and {len(leaves)} leaves")
    return [splits[i] for i in range(len(splits))], [leaves[i] for i in range(len(leaves))]


def _reference(child: Dict[str, Any]) -> int:
    return int(child["split_index"]) if "split_index" in child else ~int(child.get("leaf_index", 0))


def _bits(threshold: str) -> List[int]:
    """`0||3||5` as words of 32 bits, a bit for each category."""
    categories = [int(word) for word in threshold.split("||") if word]
    if categories and not 0 <= min(categories) <= max(categories) < _MOST_CATEGORY:
        raise ValueError("a category is out of range")
    words = [0] * (max(categories, default=0) // _WORD_BITS + 1)
    for category in categories:
        words[category // _WORD_BITS] |= 1 << category % _WORD_BITS
    return words
