"""Fuzzing the scanner: it never crashes or hangs, and what it passes does nothing when it is really unpickled.

Files that pass are loaded by the standard unpickler in another process, whose audit hook (PEP 578) reports every
program started, file written, code compiled and module imported from outside of the libraries.
"""

from __future__ import annotations

import io
import json
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from hostile_pickles import CASES, find, short
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.steps import at_most
from validator.model.safety import scan, scan_pickle
from validator.model.safety.policy import table

_VICTIM = """
import sys, io, json, pickle, warnings, resource, faulthandler
warnings.simplefilter("ignore")
import importlib, joblib, contextlib
for name in json.loads(sys.stdin.readline()):
    with contextlib.suppress(Exception):
        importlib.import_module(name)
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
seen, loading = [], False
def hook(event, arguments):
    if not loading:
        return
    if event in ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
                 "ctypes.dlopen", "os.remove", "os.rename", "shutil.rmtree", "code.__new__",
                 "os.chmod", "os.mkdir"):
        seen.append([event, repr(arguments)[:200]])
    if event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        seen.append([event, repr(arguments)[:200]])
sys.addaudithook(hook)
for line in sys.stdin:
    data = bytes.fromhex(line.strip())
    seen.clear()
    loading = True
    try:
        joblib.load(io.BytesIO(data)) if b"joblib.numpy_pickle" in data else pickle.loads(data)
    except BaseException:
        pass
    loading = False
    sys.stdout.write(json.dumps(list(seen)) + "\\n")
    sys.stdout.flush()
"""


def really_load(files: list[bytes]) -> list[list[list[str]]]:
    """What each file did when the standard unpickler loaded it; a crash of the process fails the test."""
    if not files:
        return []
    # Imported beforehand, so that what a library's own import does is not taken for the file's doing.
    modules = sorted({module for module, _name in table() if not module.startswith("sklearn.")})
    modules += ["sklearn.preprocessing", "sklearn.utils", "sklearn.tree", "sklearn.neighbors", "numpy.core"]
    done = subprocess.run(
        [sys.executable, "-c", _VICTIM],
        input="\n".join([json.dumps(modules), *(data.hex() for data in files)]),
        text=True,
        capture_output=True,
        timeout=240,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(files), (done.returncode, files[len(answers)], done.stderr[-500:])
    return answers


def assert_harmless(files: list[bytes]) -> None:
    for data, events in zip(files, really_load(files), strict=True):
        assert not events, (data, events)


def joblib_bytes(value: object, **options: object) -> bytes:
    target = io.BytesIO()
    joblib.dump(value, target, **options)
    return target.getvalue()


def seeds() -> list[bytes]:
    from sklearn.preprocessing import StandardScaler

    honest = {
        "scaler": StandardScaler().fit(np.eye(3)),
        "names": np.array(["a", "b"], dtype=object),
        "n": [1, (2, 3)],
    }
    files = [pickle.dumps(honest, protocol) for protocol in range(6)] + [joblib_bytes(honest)]
    attacks = [case.make("/nonexistent/canary") for case in CASES]
    return files + [data for data in attacks if len(data) < 4_000]


SEEDS = seeds()
EDIT = st.tuples(
    st.sampled_from(["flip", "insert", "delete", "copy", "splice"]),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 255),
)


def mutate(data: bytes, edits: list, other: bytes) -> bytes:
    for kind, at, to, byte in edits:
        place, end = sorted((int(at * len(data)), int(to * len(data))))
        if kind == "flip" and data:
            place = min(place, len(data) - 1)
            data = data[:place] + bytes([byte]) + data[place + 1 :]
        elif kind == "insert":
            data = data[:place] + bytes([byte]) + data[place:]
        elif kind == "delete":
            data = data[:place] + data[min(end, place + 8) :]
        elif kind == "copy":
            data = data[:place] + data[place : min(end, place + 64)] + data[place:]
        else:
            part = other[int(at * len(other)) : int(at * len(other)) + 60]
            data = data[:place] + part + data[place:]
    return data


