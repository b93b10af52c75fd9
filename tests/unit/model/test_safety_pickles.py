"""The pickle scanner and the restricted loader on honest files: nothing refused, all told, loaded as it was."""

from __future__ import annotations

import io
import json
import pickle
import sys
import types

import joblib
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from tests.steps import Watched, counted
from validator.errors import ModelError, SettingsError, UnsafeModelError
from validator.model.safety import Finding, Limits, SafetyReport, load, refuse_unsafe, scan_pickle

rng = np.random.default_rng(3)
X = rng.normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture(scope="module")
def pipeline():
    return make_pipeline(FunctionTransformer(np.abs), StandardScaler(), LogisticRegression()).fit(X, Y)


def dump(model, **options) -> bytes:
    target = io.BytesIO()
    joblib.dump(model, target, **options)
    return target.getvalue()


@pytest.mark.parametrize("protocol", range(6))
def test_pipeline_in_every_protocol(pipeline, protocol: int) -> None:
    data = pickle.dumps(pipeline, protocol)
    report = scan_pickle(data)
    assert report.findings == ()
    assert report.ok
    assert report.model_class == "sklearn.pipeline.Pipeline"
    assert dict(report.versions)["scikit-learn"].count(".") == 2
    assert np.array_equal(load(data).predict_proba(X), pipeline.predict_proba(X))


@pytest.mark.parametrize("method", ["", "zlib", "gzip", "bz2", "xz", "lzma"])
def test_joblib_in_every_compression(pipeline, method: str) -> None:
    data = dump(pipeline, compress=(method, 3) if method else 0)
    report = scan_pickle(data, format_name="joblib")
    assert report.ok
    assert report.compression == method
    assert np.array_equal(load(data).predict_proba(X), pipeline.predict_proba(X))


ARRAYS = [
    np.asfortranarray(rng.normal(size=(7, 5))),
    np.arange(12, dtype=">i4").reshape(3, 4),
    np.array(5.0),
    np.zeros((0, 3)),
    np.array(["a", "bc"]),
    np.array([b"x", b"yz"]),
    np.array(["2026-01-01"], dtype="datetime64[D]"),
    np.zeros(3, dtype=[("a", "<f8"), ("b", "<i4", (2,))]),
    np.array([1 + 2j]),
    np.array([None, "text", 3, {"a": np.arange(3)}], dtype=object),
    np.array([[np.arange(2), None], ["x", 1.5]], dtype=object),
    np.ma.MaskedArray([1.0, 2.0], mask=[0, 1]),
    np.float32(1.5),
    np.datetime64("2026-01-01"),
    np.bool_(True),
]


@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: f"{type(value).__name__}-{value.dtype}")
def test_arrays_survive_the_restricted_loader(value) -> None:
    for data in (
        *(pickle.dumps(value, protocol) for protocol in range(6)),
        dump(value),
        dump(value, compress=3),
    ):
        assert scan_pickle(data).findings == ()
        back, wanted = load(data), joblib.load(io.BytesIO(data))
        assert back.dtype == wanted.dtype
        assert type(back) is type(value)
        assert repr(back) == repr(wanted)


def test_arrays_read_inline_keep_their_memory_order_and_can_be_written() -> None:
    back = load(dump([np.asfortranarray(np.ones((3, 2))), np.ones((3, 2))]))
    assert [part.flags.f_contiguous for part in back] == [True, False]
    back[0][0, 0] = back[1][0, 0] = 7.0


def test_plain_values_of_every_kind() -> None:
    value = {
        "numbers": [0, -1, 255, 65_536, -(2**31), 2**70, 1.5, float("inf"), True, None, 2j],
        "texts": ["", "ä", "x" * 5_000, b"", b"bytes" * 2_000, bytearray(b"abc")],
        "groups": [
            (),
            (1,),
            (1, 2),
            (1, 2, 3),
            (1, 2, 3, 4),
            {1, 2},
            frozenset({3}),
            slice(1, None),
            range(3),
        ],
    }
    for protocol in range(6):
        data = pickle.dumps(value, protocol)
        assert scan_pickle(data).findings == ()
        assert load(data) == value


def test_recursive_values() -> None:
    loop: list = []
    loop.append((loop, {"self": loop}))
    for protocol in range(6):
        data = pickle.dumps(loop, protocol)
        assert scan_pickle(data).findings == ()
        back = load(data)
        assert back[0][0] is back


