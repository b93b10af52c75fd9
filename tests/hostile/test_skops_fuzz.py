"""Mutated skops files: what passes the scan asks skops for permitted names alone, and opens nothing.

The judge is skops itself, told to trust whatever the file asks for, with CPython's audit events as witnesses.
"""

from __future__ import annotations

import copy
import io
import json
import sys
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import test_called_values as called
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from validator.model.safety import scan

skops_io = pytest.importorskip("skops.io")

_SEEN: list[str] = []
_STATE = {"on": False}
_CODE = (".py", ".pyc", ".so", ".pth")


def _witness(event: str, arguments: tuple[Any, ...]) -> None:
    if not _STATE["on"]:
        return
    if event == "open" and not str(arguments[0]).endswith(_CODE):
        _SEEN.append(f"open {arguments[0]}")
    if event.startswith(
        ("os.system", "os.exec", "os.posix_spawn", "os.remove", "subprocess.", "socket.", "ctypes.dlopen")
    ):
        _SEEN.append(event)


sys.addaudithook(_witness)


@contextmanager
def witnessed() -> Iterator[None]:
    _SEEN.clear()
    _STATE["on"] = True
    try:
        yield
    finally:
        _STATE["on"] = False


def parts(content: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(members.pop("schema.json")), members


def packed(schema: dict[str, Any], members: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in {**members, "schema.json": json.dumps(schema).encode()}.items():
            archive.writestr(name, content)
    return target.getvalue()


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for part in value.values():
            yield from nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from nodes(part)


HONEST = [
    *(called.HONEST[kind] for kind in ("stacking", "quantiles", "partial", "expit")),
    {"a": [1, (2.0, None)], 3: {1}, "x": np.array(["a", None], dtype=object), "t": np.float32, "b": b"ab"},
]  # fmt: skip
SEEDS = [parts(skops_io.dumps(value)) for value in HONEST]
LOADERS = [
    "ObjectNode", "ConstructorFromReduceNode", "FunctionNode", "TypeNode", "ListNode", "DictNode", "TupleNode",
    "SetNode", "NdArrayNode", "BytesNode", "PartialNode", "TreeNode", "LossNode", "CachedNode", "JsonNode",
    "DefaultDictNode", "RandomStateNode", "SparseMatrixNode", "DTypeNode", "MaskedArrayNode", "SliceNode",
]  # fmt: skip
NAMES = [
    "numpy.memmap", "numpy.ndarray", "numpy.where", "lightgbm.basic.Booster", "builtins.str", "builtins.open",
    "functools.partial", "builtins.set", "sklearn.utils._bunch.Bunch", "numpy.fromfile", "pathlib.Path", "os.system",
    "sklearn.linear_model._logistic.LogisticRegression", "numpy.load", "builtins.bytearray", "datetime.date",
]  # fmt: skip
PATH = json.dumps("written")
EDIT = st.tuples(st.sampled_from(["loader", "name", "id", "swap", "value", "protocol"]), st.integers(0, 10_000),
                 st.integers(0, 10_000))  # fmt: skip


def mutate(schema: dict[str, Any], edits: list[tuple[str, int, int]]) -> dict[str, Any]:
    schema = copy.deepcopy(schema)
    for kind, first, second in edits:
        found = list(nodes(schema))
        one, other = found[first % len(found)], found[second % len(found)]
        if kind == "loader":
            one["__loader__"] = LOADERS[second % len(LOADERS)]
        elif kind == "name":
            one["__module__"], _, one["__class__"] = NAMES[second % len(NAMES)].rpartition(".")
        elif kind == "id":
            one["__id__"] = other.get("__id__")
        elif kind == "value":
            one.update(content=PATH, __loader__="JsonNode")
        elif kind == "protocol":
            schema["protocol"] = second % 3
        else:
            copied = copy.deepcopy(other)
            one.clear()
            one.update(copied)
    return schema


def check(content: bytes) -> bool:
    """Whether the file passes; what passes asks for permitted names and opens nothing."""
    report = scan(content, "skops")
    if not report.ok:
        return False
    allowed = {entry.name for entry in report.imports if entry.allowed}
    with warnings.catch_warnings(), witnessed():
        warnings.simplefilter("ignore")
        try:
            asked = skops_io.get_untrusted_types(data=content)
            skops_io.loads(content, trusted=asked)
        except (
            ValueError,
            TypeError,
            KeyError,
            AttributeError,
            IndexError,
            RecursionError,
            OverflowError,
            OSError,
        ):
            asked = []  # skops cannot read it: what it did until then counts all the same
    assert set(asked) <= allowed, content
    assert _SEEN == [], (_SEEN, content)
    return True


def fuzz(examples: int) -> int:
    passed = 0

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(range(len(SEEDS))), st.lists(EDIT, min_size=1, max_size=3))
    def run(seed: int, edits: list[tuple[str, int, int]]) -> None:
        nonlocal passed
        schema, members = SEEDS[seed]
        passed += check(packed(mutate(schema, edits), members))

    run()
    return passed


def test_seeds_pass() -> None:
    assert all(check(packed(*seed)) for seed in SEEDS)


def test_the_witness_sees_a_file_that_is_written(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with witnessed():
        np.memmap("written", "uint8", "w+", 0, (4,))
    assert _SEEN == ["open written"]


def test_mutants(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fuzz(300) > 5


@pytest.mark.long
def test_many_mutants(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fuzz(15_000) > 300
