"""One file, several readers: what any of them would run refuses the file, by the name of the reading."""

from __future__ import annotations

import bz2
import io
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import joblib
import numpy as np
import pytest
import spelling as s

from validator.errors import UnsafeModelError
from validator.model.file import identify
from validator.model.safety import load, scan, scan_pickle
from validator.model.safety.policy import Policy
from validator.model.safety.readings import PICKLE, follow
from validator.model.safety.report import DEFAULT_LIMITS

_OPEN = """
import sys, pickle, joblib
if sys.argv[1] == "old joblib":  # before 1.2 it knew of no padding
    joblib.numpy_pickle.NumpyArrayWrapper.safe_get_numpy_array_alignment_bytes = lambda self: None
(pickle if sys.argv[1] == "pickle" else joblib).load(open(sys.argv[2], "rb"))
"""


def really_open(loader: str, path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", _OPEN, loader, str(path)], capture_output=True, timeout=120, check=False
    )


def hidden_by_escapes(command: str) -> bytes:
    hidden = s.run(command)
    module = b"Vjoblib\\u002enumpy_pickle\n"
    return s.model_with(s.wrapper(len(hidden), module=module) + hidden)


def hidden_by_a_second_key(command: str) -> bytes:
    hidden = s.run(command)
    return s.model_with(s.wrapper(len(hidden), extra=s.numpy_text("shape") + s.number(0) + b"\x85") + hidden)


def in_array_bytes(command: str) -> bytes:
    hidden = s.run(command)
    return s.model_with(s.wrapper(len(hidden)) + hidden)


def in_array_bytes_by_inst(command: str) -> bytes:
    """With instructions of Python 2, which no pickler writes any more and every unpickler reads."""
    hidden = b"0(V" + command.encode() + b"\nios\nsystem\n"
    return s.model_with(s.wrapper(len(hidden)) + hidden)


def in_array_bytes_after_odd_spellings(command: str) -> bytes:
    hidden = b"\x80\x02I063\n02020" + s.run(command)[1:] + b"0"
    return s.model_with(s.wrapper(len(hidden)) + hidden)


def padded_wrapper(count: int) -> bytes:
    """As joblib 1.2 and later announce an array: with a number of bytes that it is aligned to."""
    return s.wrapper(count).replace(b"Nub", b"K\x10ub")


def behind_padding(command: str) -> bytes:
    """joblib before 1.2 takes the padding for the array, and the array, where it ends, for instructions."""
    hidden = s.run(command) + b"\x94" * 200
    return s.model_with(padded_wrapper(256) + b"\xff" + bytes(255) + hidden[:256])


def behind_padding_in_catboost(command: str) -> bytes:
    return catboost_with(b"0" + padded_wrapper(3) + b"\xff\0\0" + s.run(command) + b".")


def in_catboost_padding(command: str) -> bytes:
    return catboost_with(b"0cos\nsystem\n(S'" + command.encode() + b"'\ntR.")


def behind_a_frame_that_is_too_long(command: str) -> bytes:
    """`pickle.load` gives up at the frame; the unpickler in Python, which joblib uses, takes what there is."""
    frame = b"\x95" + struct.pack("<Q", 1 << 20)
    return catboost_with(frame + b"0cos\nsystem\n(S'" + command.encode() + b"'\ntR.")


def behind_a_frame_with_an_array(command: str) -> bytes:
    """joblib takes the array's bytes from behind the frame, and goes on in the frame where others see an array."""
    hidden = s.run(command)
    inside = b"0" + s.wrapper(len(hidden)) + hidden
    return catboost_with(b"\x95" + struct.pack("<Q", len(inside)) + inside + b"x" * len(hidden) + b".")


def catboost_with(code: bytes) -> bytes:
    """A CatBoost file that is a pickle as well, whose instructions stand in its padding."""
    import catboost

    X = np.random.default_rng(0).normal(size=(60, 3))
    model = catboost.CatBoostClassifier(iterations=2, verbose=0, allow_writing_files=False, thread_count=1)
    content = model.fit(X, X[:, 0] > 0)._serialize_model()
    (core,) = struct.unpack_from("<I", content, 4)
    body, tail = content[8 : 8 + core], content[8 + core :]
    (root,) = struct.unpack_from("<I", body, 0)
    # `C` is SHORT_BINBYTES and `B` its length, 66: instructions go on at byte 68.
    padding = b"\0" * (68 - 12) + code
    padding += b"\0" * (-len(padding) % 16)
    core_bytes = struct.pack("<I", root + len(padding)) + padding + body[4:]
    return b"CBM1" + struct.pack("<I", len(core_bytes)) + core_bytes + tail


