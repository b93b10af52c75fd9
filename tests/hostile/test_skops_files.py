"""skops files: each loader uses the class that its node names in its own way, and may use it in no other."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_called_values as called
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch

from validator.errors import UnsafeModelError
from validator.model.safety import scan
from validator.model.safety.skops_file import rewritten
from validator.worker.loading import load_model

skops_io = pytest.importorskip("skops.io")


def node(path: str, loader: str, **more: Any) -> dict[str, Any]:
    module, _, name = path.rpartition(".")
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def value(content: object, **more: Any) -> dict[str, Any]:
    return node("builtins.str", "JsonNode", content=json.dumps(content), is_json=True, **more)


def items(*content: Any, kind: str = "tuple") -> dict[str, Any]:
    return node(f"builtins.{kind}", f"{kind.capitalize()}Node", content=list(content))


def mapping(
    content: dict[str, Any], kinds: list[dict[str, Any]] | None = None, **more: Any
) -> dict[str, Any]:
    kinds = [node("builtins.str", "TypeNode")] * len(content) if kinds is None else kinds
    more = {"content": content, "key_types": items(*kinds, kind="list"), **more}
    return node("builtins.dict", "DictNode", **more)


def archive(schema: dict[str, Any], **members: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as made:
        for name, content in members.items():
            made.writestr(name.replace("_", "."), content)
        made.writestr("schema.json", json.dumps({"protocol": 2, "_skops_version": "0.13", **schema}))
    return target.getvalue()


def stacking(answers: dict[str, Any], **more: Any) -> dict[str, Any]:
    state = mapping({"first": value(["tofile"], __id__=7), "stack_method_": answers})
    return node("sklearn.ensemble._stacking.StackingClassifier", "ObjectNode", content=state, **more)


MEMMAP = items(value("written"), value("uint8"), value("w+"), value(0), items(value(4)))
HANDLE = mapping({"handle": value("tree\nversion=v4\nleft_child=99999999\n")})
SCALER = "sklearn.preprocessing._data.StandardScaler"
HOSTILE = {
    "a label by which NumPy reads memory, spelled otherwise": node(
        "pandas.core.series.Series", "ObjectNode", content=mapping({
            "_name": node("builtins.str", "JsonNode", content=r'"__\u0061rray_interface__"', is_json=True)})),
    "a class called on a file's name": node("numpy.memmap", "ConstructorFromReduceNode", content=MEMMAP),
    "a booster made from a path": node(
        "lightgbm.basic.Booster", "ConstructorFromReduceNode",
        content=items(value(None), value(None), value("/etc/x")),
    ),
    "keys given to a class": mapping({"written": value(1)}, [node("numpy.memmap", "TypeNode")]),
    "keys given to a function": mapping({"written": value(1)}, [node("numpy.where", "FunctionNode")]),
    "items given to a class": {**items(value("written"), kind="list"), "__class__": "memmap", "__module__": "numpy"},
    "an array of a class that opens files": node("numpy.memmap", "NdArrayNode", type="numpy", file="1.npy"),
    "a class for a value": node("functools.partial", "PartialNode", content={
        "func": node("numpy.memmap", "TypeNode"), "args": items(), "kwds": mapping({}), "namespace": value(None)}),
    "a partial with attributes": node("functools.partial", "PartialNode", content={
        "func": node("numpy.where", "FunctionNode"), "args": items(), "kwds": mapping({}),
        "namespace": mapping({"predict": value(1)})}),
    "a method's name": stacking(value(["tofile"])),
    "a method's name under an identity": stacking(value(["predict"], __id__=7)),
    "a method's name kept before": stacking(node("builtins.list", "CachedNode", __id__=7)),
    "a method's name under another number": stacking(value(["predict"], __id__=7.0)),
    "a node that contains itself": node(SCALER, "ObjectNode", __id__=3, content=mapping({"a": value(1, __id__=3)})),
    "a dunder attribute": node(SCALER, "ObjectNode", content=mapping({"__class__": value(1)})),
    "a broken booster": node("lightgbm.basic.Booster", "ObjectNode", content=HANDLE),
    "a key by which NumPy reads memory": {
        **mapping({"__array_interface__": value({})}), "__module__": "sklearn.utils._bunch", "__class__": "Bunch"},
    "a generator of another kind": node("numpy.random._generator.Generator", "RandomGeneratorNode", content={
        "bit_generator": mapping({"bit_generator": value("seed")}), "seed_seq": mapping({})}),
    "an unknown loader": node(SCALER, "QuantileForestNode"),
    "a protocol that chooses the names": node(
        "numpy.mean", "FunctionNode", protocol=0, content={"module_path": "os", "function": "system"}),
    "an attribute that is looked up": node("operator.attrgetter", "OperatorFuncNode", attrs=items(value("x"))),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_is_refused(kind: str) -> None:
    content = archive(HOSTILE[kind], **{"1_npy": npy()})
    report = scan(content, "skops")
    assert report.findings, kind
    assert report.verdict == "unsafe"


def npy() -> bytes:
    target = io.BytesIO()
    np.save(target, np.arange(3.0))
    return target.getvalue()


def test_a_file_that_would_be_written_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The attack is real: skops itself writes the file if it is told to trust what it asks for."""
    monkeypatch.chdir(tmp_path)
    content = archive(HOSTILE["a class called on a file's name"])
    with pytest.raises(UnsafeModelError):
        load_model(content, "skops", (), False)
    assert not (tmp_path / "written").exists()
    skops_io.loads(content, trusted=skops_io.get_untrusted_types(data=content))
    assert (tmp_path / "written").exists()


