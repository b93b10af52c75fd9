"""Objects known by their shape against the long way: the same report and the same objects, whatever the file."""

from __future__ import annotations

import io
import pickle
import struct
import warnings
from dataclasses import replace
from itertools import pairwise
from typing import Any

import joblib
import numpy as np
import pytest
import spelling as s
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingRegressor, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.preprocessing import StandardScaler
from test_differential import EDIT, QUIET, mutate

from validator.errors import PreflightError
from validator.model.safety import load
from validator.model.safety.loader import _Maker
from validator.model.safety.pickles import Reading, read_pickle
from validator.model.safety.policy import Policy
from validator.model.safety.program import REPEAT
from validator.model.safety.report import DEFAULT_LIMITS

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), RNG.integers(0, 2, 60)
SCALERS = [StandardScaler().fit(X * factor) for factor in range(1, 10)]


def models() -> dict[str, Any]:
    shared = SCALERS[0].mean_
    return {
        "scalers": SCALERS,
        "forest": RandomForestClassifier(60, max_depth=2, random_state=0).fit(X, Y),
        "boosting": GradientBoostingRegressor(n_estimators=60, max_depth=2).fit(X, Y),
        "predictors of three classes": HistGradientBoostingClassifier(
            max_iter=30, max_leaf_nodes=3, min_samples_leaf=3
        ).fit(X, RNG.integers(0, 3, 60)),
        # Parts that are named again later, within objects and behind them.
        "named again": [SCALERS, {"last": SCALERS[-1], "mean": SCALERS[-1].mean_}],
        "shared": [StandardScaler().fit(X) for _ in range(5)] + [{"scale": shared, "one": SCALERS[0]}, SCALERS],
        "numbers": [StandardScaler(copy=flag).fit(X) for flag in (True, False) * 4],
    }  # fmt: skip


MODELS = models()