def test_report_names_imports_with_their_uses_and_modules_to_preload(pipeline) -> None:
    report = scan_pickle(pickle.dumps(pipeline))
    uses = {entry.name: entry.uses for entry in report.imports}
    assert uses["sklearn.linear_model._logistic.LogisticRegression"] == ("construct",)
    assert uses[
        "numpy.absolute" if "numpy.absolute" in uses else "numpy._core._multiarray_umath.absolute"
    ] == ("value",)
    assert all(entry.allowed for entry in report.imports)
    assert {"sklearn.pipeline", "sklearn.linear_model._logistic"} <= set(report.preload)


def test_finding_says_name_place_and_remedy() -> None:
    import os

    report = scan_pickle(pickle.dumps({"a": 1, "b": os.getcwd}))
    (finding,) = report.findings
    assert finding.name == "posix.getcwd"
    assert finding.use == "value"
    assert finding.opcode == "STACK_GLOBAL"
    assert pickle.dumps({"a": 1, "b": os.getcwd})[finding.offset : finding.offset + 1] == b"\x93"
    assert finding.hint
    assert [entry.allowed for entry in report.imports] == [False]


def test_each_stream_is_scanned_and_trailing_ones_are_named() -> None:
    import os

    report = scan_pickle(pickle.dumps(1) + pickle.dumps(2) + pickle.dumps(os.getcwd))
    assert "posix.getcwd" in {finding.name for finding in report.findings}
    assert "trailing data" in {finding.name for finding in report.findings}


def test_report_survives_json(pipeline) -> None:
    import os

    for data in (pickle.dumps(pipeline), pickle.dumps(os.getcwd)):
        report = scan_pickle(data)
        assert SafetyReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_report_with_findings_is_never_safe() -> None:
    finding = Finding("x", "call", 0, "is called", "Do not.")
    plain = SafetyReport("pickle", "safe", (finding,)).to_dict()
    assert not SafetyReport("pickle", "safe", (finding,)).ok
    assert SafetyReport.from_dict(plain).verdict == "unsafe"
    assert not SafetyReport("pickle", "unsafe").ok
    with pytest.raises(UnsafeModelError):
        refuse_unsafe(SafetyReport("pickle", "unsafe"))


@pytest.fixture
def own_package(monkeypatch):
    """A module `ourpackage.parts` with a class, a function, and things it imported."""
    package, parts = types.ModuleType("ourpackage"), types.ModuleType("ourpackage.parts")
    source = (
        "import os\nfrom subprocess import run\nclass Scale:\n    pass\ndef halve(x):\n    return x / 2\n"
    )
    exec(compile(source, "parts.py", "exec"), parts.__dict__)
    package.parts = parts
    monkeypatch.setitem(sys.modules, "ourpackage", package)
    monkeypatch.setitem(sys.modules, "ourpackage.parts", parts)
    return parts


def test_own_classes_pass_only_when_vouched_for(own_package) -> None:
    model = own_package.Scale()
    model.factor, model.function = 2.0, own_package.halve
    data = pickle.dumps([model, np.arange(3)])
    report = scan_pickle(data)
    assert {finding.name for finding in report.findings} >= {
        "ourpackage.parts.Scale",
        "ourpackage.parts.halve",
    }
    assert 'allow = ["ourpackage.parts.' in report.findings[0].hint
    with pytest.raises(UnsafeModelError):
        load(data)
    allow = ["ourpackage.parts.*"]
    assert scan_pickle(data, allow=allow).ok
    assert load(data, allow=allow)[0].factor == 2.0
    assert load(dump([model, np.arange(3)]), allow=allow)[0].function(4) == 2.0


@pytest.mark.parametrize("name", ["os.system", "run", "os", "__loader__", "Scale.__class__"])
def test_pattern_does_not_reach_what_the_module_imported(own_package, name: str) -> None:
    short = bytes([len(name)]) + name.encode()
    data = b"\x80\x04\x8c\x10ourpackage.parts\x8c" + short + b"\x93]\x8c\x04trueaa."
    with pytest.raises(UnsafeModelError):
        load(data.replace(b"]\x8c\x04trueaa.", b")R."), allow=["ourpackage.parts.*"])


