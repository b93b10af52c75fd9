"""LightGBM's model text, taken apart: headers, the trees' lines by key, and numbers out of many lines at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.python39 import dataclass

VERSIONS = (b"v3", b"v4")
_UNUSUAL_SPACE = (b"  ", b"\t", b"\r", b"\v", b"\f")
HINT = "save the model again with LightGBM 4 (booster.save_model); a text that was edited or cut short is not read"

_TREE_KEYS = frozenset(
    b"num_leaves num_cat split_feature split_gain threshold decision_type left_child right_child leaf_value "
    b"leaf_weight leaf_count internal_value internal_weight internal_count cat_boundaries cat_threshold is_linear "
    b"leaf_const num_features leaf_features leaf_coeff shrinkage".split()
)
_HEADER_KEYS = frozenset(
    b"version num_class num_tree_per_iteration label_index max_feature_idx objective average_output feature_names "
    b"monotone_constraints feature_infos tree_sizes".split()
)


@dataclass(frozen=True, kw_only=True)
class ModelText:
    """Header values by key, one mapping of lines per tree, and what Python's LightGBM notes about pandas columns."""

    header: dict[bytes, bytes]
    trees: list[dict[bytes, bytes]]
    parameters: dict[bytes, bytes]
    pandas_categorical: list[list[Any]]

    def integer(self, key: bytes) -> int:
        """A header's whole number. Raises ConversionError."""
        try:
            return int(self.header[key])
        except (KeyError, ValueError):
            raise refusal(f"its header has no readable {key.decode()}") from None


def refusal(problem: str, hint: str = HINT) -> ConversionError:
    """The error for a text that cannot be read exactly."""
    return ConversionError(f"the LightGBM model text cannot be read: {problem}", hint=hint)


def parse(text: str | bytes) -> ModelText:
    """Take a model text apart. Raises ConversionError for a text that is cut short or of an unknown version."""
    data = text.encode() if isinstance(text, str) else text
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    end = data.find(b"\nend of trees")
    if not data.startswith(b"tree\n") or end < 0:
        raise refusal("it does not begin with `tree`, or its `end of trees` is missing")
    head, *blocks = data[:end].split(b"\nTree=")
    header = _fields(head.split(b"\n")[1:], _HEADER_KEYS, "the header")
    if header.get(b"version") not in VERSIONS:
        raise refusal(f"its version is {header.get(b'version', b'missing').decode(errors='replace')[:20]!r}")
    trees = []
    for index, block in enumerate(blocks):
        number, *lines = block.split(b"\n")
        if number != b"%d" % index:
            raise refusal(f"tree {index} is missing or out of order")
        trees.append(_fields(lines, _TREE_KEYS, f"tree {index}"))
    tail = data[end:]
    return ModelText(
        header=header,
        trees=trees,
        parameters=_parameters(tail),
        pandas_categorical=_pandas_categorical(tail),
    )


def numbers(
    lines: Sequence[bytes], counts: npt.NDArray[np.int64], what: str, dtype: type[np.generic]
) -> npt.NDArray[Any]:
    """The numbers of one line per tree, joined; line t must hold counts[t]. Raises ConversionError."""
    joined = b" ".join(line for line in lines if line)
    found = _counts(lines, joined)
    if not np.array_equal(found, counts):
        tree = int((found != counts).argmax())
        raise refusal(f"{what} of tree {tree} has {found[tree]} values, not {counts[tree]}")
    total = int(counts.sum())
    if total == 0:
        return np.zeros(0, dtype=dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values: npt.NDArray[Any] = np.fromstring(joined.decode("ascii"), dtype=dtype, sep=" ")
        except (ValueError, DeprecationWarning, UnicodeDecodeError):
            raise refusal(f"{what} holds something that is no number") from None
    if len(values) != total:
        raise refusal(f"{what} holds something that is no number")
    return values


def _counts(lines: Sequence[bytes], joined: bytes) -> npt.NDArray[np.int64]:
    """How many words each line has. LightGBM puts one space between two, which is quickly counted."""
    plain = joined == joined.strip() and not any(space in joined for space in _UNUSUAL_SPACE)
    if plain:
        words = (line.count(b" ") + 1 if line else 0 for line in lines)
    else:
        words = (len(line.split()) for line in lines)
    return np.fromiter(words, dtype=np.int64, count=len(lines))


def whole(tree: dict[bytes, bytes], key: bytes, index: int, default: int | None = None) -> int:
    """One whole number of a tree. Raises ConversionError."""
    value = tree.get(key)
    if value is None and default is not None:
        return default
    try:
        return int(value or b"")
    except ValueError:
        raise refusal(f"{key.decode()} of tree {index} is no whole number") from None


def _fields(lines: Sequence[bytes], known: frozenset[bytes], where: str) -> dict[bytes, bytes]:
    fields: dict[bytes, bytes] = {}
    for line in lines:
        if not line:
            continue
        key, _, value = line.partition(b"=")
        if key not in known:
            raise refusal(f"{where} has an unknown line {key.decode(errors='replace')[:40]!r}")
        if key in fields:
            raise refusal(f"{where} says {key.decode()} twice")
        fields[key] = value
    return fields


def _parameters(tail: bytes) -> dict[bytes, bytes]:
    start, end = tail.find(b"\nparameters:"), tail.find(b"\nend of parameters")
    found: dict[bytes, bytes] = {}
    if 0 <= start < end:
        for line in tail[start:end].split(b"\n"):
            if line.startswith(b"[") and line.endswith(b"]"):
                key, _, value = line[1:-1].partition(b":")
                found[key] = value.strip()
    return found


def _pandas_categorical(tail: bytes) -> list[list[Any]]:
    marker = b"\npandas_categorical:"
    start = tail.rfind(marker)
    if start < 0:
        return []
    try:
        found = json.loads(tail[start + len(marker) :])
    except (ValueError, RecursionError):
        raise refusal("pandas_categorical is no JSON") from None
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(item, list) for item in found):
        raise refusal("pandas_categorical is no list of lists")
    return found