def made(reading: Reading) -> bytes:
    """What the program makes, as bytes that tell identities apart, too; or the error's name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pickle.dumps(_Maker(Policy()).run(reading.program))
    except (PreflightError, ValueError, TypeError, KeyError, AttributeError, pickle.UnpicklingError):
        return b"fails"


def repeated(reading: Reading) -> int:
    return sum(len(step[3]) for step in reading.program.steps if step[0] is REPEAT)


def check(content: bytes) -> int:
    """How many objects were known by their shape, after the long way was held against it."""
    by_shape, at_length = read_pickle(content), read_pickle(content, by_shape=False)
    assert by_shape.report == at_length.report
    assert not repeated(at_length)
    if by_shape.report.ok:
        assert made(by_shape) == made(at_length), content
    return repeated(by_shape)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("protocol", [4, 5])
def test_honest_models_are_the_same(name: str, protocol: int) -> None:
    content = pickle.dumps(MODELS[name], protocol)
    count = check(content)
    assert count > (50 if name in ("forest", "boosting", "predictors of three classes") else -1)
    assert pickle.dumps(load(content)) == pickle.dumps(pickle.loads(content))


def test_a_shape_is_known_from_the_second_object_on() -> None:
    content = pickle.dumps(SCALERS)
    assert check(content) == len(SCALERS) - 2  # the first brings the names, the second is the shape


def test_parts_that_are_named_later_are_read_at_length() -> None:
    assert check(pickle.dumps(MODELS["named again"])) == 0
    assert check(pickle.dumps([SCALERS, SCALERS[-1]])) > 0  # the object itself may be named


def test_frames_cut_objects_anywhere() -> None:
    many = [StandardScaler().fit(X) for _ in range(400)]
    content = pickle.dumps(many)
    assert content.count(b"\x95") >= 2
    assert check(content) == len(many) - 2


@pytest.mark.parametrize("protocol", range(4))
def test_older_protocols_are_read_at_length(protocol: int) -> None:
    assert check(pickle.dumps(SCALERS, protocol)) == 0


def test_arrays_of_objects_in_joblib_files_are_read_by_shape() -> None:
    target = io.BytesIO()
    joblib.dump(MODELS["boosting"], target)
    assert check(target.getvalue()) > 50


def test_the_limit_counts_what_was_known_by_its_shape() -> None:
    content = pickle.dumps(SCALERS)
    whole = int(dict(read_pickle(content, by_shape=False).report.facts)["instructions"])
    for most in (whole // 2, whole - 1, whole):
        limits = replace(DEFAULT_LIMITS, opcodes=most)
        reports = [read_pickle(content, limits=limits, by_shape=way).report for way in (True, False)]
        assert [report.ok for report in reports] == [most == whole] * 2
        assert reports[0] == reports[1]


SCALER = s.name("sklearn.preprocessing._data", "StandardScaler") + b"\x94"
RECONSTRUCT = (
    s.name("numpy._core.multiarray", "_reconstruct") + b"\x94" + s.name("numpy", "ndarray") + b"\x94"
)
RECONSTRUCT += b"K\x00\x85C\x01b\x94\x87R"
AGAIN = b"h\x01h\x02K\x00\x85h\x03\x87R"
TEXT, ARRAY, NUMBER, INNER = s.text("copy"), s.text("scale_"), s.text("n_features_in_"), s.text("inner")


def array(size: int, content: bytes, start: bytes = AGAIN, kind: bytes = b"h\x04") -> bytes:
    return (
        start
        + b"(K\x01K"
        + bytes([size])
        + b"\x85"
        + kind
        + b"\x89C"
        + bytes([len(content)])
        + content
        + b"tb"
    )


def scaler(
    made: bytes = b"", number: bytes = b"K\x05", rest: bytes = b"", start: bytes = b"h\x00)\x81}("
) -> bytes:
    """The instructions of a scaler; without `made` with an array of forty bytes."""
    return start + ARRAY + (made or array(40, bytes(40))) + NUMBER + number + rest + b"ub"


def several(*objects: bytes, end: bytes = b"e.") -> bytes:
    """A list of scalers, of which the first brings the names into the memo, and these are the last."""
    dtype = s.dtype("u1") + b"\x94"
    first = scaler(array(40, bytes(40), RECONSTRUCT, dtype), start=SCALER + b")\x81}(")
    return s.PROTO + b"](" + first + scaler() * 3 + b"".join(objects) + end


GOOD = {
    "another number": several(*(scaler(number=spelt) for spelt in (b"K\x09", b"J\xff\xff\xff\xff", b"M\x01\x01"))),
    "other contents": several(scaler(array(40, b"cos\nsystem\n".ljust(40)))),
    "another length": several(scaler(array(41, bytes(41))), scaler(array(41, bytes(41)))),
    "a text": several(scaler(number=TEXT)),
    "the same object again": several(scaler(), end=b"e\x94h\x05\x86."),
}  # fmt: skip
BAD = {
    "shorter than its shape": several(scaler(array(40, bytes(39)))),
    "longer than its shape": several(scaler(array(39, bytes(40)))),
    "past the end": several(array(40, bytes(40)))[:-30],
    "another class": several(scaler(start=b"h\x02)\x81}(")),
    "a name": several(scaler(number=s.name("os", "system"))),
    "a call": several(scaler(number=s.name("os", "system") + TEXT + b"\x85R")),
    "a class as a value": several(scaler(number=b"h\x02")),
    "a function in a method's place": several(scaler(rest=s.text("predict") + s.name("numpy", "log1p"))),
    "a key of another kind": several(scaler(rest=b"K\x05K\x05")),
    "an attribute twice": several(scaler(rest=NUMBER + b"K\x05")),
    "a dunder": several(scaler(rest=s.text("__class__") + b"K\x05")),
    "a name that is text": several(scaler(rest=s.text("stack_method_") + s.text("tofile"))),
    "a number as a method's name": several(*[scaler(rest=s.text("stack_method_") + b"K\x05")] * 3),
    "what is thrown away": several(scaler() + b"0"),
    "changed after its state": several(scaler() + b"}(" + TEXT + b"K\x01ub"),
    "each changes what all have": several(*[scaler(rest=INNER + b"h\x04" + s.dtype("u1").partition(b"R")[2])] * 3),
    "an entry that was never written": several(scaler(), b"h\x09"),
    "an entry written twice": several(scaler(), b"q\x02"),
    "an unknown instruction": several(scaler(), b"\xff"),
    "left on the stack": several(scaler(), end=b"."),
}  # fmt: skip


def calling(module: str, name: str, first: bytes, arguments: bytes) -> bytes:
    """Scalers of which each has what a call makes; the last of the list names the function."""
    named = scaler(array(40, bytes(40), RECONSTRUCT, s.dtype("u1") + b"\x94"), start=SCALER + b")\x81}(")
    named = named[:-2] + INNER + s.name(module, name) + b"\x94" + first + b"Rub"
    return s.PROTO + b"](" + named + scaler(rest=INNER + b"h\x05" + arguments + b"R") * 3 + b"e."


TINY, OTHER = (b"h\x00)\x81\x94}(" + NUMBER + number + b"ub" for number in (b"K\x05", b"K\x06"))
SETS = several(end=s.name("builtins", "set") + b"\x94)R")
BYTEARRAY = b"\x96" + struct.pack("<Q", 3) + b"abc"
LENGTHY = {
    # What a rule makes of a call is not what the function gives: a name is another's, a bytearray stays one.
    "a ufunc of another module": (0, calling(
        "numpy._core", "_ufunc_reconstruct", s.text("scipy.special") + s.text("expit") + b"\x86",
        s.text("sklearn.nowhere") + s.text("expit") + b"\x86",
    )),
    "bytes of a bytearray": (0, calling("builtins", "bytes", b"C\x01a\x85", BYTEARRAY + b"\x85")),
    "bytes as an attribute": (2, several(*[scaler(number=b"C\x01a")] * 3)),
    "a pair as a state": (2, several(*[scaler()[:-1] + b"N\x86b"] * 3)),
    "an empty state": (2, several(*[b"h\x00)\x81}b"] * 3)),
    # Lists are looked into later, and grow.
    "sets of lists": (2, SETS[:-2] + b"".join(b"h\x05(]" + one + b"atR" for one in (TINY, TINY, OTHER)) + b"e."),
    "a list that grows": (2, SETS[:-2] + b"(]" + TINY + b"a" + TINY + b"at" + b"(]" + TINY + b"at" + b"e."),
    "parts of what has no entry": (5, several(*[b"h\x00)\x81}(" + INNER + b"(" + TINY * 3 + b"tub"] * 2)),
}  # fmt: skip


def test_what_is_read_at_length() -> None:
    for name, (known, content) in LENGTHY.items():
        assert read_pickle(content).report.ok, (name, read_pickle(content).report.findings)
        assert check(content) == known, (name, check(content))


def test_arrays_before_a_forest_leave_it_its_shape() -> None:
    assert check(pickle.dumps([*(np.arange(size) for size in range(70)), SCALERS])) > 0


def test_too_long_an_object_makes_no_shape() -> None:
    many = b"".join(s.text(f"attribute_{number}") + b"K\x05" for number in range(600))
    assert check(several(*[b"h\x00)\x81}(" + many + b"ub"] * 3)) == 2


def test_what_may_vary() -> None:
    for name, content in GOOD.items():
        assert read_pickle(content).report.ok, (name, read_pickle(content).report.findings)
        assert check(content) >= 2, name


def test_what_may_not() -> None:
    for name, content in BAD.items():
        assert check(content) >= 2, name
        assert not read_pickle(content).report.ok, name


def test_lists_of_objects_of_known_shapes_that_nothing_can_name() -> None:
    """What is in the lists has entries in the memo that were never made, and the lists themselves have none."""
    first = several(end=b"e")[len(s.PROTO) :]
    again = b"](" + scaler(start=b"h\x00)\x81\x94}\x94(") * 4 + b"e"
    assert check(s.PROTO + b"](" + first + again * 3 + b"e.") >= 2


def framed(content: bytes, *cuts: int) -> bytes:
    """The instructions in frames that end at these places."""
    places = [2, *cuts, len(content)]
    pieces = [content[one:other] for one, other in pairwise(places)]
    return content[:2] + b"".join(b"\x95" + struct.pack("<Q", len(piece)) + piece for piece in pieces)


def test_a_frame_that_cuts_an_instruction_is_refused_in_both_ways() -> None:
    content = several(scaler(), scaler(), scaler())
    start = content.rindex(b"h\x00)\x81}(")
    passed = 0
    for cut in range(start, start + len(scaler())):
        check(framed(content, cut))
        passed += read_pickle(framed(content, cut)).report.ok
    assert 10 < passed < len(scaler()) - 60


SEEDS = [pickle.dumps(MODELS[name], 4) for name in ("scalers", "named again", "shared", "numbers")]
SEEDS += [pickle.dumps(SCALERS, 5), several(scaler(), scaler()), framed(several(scaler(), scaler()), 400)]


def fuzz(examples: int) -> tuple[int, int]:
    passed = known = 0

    @settings(max_examples=examples, **QUIET)
    @given(st.sampled_from(SEEDS), st.lists(EDIT, min_size=1, max_size=2))
    def run(seed: bytes, edits: list[tuple[str, float, int]]) -> None:
        nonlocal passed, known
        content = mutate(seed, edits)
        known += check(content) > 0
        passed += read_pickle(content).report.ok

    run()
    return passed, known


def test_mutants_are_the_same() -> None:
    passed, known = fuzz(100)
    assert passed > 3
    assert known > 10


@pytest.mark.long
def test_many_mutants_are_the_same() -> None:
    passed, known = fuzz(4_000)
    assert passed > 80
    assert known > 1_000