#: What skops itself does not write: no file of these exists.
UNWRITTEN = {
    "a frame beside a model",
    "a frame that a model remembers",
    "a frame in an array",
    "a frame's own transform",
    "a label by which NumPy reads memory",
    "a series that answers by its labels",
    "a word that is equal to a word",
}


@pytest.mark.parametrize("kind", sorted(UNWRITTEN))
def test_what_skops_does_not_write_is_known(kind: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever skops says
        skops_io.dumps((called.HOSTILE | called.HONEST)[kind])


@pytest.mark.parametrize("kind", [kind for kind in called.HOSTILE if kind not in UNWRITTEN])
def test_what_a_pickle_may_not_hold_a_skops_file_may_not(kind: str) -> None:
    content = skops_io.dumps(called.HOSTILE[kind])
    assert not scan(content, "skops").ok


@pytest.mark.parametrize("kind", [kind for kind in called.HONEST if kind not in UNWRITTEN])
def test_what_a_pickle_may_hold_a_skops_file_may(kind: str) -> None:
    content = skops_io.dumps(called.HONEST[kind])
    assert scan(content, "skops").findings == ()
    assert type(load_model(content, "skops", (), False)) is type(called.HONEST[kind])


def test_values_of_every_kind_pass() -> None:
    values = {
        "numbers": [1, -2.5, True, None, float("inf")], "texts": ("a", "b"), 3: {1, 2},
        "bytes": [b"a", bytearray(b"b")],
        "arrays": [np.arange(3), np.array(["a", None], dtype=object), np.float32(1),
                   np.array([[1, "a"]], dtype=object)],
        "types": [np.float64, np.dtype("f4"), len, slice(1, None)], "bunch": Bunch(a=1),
        "random": [np.random.RandomState(0), np.random.default_rng(0)],
        "masked": np.ma.masked_array([1.0, 2.0], [True, False]),
        "functions": FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=1)),
        "twice": [StandardScaler()] * 2, "frozen": frozenset({1}),
    }  # fmt: skip
    content = skops_io.dumps(values)
    assert scan(content, "skops").findings == ()
    assert set(load_model(content, "skops", (), False)) == set(values)


def test_what_is_loaded_is_what_was_scanned() -> None:
    """Bytes before the archive, comments, extra fields and members' order are not handed on, nor is the schema's own
    spelling: what skops opens is made of what the scan has read.
    """
    model = called.HONEST[next(kind for kind in called.HONEST if kind not in UNWRITTEN)]
    content = skops_io.dumps(model)
    spelt = io.BytesIO(b"#!/bin/sh\n")
    spelt.seek(0, io.SEEK_END)
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(spelt, "a") as target:
        for name in reversed(source.namelist()):
            found = source.read(name)
            if name == "schema.json":
                found = found.replace(b"__class__", b"\\u005f_class__")
            info = zipfile.ZipInfo(name)
            info.extra, info.comment = b"\x99\x99\x02\x00ab", b"read me"
            target.writestr(info, found, zipfile.ZIP_DEFLATED)
        target.comment = b"a comment"
    odd = spelt.getvalue()
    assert scan(odd, "skops").ok
    assert rewritten(odd) == rewritten(content)
    assert rewritten(rewritten(content)) == rewritten(content)
    for absent in (b"#!/bin", b"u005f", b"read me", b"a comment"):
        assert absent not in rewritten(odd)
    assert type(load_model(odd, "skops", (), False)) is type(model)
