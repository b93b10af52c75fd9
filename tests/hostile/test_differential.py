"""The scanner against CPython's and joblib's own unpicklers, on bytes that can do no harm.

Whatever passes must be the same object to all three; and whatever calls the tripwire, in any reading, must not pass.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import sys
import types
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import joblib
import numpy as np
import pytest
import spelling as s
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from validator.errors import PreflightError
from validator.model.safety import load, scan_pickle
from validator.model.safety.policy import Policy
from validator.model.safety.readings import foreign_readings
from validator.model.safety.report import DEFAULT_LIMITS

_TRIPPED: list[str] = []


@pytest.fixture(autouse=True)
def tripwire() -> Iterator[None]:
    """A module that stands for `os`: importing from it is harmless, and calling its function is noted."""
    module = types.ModuleType("tripwire")
    module.fire = lambda *arguments: _TRIPPED.append("fired") or 0  # type: ignore[attr-defined]
    sys.modules["tripwire"] = module
    yield
    del sys.modules["tripwire"]


def opened(loader: Any, content: bytes) -> tuple[bool, Any]:
    """Whether the loader ran to its end, and its object."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return True, loader(io.BytesIO(content))
        except BaseException:
            return False, None


def same(one: Any, other: Any, depth: int = 0) -> bool:
    """Equal in type and value, arrays element by element."""
    if type(one) is not type(other) or depth > 50:
        return depth > 50
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.hasobject:
            return all(same(a, b, depth + 1) for a, b in zip(one.flat, other.flat, strict=True))
        return one.tobytes() == other.tobytes()
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, depth + 1) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        return len(one) == len(other) and same(list(one.items()), list(other.items()), depth + 1)
    if isinstance(one, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if hasattr(one, "__dict__") and not isinstance(one, type):
        return same(vars(one), vars(other), depth + 1)
    return repr(one) == repr(other)


def check(content: bytes) -> bool:
    """Whether the bytes pass; what passes is one object to every reader, what trips the wire does not pass."""
    if not scan_pickle(content).ok:
        return False
    _TRIPPED.clear()
    theirs = [opened(pickle.load, content), opened(joblib.load, content)]
    assert not _TRIPPED, content
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ours = load(content)
    except PreflightError:
        assert not theirs[1][0], content
        return False
    assert theirs[1][0], content
    assert same(ours, theirs[1][1]), (content, ours, theirs[1][1])
    has_arrays = b"joblib" in content
    assert has_arrays or (theirs[0][0] and same(ours, theirs[0][1])), content
    return True


def joblib_bytes(value: object) -> bytes:
    target = io.BytesIO()
    joblib.dump(value, target)
    return target.getvalue()


def honest() -> list[Any]:
    loop: tuple[list[Any]] = ([],)
    loop[0].append(loop)
    return [
        {"a": [1, -5, 2**40, 0.5], "b\\\n": ("x", b"y", None, True), 3: {1, 2}, "f": frozenset({"q"})},
        np.arange(6, dtype=np.float64).reshape(2, 3).T, np.array(["a", "bc"], dtype=object),
        OrderedDict([("k", np.float32(2.5)), ("l", np.array([1, 2], dtype=">i4"))]), loop[0][0][0][:0],
        s.classifier(), slice(1, 2, None), bytearray(b"abc"), np.array(["x", "yz"]), np.array([True, False]),
        [StandardScaler().fit(np.eye(2) * factor) for factor in range(1, 6)],
    ]  # fmt: skip


SEEDS = [pickle.dumps(value, protocol) for value in honest() for protocol in range(6)]
SEEDS += [joblib_bytes(value) for value in honest()]
SEEDS = [seed for seed in SEEDS if len(seed) < 3_000]
FIRE = s.name("tripwire", "fire") + b")R"
PIECES = [
    b"N", b"K\x05", b"I5\n", b"I05\n", b"I0x5\n", b"I01\n", b"L5L\n", b"L05L\n", b"F1.5\n", b"F01.5\n", b"Vab\n",
    b"V\\u0061b\n", b"V\\\\\n",
    b"S'ab'\n", b'S"ab"\n', b"S'\\x61b'\n", b"\x8c\x02ab", b"\x8a\x01\x05", b"\x8a\x02\x05\x00",
    b"]", b"}", b")", b"(", b"t", b"l", b"d", b"0", b"1", b"2", b"e", b"a", b"u", b"s", b"b", b"R", b"\x81", b"\x85",
    b"\x86", b"\x8f", b"\x90", b"\x91", b"\x94", b"h\x00", b"h\x01", b"q\x00", b"g0\n", b"g00\n", b"p0\n",
    b"\x80\x02",
    b"\x80\x04", b"ctripwire\nfire\n", b"itripwire\nfire\n", b"o", FIRE, s.name("tripwire", "fire"), b"P1\n", b"Q",
    s.name("builtins", "set"), s.name("collections", "OrderedDict"), s.name("numpy", "ndarray"), s.numpy_text("a"),
    s.wrapper(3), s.wrapper(0), s.wrapper(len(FIRE)), b".",
]  # fmt: skip
FRAMES = [b"\x95" + struct.pack("<Q", length) for length in (0, 1, 5, 10, 30, 100, 300, 5_000)]
PIECES += FRAMES
PROGRAM = st.lists(st.sampled_from(PIECES), min_size=1, max_size=12).map(b"".join)
EDIT = st.tuples(st.sampled_from(["flip", "insert", "delete", "piece"]), st.floats(0, 1), st.integers(0, 255))


def mutate(data: bytes, edits: list[tuple[str, float, int]]) -> bytes:
    for kind, at, byte in edits:
        place = min(int(at * len(data)), len(data) - 1)
        if kind == "flip":
            data = data[:place] + bytes([byte]) + data[place + 1 :]
        elif kind == "insert":
            data = data[:place] + bytes([byte]) + data[place:]
        elif kind == "delete":
            data = data[:place] + data[place + 1 :]
        else:
            data = data[:place] + PIECES[byte % len(PIECES)] + data[place:]
    return data


QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def fuzz_mutants(examples: int) -> int:
    passed = 0

    @settings(max_examples=examples, **QUIET)
    @given(st.sampled_from(SEEDS), st.lists(EDIT, min_size=1, max_size=3))
    def run(seed: bytes, edits: list[tuple[str, float, int]]) -> None:
        nonlocal passed
        passed += check(mutate(seed, edits))

    run()
    return passed


def fuzz_programs(examples: int) -> int:
    passed = 0

    @settings(max_examples=examples, **QUIET)
    @given(PROGRAM, st.sampled_from([b"", b"\x80\x02", b"\x80\x04"]))
    def run(program: bytes, start: bytes) -> None:
        nonlocal passed
        passed += check(start + program + b".")

    run()
    return passed


def fuzz_arrays(examples: int) -> int:
    """An honest joblib file whose array's bytes are a program: what a plain unpickler would run."""
    passed = 0

    @settings(max_examples=examples, **QUIET)
    @given(PROGRAM)
    def run(program: bytes) -> None:
        nonlocal passed
        passed += check(s.model_with(s.wrapper(len(program)) + program))

    run()
    return passed


# `C` is an instruction for as many bytes as the next says, 66: what follows them is a program.
MAGIC = b"CBM1" + bytes(64)


def trips(content: bytes) -> bool:
    _TRIPPED.clear()
    for loader in (pickle.load, joblib.load):
        opened(loader, content)
    return bool(_TRIPPED)


def fuzz_foreign(examples: int) -> int:
    """A file of another format whose bytes are a program as well: one that trips the wire has a finding."""
    tripped = 0
    end = st.sampled_from([b"", FIRE, b"ctripwire\nfire\n)R", b"(itripwire\nfire\n"])

    @settings(max_examples=examples, **QUIET)
    @given(PROGRAM, end, st.sampled_from([b"", b".", b"x" * 60 + b"."]))
    def run(program: bytes, fire: bytes, rest: bytes) -> None:
        nonlocal tripped
        content = MAGIC + program + fire + rest
        if trips(content):
            tripped += 1
            assert foreign_readings(content, Policy(), DEFAULT_LIMITS), content

    run()
    return tripped


@pytest.mark.parametrize(
    "program",
    [
        b"(u" + FIRE,  # nothing is put into what takes nothing
        b"(e" + FIRE,
        b"\x80\x02" + FRAMES[3] + b"\x95" + struct.pack("<Q", len(FIRE)) + b"b" + FIRE,  # frames overlap
        FRAMES[-1] + FIRE,
    ],
)
def test_a_program_behind_a_magic_is_found(program: bytes) -> None:
    assert trips(MAGIC + program + b".")
    assert foreign_readings(MAGIC + program + b".", Policy(), DEFAULT_LIMITS)


def test_programs_behind_a_magic() -> None:
    assert fuzz_foreign(300) > 5


def test_seeds_are_the_same_to_every_reader() -> None:
    for seed in SEEDS:
        assert check(seed), seed


def test_the_tripwire_is_heard() -> None:
    _TRIPPED.clear()
    pickle.loads(s.PROTO + FIRE + b".")
    assert _TRIPPED


def test_mutants() -> None:
    assert fuzz_mutants(700) > 2


def test_programs() -> None:
    fuzz_programs(1_500)


def test_programs_in_array_bytes() -> None:
    fuzz_arrays(700)


@pytest.mark.long
def test_many() -> None:
    assert fuzz_mutants(30_000) > 200
    fuzz_programs(60_000)
    fuzz_arrays(30_000)
    assert fuzz_foreign(60_000) > 500