def checked(data: bytes) -> bool:
    """Whether the scan passes the bytes; it must answer, in few steps, and say why where it does not."""
    with at_most(lines=20_000 + 50 * len(data)):
        report = scan_pickle(data)
    assert report.ok or all(finding.reason and finding.hint for finding in report.findings)
    return report.ok


def fuzz_bytes(examples: int) -> list[bytes]:
    passed: list[bytes] = []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(SEEDS), st.sampled_from(SEEDS), st.lists(EDIT, min_size=1, max_size=4))
    def run(seed: bytes, other: bytes, edits: list) -> None:
        data = mutate(seed, edits, other)
        if checked(data):
            passed.append(data)

    run()
    return passed


NAMES = sorted(table())
DANGEROUS = [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("builtins", "exec"), ("builtins", "getattr"),
    ("builtins", "open"), ("subprocess", "Popen"), ("operator", "attrgetter"), ("numpy", "load"),
    ("numpy", "fromfile"),
    ("sklearn.utils", "os"), ("importlib", "import_module"), ("pickle", "loads"), ("builtins", "type"),
]  # fmt: skip
HANDY = [key for key in NAMES if not key[0].startswith("sklearn")] + [
    ("sklearn.preprocessing._data", "StandardScaler"), ("sklearn.utils._bunch", "Bunch"),
    ("sklearn.tree._tree", "Tree"), ("sklearn.neighbors._kd_tree", "newObj"),
    ("sklearn.neighbors._kd_tree", "KDTree"),
]  # fmt: skip
TEXTS = ["os", "system", "f8", "O8", "i4", "V8", "latin1", "touch /nonexistent/canary", "__setstate__", "__class__",
         "handle", "model_file", "shape", "dtype", "order", "subclass", "C", "MT19937", "numpy", "eval"]  # fmt: skip
LITERALS = [
    b"N", b"\x88", b"\x89", b"K\x00", b"K\x01", b"K\x03", b"J\xff\xff\xff\xff", b"C\x01b", b"C\x08AAAAAAAA",
    b"]", b"}", b")", b"\x8f", b"K\x00\x85", b"K\x01\x85", find("builtins", "object"), find("numpy", "ndarray"),
    find("numpy", "dtype") + short("f8") + b"\x89\x88\x87R",
]  # fmt: skip
REFS = st.sampled_from(HANDY * 2 + DANGEROUS * 8).map(lambda key: find(*key))
LEAVES = st.one_of(REFS, st.sampled_from(TEXTS).map(short), st.sampled_from(LITERALS))