POLYGLOTS = [
    (hidden_by_escapes, "pickle", "unusual spelling"),
    (hidden_by_a_second_key, "joblib", "NumpyArrayWrapper"),
    (in_array_bytes, "pickle", "os.system"),
    (in_array_bytes_by_inst, "pickle", "os.system"),
    (in_array_bytes_after_odd_spellings, "pickle", "os.system"),
    (in_catboost_padding, "pickle", "os.system"),
    (behind_padding, "old joblib", "os.system"),
    (behind_padding_in_catboost, "old joblib", "os.system"),
    (behind_a_frame_that_is_too_long, "joblib", "past the end of the file"),
    (behind_a_frame_with_an_array, "joblib", "os.system"),
]


@pytest.mark.parametrize(
    ("make", "loader", "named"), POLYGLOTS, ids=lambda part: getattr(part, "__name__", "")
)
def test_polyglot_is_refused_by_name_and_is_a_real_attack(
    make, loader: str, named: str, tmp_path: Path
) -> None:
    canary, path = tmp_path / "canary", tmp_path / "model.pkl"
    content = make(f"touch {canary}")
    path.write_bytes(content)
    report = scan(content, identify(path).format)
    assert report.verdict == "unsafe"
    assert any(named in str(finding) for finding in report.findings), report.findings
    assert not canary.exists()
    really_open(loader, path)
    assert canary.exists()


def test_the_reading_is_named() -> None:
    content = in_array_bytes("true")
    (finding,) = [one for one in scan(content, "joblib").findings if one.name == "os.system"]
    assert "when the file is opened with pickle.load" in finding.reason
    with pytest.raises(UnsafeModelError, match=r"opened with pickle\.load"):
        load(content)


def test_values_that_are_called_are_looked_at_in_every_reading() -> None:
    """In the array's bytes the model itself is changed: it names what its `predict` will call."""
    state = s.text("stack_method_") + b"](" + s.text("tofile") + b"e"
    hidden = b"0" + s.estimator("sklearn.ensemble._stacking", "StackingClassifier", state)
    content = s.model_with(s.wrapper(len(hidden)) + hidden)
    assert any("stack_method_" in finding.name for finding in scan(content, "joblib").findings)


def test_an_archive_at_the_end_of_a_pickle_is_another_reading() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("schema.json", "{}")
    content = pickle.dumps([archive.getvalue()])
    (finding,) = scan(content, "pickle").findings
    assert "zip archive" in finding.reason


@pytest.mark.parametrize(
    "odd",
    [b"I063\n", b"I+5\n", b"L063L\n", b"F01.5\n", b"Va\\u0062\n", b"V\\x41\n", b"S'a\\x62'\n", b"S\"a\"\n",
     b"\x8a\x02\x05\x00", b"N2", b"K\x010N", b"K\x01q\x00K\x02q\x00", b"N(1"],
)  # fmt: skip
@pytest.mark.parametrize("place", ["key", "shape"])
def test_spellings_that_no_pickler_writes_are_refused(odd: bytes, place: str) -> None:
    content = b"\x80\x02](" + odd + b"e." if place == "key" else b"\x80\x02(" + odd + b"t."
    report = scan(content, "pickle")
    assert not report.ok
    assert report.findings[0].use == "format"


def test_object_array_in_disguise_is_refused() -> None:
    """`I063` is 63 to who reads decimal digits, and 51 to CPython: an object dtype that says it is none."""
    made = s.name("numpy", "dtype") + s.text("O8") + b"\x89\x88\x87R(K\x03" + s.text("|")
    made += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffI063\ntb"
    assert not scan(s.PROTO + made + b".", "pickle").ok


@pytest.mark.parametrize("protocol", range(6))
def test_honest_spellings_pass(protocol: int) -> None:
    loop: tuple = ([],)
    loop[0].append(loop)
    honest = {
        "texts": ["a\\b", "line\nend\r\0\x1a", "ä", "☃", "𝄞", "quote'\"", "x" * 5_000],
        "numbers": [0, -1, 127, 128, -128, 255, 256, 2**31, -(2**31), 2**63, -(2**70), 0.1, 1e300, -0.0,
                    float("inf"), True, None],
        "bytes": [b"", b"a\n\\", bytes(range(256)), bytearray(b"ab")],
        "sets": [{1, 2}, frozenset({"a"}), set()],
        "loop": loop,
        3: "a key that is a number",
        ("a", 1): "a tuple",
    }  # fmt: skip
    content = pickle.dumps(honest, protocol)
    assert scan(content, "pickle").findings == ()
    again = load(content)
    assert again["loop"][0][0] is again["loop"]
    for key in honest.keys() - {"loop"}:
        assert again[key] == honest[key]
        assert type(again[key]) is type(honest[key])


