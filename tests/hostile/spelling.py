"""Pieces of pickles written by hand: what no pickler writes, but an unpickler reads."""

from __future__ import annotations

import io
import pickle
import struct
from functools import cache

import numpy as np
from sklearn.linear_model import LogisticRegression

PROTO = b"\x80\x04"


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def dtype(code: str, order: str = "|") -> bytes:
    made = name("numpy", "dtype") + text(code) + b"\x89\x88\x87R"
    return made + b"(K\x03" + text(order) + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def numpy_text(value: str) -> bytes:
    """A `numpy.str_`, which is equal to the text and hashes like it, but is no plain `str`."""
    size = len(value)
    made = name("numpy", "dtype") + text(f"U{size}") + b"\x89\x88\x87R"
    made += b"(K\x03" + text("<") + b"NNNK" + bytes([4 * size]) + b"K\x04K\x08tb"
    raw = value.encode("utf-32-le")
    return name("numpy._core.multiarray", "scalar") + made + b"C" + bytes([len(raw)]) + raw + b"\x86R"


def wrapper(count: int, *, module: bytes = text("joblib.numpy_pickle"), extra: bytes = b"") -> bytes:
    """joblib's announcement of an array of `count` bytes, which are to follow."""
    return (
        module + text("NumpyArrayWrapper") + b"\x93)\x81}(" + text("subclass") + name("numpy", "ndarray")
        + text("shape") + number(count) + b"\x85" + extra + text("order") + text("C") + text("dtype") + dtype("u1")
        + text("allow_mmap") + b"\x89" + text("numpy_array_alignment_bytes") + b"Nub"
    )  # fmt: skip


@cache
def classifier() -> LogisticRegression:
    X = np.random.default_rng(0).normal(size=(80, 3))
    return LogisticRegression().fit(X, X[:, 0] > 0)


def plain(value: object) -> bytes:
    """The instructions that push the value, without a memo, to be put between others."""
    target = io.BytesIO()
    pickler = pickle.Pickler(target, protocol=4)
    pickler.fast = True
    pickler.dump(value)
    content = target.getvalue()[2:-1]
    return content[9:] if content[:1] == b"\x95" else content


def estimator(module: str, kind: str, attributes: bytes) -> bytes:
    return name(module, kind) + b")\x81}(" + attributes + b"ub"


def model_with(attribute: bytes) -> bytes:
    """A pickle of an honest classifier that has one attribute more, as these instructions make it."""
    state = b"".join(text(key) + plain(value) for key, value in vars(classifier()).items())
    return PROTO + estimator("sklearn.linear_model._logistic", "LogisticRegression",
                             state + text("extra_") + attribute) + b"."  # fmt: skip


def run(command: str) -> bytes:
    """Instructions that call `os.system` and leave its answer in the place of what is on the stack."""
    return b"0" + name("os", "system") + text(command) + b"\x85R"
