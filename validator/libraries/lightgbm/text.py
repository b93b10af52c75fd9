"""LightGBM's model text, taken apart: the header's lines by key, each tree's, and what stands after them.

The inert tree that the scanner checks and the reader reads: neither has a parser of its own. Python 3.9 with the
standard library.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Tuple

from validator.documents import DocumentError
from validator.python39 import dataclass

Lines = Dict[bytes, bytes]

_KEY = re.compile(rb"[A-Za-z_]\w*\Z")
_TEXTS = re.compile(rb'"(\\.|[^"\\])*"')
_END = b"\nend of trees"
_FOLLOWS = b"\nfeature importances:"
_HEAD = 40
_MOST_LISTS = 100_000


@dataclass(frozen=True, kw_only=True)
class ModelText:
    """Lines by what stands before their first `=`; a line without one has an empty value."""

    header: Lines
    trees: List[Lines]
    sizes: List[int]
    """the bytes of each tree, with the line break after its last line"""
    pandas_categorical: List[List[Any]]
    """what Python's LightGBM notes of pandas columns: the categories of each"""
    tail: bytes

    @property
    def parameters(self) -> Lines:
        """The training parameters that stand after the trees, `[key: value]` each."""
        start, end = self.tail.find(b"\nparameters:"), self.tail.find(b"\nend of parameters")
        found: Lines = {}
        if 0 <= start < end:
            for line in self.tail[start:end].split(b"\n"):
                if line.startswith(b"[") and line.endswith(b"]"):
                    key, _, value = line[1:-1].partition(b":")
                    found[key] = value.strip()
        return found


def take_apart(data: bytes) -> ModelText:
    """Raises DocumentError for a text that is cut short, that says a thing twice, or whose trees are out of order."""
    if not data.startswith((b"tree\n", b"tree\r\n")):
        raise DocumentError("the text does not begin with `tree`")
    first = max(data.find(b"\nTree="), 0)
    end, after = _end_of_trees(data, first)
    head, *blocks = data[:end].split(b"\nTree=")
    trees = []
    for index, block in enumerate(blocks):
        label, *lines = _lines(block)
        if label.strip() != b"%d" % index:
            shown = label.strip()[:20].decode(errors="replace")
            raise DocumentError(f"tree {index} is numbered {shown!r}")
        trees.append(_fields(lines, f"tree {index}"))
    tail = b"\n".join(_lines(data[after:]))
    return ModelText(
        header=_fields(_lines(head)[1:], "the header"),
        trees=trees,
        sizes=[len(b"Tree=") + len(block) + len(b"\n") for block in blocks],
        pandas_categorical=_pandas_categorical(tail),
        tail=tail,
    )


def _end_of_trees(data: bytes, first: int) -> Tuple[int, int]:
    """Where the last tree ends and what follows begins. Raises DocumentError for a text that is cut short.

    Releases before 2.2 wrote no line at the end of the trees, but always what follows it.
    """
    end = data.find(_END, first)
    if end >= 0:
        return end, end + len(_END)
    follows = data.find(_FOLLOWS, first)
    if follows < 0 or b"\nversion=v2" not in data[:_HEAD]:
        raise DocumentError("the list of trees does not end: the file is cut off")
    # Two blank lines end each tree, one more stands before what follows.
    last = len(data[:follows].rstrip(b"\r\n"))
    return max(last, follows - (2 if b"\r" in data[last:follows] else 1)), follows


def _lines(part: bytes) -> List[bytes]:
    """LightGBM ends a line at either sign: one that is not a pair of both would be another line to it than to us."""
    if b"\r" in part:
        part = part.replace(b"\r\n", b"\n")
        part = part[:-1] if part.endswith(b"\r") else part
        if b"\r" in part:
            raise DocumentError("a line is broken by a carriage return alone")
    return part.split(b"\n")


def _fields(lines: List[bytes], where: str) -> Lines:
    found: Lines = {}
    for line in lines:
        key, equals, value = line.partition(b"=")
        if not key.strip() and not equals:
            continue
        if equals and not _KEY.match(key):
            raise DocumentError(f"{where} has a key {key[:40].decode(errors='replace')!r}")
        if key in found:
            raise DocumentError(f"{where} has {key[:40].decode(errors='replace')} twice")
        found[key] = value
    return found


def _pandas_categorical(tail: bytes) -> List[List[Any]]:
    _, marker, rest = tail.rpartition(b"pandas_categorical:")
    line = rest.strip().split(b"\n")[0] if marker else b""
    bare = _TEXTS.sub(b"", line)
    if bare.count(b"[") > _MOST_LISTS:
        raise DocumentError("pandas_categorical has too many lists")
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > 3:
            raise DocumentError("pandas_categorical is nested too deep")
    try:
        found = json.loads(line or b"null")
    except ValueError as error:
        raise DocumentError(f"pandas_categorical is no JSON: {error}") from error
    if found is not None and not (isinstance(found, list) and all(isinstance(i, list) for i in found)):
        raise DocumentError("pandas_categorical is no list of lists")
    return found or []