@pytest.mark.parametrize(
    "pattern",
    ["*", "os.*", "sklearn.*", "numpy.*", "?s.system", "package", "__main__.*", "builtins.eval", "a b.c", ""],
)
def test_unusable_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(SettingsError) as refused:
        scan_pickle(pickle.dumps(1), allow=[pattern])
    assert refused.value.hint


def test_name_that_is_not_installed_is_a_model_error() -> None:
    data = pickle.dumps(RandomForestClassifier(2).fit(X, Y))
    older = data.replace(b"_forest\x94", b"_fores\x94")
    assert older != data
    gone = b"\x80\x04\x8c\x1bsklearn.ensemble._gb_losses\x8c\x09HuberLoss".replace(
        b"\x09HuberLoss", b"\x11HuberLossFunction"
    )
    with pytest.raises(ModelError, match="not installed here"):
        load(gone + b"\x93)\x81}b.")


def test_name_of_another_version_is_noted() -> None:
    data = b"\x80\x04\x8c\x1bsklearn.ensemble._gb_losses\x8c\x11HuberLossFunction\x93)\x81"
    data += b"}\x8c\x10_sklearn_version\x8c\x051.9.1sb."
    report = scan_pickle(data)
    assert report.ok
    assert "HuberLossFunction exists in scikit-learn" in report.notes[0]


def test_limits_bound_instructions_depth_and_inflation() -> None:
    many = pickle.dumps([float(i) for i in range(5_000)])
    assert "flood of instructions" in {
        f.name for f in scan_pickle(many, limits=Limits(opcodes=1_000)).findings
    }
    deep = ()
    for _ in range(60):
        deep = (deep,)
    assert scan_pickle(pickle.dumps(deep)).ok
    assert "deep nesting" in {
        f.name for f in scan_pickle(pickle.dumps(deep), limits=Limits(depth=50)).findings
    }
    big = dump(np.zeros(1_000_000), compress=9)
    assert scan_pickle(big).ok
    refused = scan_pickle(big, limits=Limits(decompressed_bytes=1_000_000))
    assert [finding.name for finding in refused.findings] == ["decompression bomb"]


@pytest.mark.parametrize("method", ["zlib", "gzip", "bz2", "xz", "lzma"])
def test_cut_and_broken_compression_is_refused(method: str) -> None:
    data = dump(rng.normal(size=500), compress=(method, 3))
    for broken in (data[:-20], data[: len(data) // 2], data[:50] + b"\xff" * 50 + data[100:], data + b"more"):
        report = scan_pickle(broken)
        assert not report.ok
        with pytest.raises((UnsafeModelError, ModelError)):
            load(broken)


def test_damaged_text_of_a_booster_inside_a_pickle_is_refused() -> None:
    import lightgbm

    params = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    data = pickle.dumps(lightgbm.train(params, lightgbm.Dataset(X, Y), 2), 4)
    assert scan_pickle(data).ok
    place = data.index(b"left_child=") + len(b"left_child=")
    broken = data[:place] + b"9" + data[place + 1 :]
    (finding,) = scan_pickle(broken).findings
    assert finding.name == "lightgbm.basic.Booster"
    assert "child" in finding.reason


@pytest.mark.parametrize("save", [pickle.dumps, dump])
def test_a_scan_takes_steps_for_instructions_and_none_for_the_arrays_between_them(save) -> None:
    features = rng.normal(size=(4_000, 5))
    forest = RandomForestClassifier(4, n_jobs=1, random_state=0).fit(features, rng.integers(0, 2, 4_000))
    trees = forest.estimators_

    def scanned(times: int) -> tuple[int, int, int, int]:
        """Bytes of the file and bytes read; instructions, and lines run for them."""
        forest.estimators_ = [pickle.loads(pickle.dumps(tree)) for tree in trees * times]
        data = Watched(save(forest))
        with counted() as steps:
            report = scan_pickle(data)
        assert report.ok
        return len(data), data.read, int(dict(report.facts)["instructions"]), steps.lines

    small, large = scanned(1), scanned(4)
    size, read, instructions, lines = (b - a for a, b in zip(small, large, strict=True))
    assert size > 1_500_000
    assert read < size / 100
    assert instructions < size / 500
    assert lines < 100 * instructions