def grow(inner: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Well-formed pieces of a pickle that each push one value: calls, instances, containers, changes in place."""
    several = st.lists(inner, max_size=4).map(b"".join)
    return st.one_of(
        st.tuples(REFS, several).map(lambda part: part[0] + b"(" + part[1] + b"tR"),
        st.tuples(inner, several).map(lambda part: part[0] + b"(" + part[1] + b"tR"),
        st.tuples(REFS, inner).map(lambda part: part[0] + b")\x81}" + short("attribute") + part[1] + b"sb"),
        st.tuples(REFS, inner).map(lambda part: part[0] + b")\x81" + part[1] + b"b"),
        st.tuples(REFS, REFS, inner).map(
            lambda part: (
                find("functools", "partial") + part[0] + b"\x85R(" + part[1] + b")}NtbN0" + part[2] + b"\x86"
            )
        ),
        st.tuples(inner, inner).map(lambda part: part[0] + part[1] + b"b"),
        several.map(lambda part: b"(" + part + b"t"),
        several.map(lambda part: b"](" + part + b"e"),
        st.tuples(inner, inner).map(lambda part: b"}" + part[0] + part[1] + b"s"),
        st.tuples(REFS, inner).map(
            lambda part: find("copyreg", "_reconstructor") + part[0] + part[1] + b"N\x87R"
        ),
        st.tuples(inner, inner).map(lambda part: part[0] + b"0" + part[1]),
    )


PROGRAM = st.recursive(LEAVES, grow, max_leaves=12)


def fuzz_programs(examples: int) -> list[bytes]:
    passed: list[bytes] = []

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(PROGRAM, st.sampled_from([2, 4]))
    def run(program: bytes, protocol: int) -> None:
        data = b"\x80" + bytes([protocol]) + program + b"."
        if checked(data):
            passed.append(data)

    run()
    return passed


def test_mutants_never_crash_the_scanner_and_what_passes_is_harmless() -> None:
    assert_harmless(fuzz_bytes(1_000))


def test_random_programs_never_crash_the_scanner_and_what_passes_is_harmless() -> None:
    assert_harmless(fuzz_programs(1_000))


@pytest.mark.long
def test_many_mutants() -> None:
    assert_harmless(fuzz_bytes(40_000))


@pytest.mark.long
def test_many_programs() -> None:
    assert_harmless(fuzz_programs(40_000))


def test_the_victim_sees_attacks() -> None:
    live = [case for case in CASES if case.fires and case.loader == "pickle"][:6]
    assert all(really_load([case.make("/nonexistent/canary") for case in live]))


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> list[tuple[str, bytes]]:
    """One small honest file of each other format."""
    import lightgbm
    import skops.io
    import xgboost
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)).astype(np.float32), rng.integers(0, 2, 60)
    booster = lightgbm.train(
        {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2},
        lightgbm.Dataset(X, y), 3,
    )  # fmt: skip
    other = xgboost.XGBClassifier(n_estimators=2, max_depth=2, n_jobs=1).fit(X, y).get_booster()
    forest = RandomForestClassifier(2, max_depth=2).fit(X, y)
    return [
        ("lightgbm-text", booster.model_to_string().encode()),
        ("xgboost-json", bytes(other.save_raw("json"))),
        ("xgboost-ubj", bytes(other.save_raw("ubj"))),
        ("onnx", to_onnx(forest, X[:1]).SerializeToString()),
        ("skops", skops.io.dumps(forest)),
    ]


def test_mutants_of_other_formats_never_crash_their_checks(documents: list[tuple[str, bytes]]) -> None:
    for name, data in documents:
        assert scan(data, name).ok, name

    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(documents), st.lists(EDIT, min_size=1, max_size=4))
    def run(document: tuple[str, bytes], edits: list) -> None:
        name, data = document
        mutant = mutate(data, edits, data)
        with at_most(lines=20_000 + 50 * len(mutant)):
            report = scan(mutant, name)
        assert report.ok or report.findings

    run()


_PARSERS = """
import sys, io, os
import lightgbm, xgboost, numpy
lightgbm.register_logger(__import__("logging").getLogger("quiet"))
for line in sys.stdin:
    name, code = line.split()
    data = bytes.fromhex(code)
    X = numpy.zeros((2, 3))
    try:
        if name == "lightgbm-text":
            lightgbm.Booster(model_str=data.decode()).predict(X, num_threads=1)
        else:
            booster = xgboost.Booster()
            booster.load_model(bytearray(data))
            booster.predict(xgboost.DMatrix(X, nthread=1), validate_features=False)
    except Exception:
        pass
    sys.stdout.write("done\\n")
    sys.stdout.flush()
"""


@pytest.mark.long
def test_mutated_boosters_that_pass_do_not_kill_their_parsers(
    documents: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    """A hint of how much the checks catch, not a promise: the parsers run in workers for that reason."""
    passed: list[str] = []
    boosters = [entry for entry in documents if entry[0] in ("lightgbm-text", "xgboost-json", "xgboost-ubj")]

    @settings(max_examples=6_000, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.sampled_from(boosters), st.lists(EDIT, min_size=1, max_size=3))
    def run(document: tuple[str, bytes], edits: list) -> None:
        data = mutate(document[1], edits, document[1])
        if scan(data, document[0]).ok:
            passed.append(f"{document[0]} {data.hex()}")

    run()
    killed = 0
    left = passed
    while left:
        done = subprocess.run(
            [sys.executable, "-c", _PARSERS],
            input="\n".join(left),
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )
        finished = done.stdout.count("done")
        if finished < len(left):
            killed += 1
        left = left[finished + 1 :]
    assert len(passed) > 100
    assert killed <= len(passed) // 10, f"{killed} of {len(passed)} killed their parser"