def as_joblib_before_1_1(first: bytes) -> bytes:
    """Without padding the array's own bytes come at once: an honest file whose first value is an instruction."""
    return s.model_with(s.wrapper(len(first)) + first)


def test_honest_arrays_of_old_joblib_pass_whatever_their_first_byte() -> None:
    starts = [[first, *rest] for first in range(256) for rest in ([0, 0, 0], [200, 3, 64])]
    for values in starts:
        content = as_joblib_before_1_1(bytes(values))
        report = scan(content, "joblib")
        assert report.findings == (), (values, report.findings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert list(load(content).extra_) == values


def test_random_arrays_of_old_joblib_pass() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        content = as_joblib_before_1_1(rng.normal(size=8).tobytes())
        assert scan(content, "joblib").findings == ()


def test_compressed_files_are_followed_as_they_lie_too(tmp_path: Path) -> None:
    for compression in (("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 1), ("lzma", 1)):
        path = tmp_path / f"model.{compression[0]}"
        joblib.dump(s.classifier(), path, compress=compression)
        assert scan(path.read_bytes(), "joblib").findings == ()
    hostile = bz2.compress(in_array_bytes("true"))
    assert any("os.system" in finding.name for finding in scan(hostile, "joblib").findings)


def test_two_models_in_one_booster_are_refused() -> None:
    import lightgbm

    X = np.random.default_rng(0).normal(size=(80, 3))
    settings = {"num_leaves": 3, "verbose": -1, "num_threads": 1}
    good = lightgbm.train(settings, lightgbm.Dataset(X, X[:, 0]), 1).model_to_string()
    broken = good.replace("left_child=", "left_child=9999999 ", 1)

    def booster(*handles: tuple[bytes, str]) -> bytes:
        state = b"".join(key + s.text(value) for key, value in handles)
        return s.PROTO + s.estimator("lightgbm.basic", "Booster", state + s.text("params") + b"}") + b"."

    assert scan(booster((s.text("_handle"), good)), "pickle").ok
    for pair in (
        [(s.text("handle"), good), (s.text("_handle"), broken)],
        [(s.text("_handle"), good), (s.numpy_text("_handle"), broken)],
        [(s.text("_handle"), good), (s.text("_handle"), broken)],
        [(s.text("_handle"), broken)],
    ):
        assert not scan(booster(*pair), "pickle").ok


def test_what_was_looked_at_cannot_be_changed_afterwards() -> None:
    """A list of objects that an array was made of, a state that an object was given: used once, they are settled."""
    state = s.estimator("sklearn.preprocessing._data", "StandardScaler", s.text("with_mean") + b"\x88")
    late = b"}\x94" + s.name("sklearn.preprocessing._data", "StandardScaler") + b")\x81h\x00b0h\x00"
    late = s.PROTO + b"(" + late + s.text("fit") + s.name("builtins", "len") + b"sl."
    assert scan(s.PROTO + state + b".", "pickle").ok
    assert not scan(late, "pickle").ok


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_an_honest_pipeline_that_knows_its_columns_is_no_second_program(protocol: int) -> None:
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0], "b": [0.0, 1.0, 0.0, 1.0]})
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(columns, [0, 0, 1, 1])
    content = io.BytesIO()
    joblib.dump(model, content, protocol=protocol)
    assert scan_pickle(content.getvalue()).findings == ()


def test_a_reading_goes_on_behind_a_name_that_exists_elsewhere() -> None:
    hidden = b"0" + s.name("steps", "dtype") + s.run("true")
    content = s.model_with(s.wrapper(len(hidden)) + hidden)
    assert any(finding.name == "os.system" for finding in scan(content, "joblib").findings)
    called = b"0" + s.name("steps", "dtype") + b")R" + s.run("true")
    assert scan(s.model_with(s.wrapper(len(called)) + called), "joblib").ok


@pytest.mark.parametrize("module", ["antigravity", "numpy.evil", "pip", "yaml"])
def test_a_module_that_may_exist_is_named_in_the_second_reading(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    text = module.encode()
    content = b"\x80\x04\x8c" + bytes([len(text)]) + text + b"\x8c\x05dtype\x93."
    assert follow(content, Policy(), DEFAULT_LIMITS, PICKLE)


def test_a_module_that_does_not_exist_ends_the_second_reading() -> None:
    content = b"\x80\x04\x8c\x05steps\x8c\x05dtype\x93."
    assert follow(content, Policy(), DEFAULT_LIMITS, PICKLE) == []
    assert follow(content.replace(b"dtype", b"other"), Policy(), DEFAULT_LIMITS, PICKLE)
    assert not scan_pickle(content).ok
