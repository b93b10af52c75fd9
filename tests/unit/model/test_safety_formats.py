"""The checks of the formats that are no pickles: honest files pass, each kind of damage is named."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from typing import Any

import numpy as np
import pytest

from validator.documents import DocumentError, read_json, read_ubj
from validator.model.file import ModelFile
from validator.model.safety import Limits, SafetyReport, framework_of, gather, scan

rng = np.random.default_rng(1)
X = rng.normal(size=(200, 4)).astype(np.float32)
X[:, 3] = rng.integers(0, 9, 200)
Y = rng.integers(0, 2, 200)


def reason(report: SafetyReport) -> str:
    assert report.verdict == "unsafe"
    assert all(finding.hint for finding in report.findings)
    return " ".join(f"{finding.name}: {finding.reason}" for finding in report.findings)


@pytest.fixture(scope="module")
def booster():
    import lightgbm

    params = {"objective": "binary", "num_leaves": 8, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2,
              "min_data_per_group": 2, "cat_smooth": 1}  # fmt: skip
    return lightgbm.train(params, lightgbm.Dataset(X, Y, categorical_feature=[3]), 5)


@pytest.fixture(scope="module")
def text(booster) -> str:
    return booster.model_to_string()


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"linear_tree": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"objective": "multiclass", "num_class": 3},
    ],
)
def test_lightgbm_texts_pass(extra: dict[str, Any]) -> None:
    import lightgbm

    params = {"num_leaves": 6, "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2, **extra}
    target = X[:, 3] % 3 if "num_class" in extra else X[:, 0].copy()
    made = lightgbm.train(params, lightgbm.Dataset(X, target), 4)
    report = scan(made.model_to_string().encode(), "lightgbm-text")
    assert report.findings == ()
    assert dict(report.facts)["features"] == "4"
    assert dict(report.versions) == {"lightgbm model text": "v4"}


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("max_feature_idx=3", "max_feature_idx=1", "features"),
        ("max_feature_idx=3", "max_feature_idx=99999999999", "claims"),
        ("num_tree_per_iteration=1", "num_tree_per_iteration=2", "whole number|num_class"),
        ("num_leaves=", "num_leaves=9", "leaf_value"),
        ("left_child=", "left_child=-1 ", "left_child has"),
        ("right_child=", "right_child=7", "child"),
        ("split_feature=", "split_feature=9", "feature|split_feature"),
        ("threshold=", "threshold=x", "could not convert"),
        ("Tree=1\n", "Tree=7\n", "numbered"),
        ("end of trees", "end of tree", "cut off"),
        ("cat_boundaries=0", "cat_boundaries=1", "category sets"),
        ("version=v4", "version=v4\nversion=v4", "twice"),
        ("pandas_categorical:null", "pandas_categorical:" + "[" * 50 + "]" * 50, "nested too deep"),
    ],
)
def test_damage_to_lightgbm_text_is_named(text: str, old: str, new: str, what: str) -> None:
    assert scan(text.encode(), "lightgbm-text").ok
    assert old in text
    assert re.search(what, reason(scan(without_sizes(text).replace(old, new, 1).encode(), "lightgbm-text")))


def test_cycles_and_shared_nodes_in_lightgbm_text_are_refused(text: str) -> None:
    line = next(line for line in text.splitlines() if line.startswith("left_child="))
    children = line.partition("=")[2].split()
    for place, child in ((2, "1"), (0, children[1])):
        changed = [*children]
        changed[place] = child
        damaged = without_sizes(text).replace(line, "left_child=" + " ".join(changed), 1)
        assert re_any(reason(scan(damaged.encode(), "lightgbm-text")), ("cycle", "two parents"))


def test_tree_sizes_must_be_those_of_the_trees(text: str) -> None:
    line = next(line for line in text.splitlines() if line.startswith("tree_sizes="))
    assert "tree_sizes" in reason(scan(text.replace(line, line + "9", 1).encode(), "lightgbm-text"))
    assert "tree_sizes" in reason(scan(text.replace(line, line + " 9", 1).encode(), "lightgbm-text"))
    assert "CR LF" in reason(scan(text.replace("\n", "\r\n").encode(), "lightgbm-text"))


def without_sizes(text: str) -> str:
    """The text without the line by which the reader cuts it into trees: it is optional, and hides other damage."""
    return re.sub(r"tree_sizes=.*\n", "", text)


def re_any(found: str, words: tuple[str, ...]) -> bool:
    return any(word in found for word in words)


def test_lightgbm_text_cut_anywhere_is_refused(text: str) -> None:
    data = text.encode()
    end = data.index(b"end of trees")
    for place in range(1, end, max(1, end // 60)):
        assert not scan(data[:place], "lightgbm-text").ok


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("\nversion=v4", "\rversion=v4", "carriage return|begin"),
        ("feature_names=", "monotone_constraints=0\rTree=0\nfeature_names=", "carriage return"),
        ("leaf_value=", "leaf_value=1_", "underscore"),
    ],
)
def test_text_that_lightgbm_reads_in_another_way_is_refused(text: str, old: str, new: str, what: str) -> None:
    assert re.search(what, reason(scan(without_sizes(text).replace(old, new, 1).encode(), "lightgbm-text")))


@pytest.fixture(scope="module")
def xgb():
    import xgboost

    return xgboost.train({"nthread": 1, "max_depth": 3}, xgboost.DMatrix(X, Y), 4)


@pytest.mark.parametrize("kind", ["json", "ubj"])
@pytest.mark.parametrize(
    "extra", [{}, {"booster": "dart"}, {"booster": "gblinear"}, {"multi_strategy": "multi_output_tree"}]
)
def test_xgboost_models_pass(kind: str, extra: dict[str, Any]) -> None:
    import xgboost

    target = np.c_[Y, Y] if "multi_strategy" in extra else Y
    made = xgboost.train({"nthread": 1, **extra}, xgboost.DMatrix(X, target), 3)
    report = scan(bytes(made.save_raw(kind)), f"xgboost-{kind}")
    assert report.findings == ()
    assert dict(report.versions)["xgboost"] == xgboost.__version__


def edited(document: dict[str, Any], change: Any) -> bytes:
    copy = json.loads(json.dumps(document))
    model = copy["learner"]["gradient_booster"]["model"]
    change(copy, model)
    return json.dumps(copy).encode()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda d, m: m["trees"].pop(), "as many trees"),
        (lambda d, m: m["trees"][0]["left_children"].append(1), "left_children has"),
        (lambda d, m: m["trees"][0]["left_children"].__setitem__(0, 99), "does not exist"),
        (lambda d, m: m["trees"][0]["left_children"].__setitem__(0, -7), "does not exist"),
        (lambda d, m: m["trees"][0]["left_children"].__setitem__(1, 1), "two parents or is in a cycle"),
        (lambda d, m: m["trees"][0]["split_indices"].__setitem__(0, 4), "splits on feature"),
        (lambda d, m: m["tree_info"].__setitem__(0, 5), "class that does not exist"),
        (lambda d, m: m.__setitem__("iteration_indptr", [0, 900]), "iterations"),
        (lambda d, m: m["trees"][0].__setitem__("categories_nodes", [0]), "category sets"),
        (lambda d, m: d["learner"]["gradient_booster"].__setitem__("name", "other"), "unknown"),
        (lambda d, m: d.pop("learner"), "lacks"),
        (lambda d, m: d["learner"]["learner_model_param"].__setitem__("num_feature", "x"), "lacks"),
    ],
)
def test_damage_to_xgboost_json_is_named(xgb, change: Any, what: str) -> None:
    document = json.loads(bytes(xgb.save_raw("json")))
    assert scan(edited(document, lambda d, m: None), "xgboost-json").ok
    assert what in reason(scan(edited(document, change), "xgboost-json"))


def test_xgboost_ubj_cut_anywhere_is_refused(xgb) -> None:
    data = bytes(xgb.save_raw("ubj"))
    for place in range(1, len(data), max(1, len(data) // 80)):
        assert not scan(data[:place], "xgboost-ubj").ok
    assert "follow the document" in reason(scan(data + b"\0", "xgboost-ubj"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"[" * 1_000, "nested"),
        (b"[#L" + struct.pack(">q", 1 << 50), "length"),
        (b"[$L#L" + struct.pack(">q", -1), "length"),
        (b"[$L", "no count"),
        (b"{i\x01aZi\x01aZ}", "twice"),
        (b"S", "cut off"),
        (b"?", "no UBJSON type"),
        (b"[$T#L" + struct.pack(">q", 3), "typed container"),
    ],
)
def test_hostile_ubjson(data: bytes, what: str) -> None:
    with pytest.raises(DocumentError, match=what):
        read_ubj(data, nodes=1_000)


def test_json_bounds() -> None:
    assert read_json(b'{"a": ["[[[[", 1]}', nodes=10) == {"a": ["[[[[", 1]}
    for data, what in (
        (b'{"a": 1, "a": 2}', "twice"),
        (b"[" * 100, "nested"),
        (b"[" + b"1," * 2_000 + b"1]", "more than"),
    ):
        with pytest.raises(DocumentError, match=what):
            read_json(data, nodes=100)


@pytest.mark.parametrize(
    ("core", "length", "ok"),
    [(b"x" * 40, 40, True), (b"x" * 40, 41, False), (b"", 0, False), (b"x", 1 << 31, False)],
)
def test_catboost_core_length(core: bytes, length: int, ok: bool) -> None:
    assert scan(b"CBM1" + struct.pack("<I", length) + core, "catboost-cbm").ok is ok


def archive(members: dict[str, bytes], **options: Any) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, **options) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return target.getvalue()


def node(module: str, name: str, loader: str = "ObjectNode", **more: Any) -> dict[str, Any]:
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


GOOD = node("sklearn.preprocessing._data", "StandardScaler", protocol=2, _skops_version="0.13")


def npy(array: np.ndarray) -> bytes:
    target = io.BytesIO()
    np.save(target, array, allow_pickle=True)
    return target.getvalue()


def test_skops_archive_passes() -> None:
    report = scan(archive({"1.npy": npy(np.arange(9.0)), "schema.json": json.dumps(GOOD).encode()}), "skops")
    assert report.findings == ()
    assert report.model_class == "sklearn.preprocessing._data.StandardScaler"
    assert dict(report.versions) == {"skops": "0.13"}


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({}, "cannot be read"),
        ({"../x.npy": npy(np.arange(3))}, "no plain file name"),
        ({"/etc/x": b""}, "no plain file name"),
        ({"a/b.npy": b""}, "no plain file name"),
        ({"x.pkl": b"\x80\x04."}, "no array"),
        ({"1.npy": b"junk"}, "no NumPy array"),
        ({"1.npy": npy(np.array([None], dtype=object))}, "no plain number"),
        ({"1.npy": npy(np.arange(9.0))[:-8]}, "bytes instead of"),
        ({"1.npy": npy(np.zeros(100_000_000, dtype=np.int8))}, "inflate"),
    ],
)
def test_hostile_skops_members(members: dict[str, bytes], what: str) -> None:
    schema = {"schema.json": json.dumps(GOOD).encode()} if members else {}
    assert what in reason(scan(archive({**members, **schema}), "skops"))


@pytest.mark.parametrize(
    ("schema", "what"),
    [
        (
            node("os", "system", "FunctionNode", content={"module_path": "os", "function": "system"}),
            "os.system",
        ),
        ({**GOOD, "content": node("subprocess", "Popen")}, "subprocess.Popen"),
        ({**GOOD, "content": node("builtins", "eval", "TypeNode")}, "builtins.eval"),
        ({**GOOD, "content": node("operator", "attrgetter", "OperatorFuncNode")}, "operator.attrgetter"),
        ({**GOOD, "content": node("builtins", "method", "MethodNode")}, "builtins.method"),
        (
            {**GOOD, "content": {"__module__": 1, "__class__": "x", "__loader__": "ObjectNode"}},
            "names no class",
        ),
    ],
)
def test_hostile_skops_schemas(schema: dict[str, Any], what: str) -> None:
    assert what in reason(scan(archive({"schema.json": json.dumps(schema).encode()}), "skops"))


def test_skops_schema_nested_too_deep() -> None:
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    assert "nested" in reason(scan(archive({"schema.json": deep}), "skops"))


@pytest.fixture(scope="module")
def forest() -> Any:
    import onnx
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    return onnx.load_model_from_string(
        to_onnx(RandomForestClassifier(3, max_depth=3).fit(X, Y), X[:1]).SerializeToString()
    )


def onnx_model(nodes: list[Any], **options: Any) -> Any:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [value], [out], options.pop("initializers", []))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], **options)


def test_onnx_passes(forest) -> None:
    from onnx import helper

    for model in (forest, onnx_model([helper.make_node("Identity", ["x"], ["y"])])):
        assert scan(model.SerializeToString(), "onnx").findings == ()


def _external(model: Any) -> None:
    from onnx import TensorProto

    tensor = model.graph.initializer.add(name="w", data_type=1, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")


def _external_inside(model: Any) -> None:
    from onnx import TensorProto

    attribute = model.graph.node.add(op_type="Constant", output=["c"]).attribute.add(name="value", type=4)
    attribute.t.data_type, attribute.t.data_location = 1, TensorProto.EXTERNAL


def _loop(model: Any) -> None:
    body = onnx_model([]).graph
    model.graph.node.add(op_type="Loop", input=["x", ""], output=["z"]).attribute.add(
        name="body", type=5
    ).g.CopyFrom(body)


def _deep(model: Any) -> None:
    graph = model.graph
    for _ in range(10):
        graph = (
            graph.node.add(op_type="If", input=["x"], output=["z"])
            .attribute.add(name="then_branch", type=5)
            .g
        )


def _recursion(model: Any) -> None:
    model.opset_import.add(domain="own", version=1)
    function = model.functions.add(domain="own", name="f", output=["o"])
    function.node.add(domain="own", op_type="f", output=["o"])


def _huge(model: Any) -> None:
    model.graph.initializer.add(name="s", data_type=7, dims=[1], int64_data=[1 << 40])
    model.graph.node.add(op_type="ConstantOfShape", input=["s"], output=["z"])


def _cycle(model: Any) -> None:
    model.graph.node.add(op_type="Neg", input=["b"], output=["a"])
    model.graph.node.add(op_type="Neg", input=["a"], output=["b"])


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (_external, "external data"),
        (_external_inside, "external data"),
        (_loop, "loop"),
        (_deep, "deep nesting"),
        (_recursion, "recursion"),
        (_huge, "makes"),
        (_cycle, "cycle"),
        (lambda m: m.opset_import.add(domain="evil.ops", version=1), "unknown domain"),
        (
            lambda m: m.graph.node.add(domain="com.microsoft", op_type="Other", output=["z"]),
            "custom operator",
        ),
        (lambda m: m.functions.add(domain="", name="Add"), "redefines"),
        (lambda m: m.training_info.add(), "training"),
        (lambda m: m.graph.initializer.add(name="w", data_type=1, dims=[-1]), "negative size"),
        (lambda m: m.graph.initializer.add(name="w", data_type=1, dims=[1 << 40]), "claims"),
        (
            lambda m: m.graph.initializer.add(name="w", data_type=1, dims=[3], raw_data=b"abcd"),
            "needs 12 bytes",
        ),
        (lambda m: m.opset_import.add(domain="ai.onnx.ml", version=9_999), "opset"),
    ],
)
def test_hostile_onnx_graphs(change: Any, what: str) -> None:
    from onnx import helper

    model = onnx_model([helper.make_node("Identity", ["x"], ["y"])])
    change(model)
    assert what in reason(scan(model.SerializeToString(), "onnx"))


@pytest.mark.parametrize(
    ("name", "place", "value", "what"),
    [
        ("nodes_truenodeids", 0, 0, "cycle"),
        ("nodes_truenodeids", 0, 999, "does not exist"),
        ("nodes_featureids", 0, 4, "feature number"),
        ("nodes_featureids", 0, -1, "feature number"),
        ("nodes_nodeids", 1, 0, "twice"),
    ],
)
def test_hostile_onnx_trees(forest, name: str, place: int, value: int, what: str) -> None:
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(forest)
    tree = next(entry for entry in model.graph.node if entry.op_type == "TreeEnsembleClassifier")
    next(entry for entry in tree.attribute if entry.name == name).ints[place] = value
    assert what in reason(scan(model.SerializeToString(), "onnx"))


def test_infinite_thresholds_of_onnx_trees_are_refused(forest) -> None:
    import onnx

    model = onnx.ModelProto()
    model.CopyFrom(forest)
    tree = next(entry for entry in model.graph.node if entry.op_type == "TreeEnsembleClassifier")
    next(entry for entry in tree.attribute if entry.name == "nodes_values").floats[0] = float("inf")
    assert "infinite threshold" in reason(scan(model.SerializeToString(), "onnx"))


def test_a_larger_file_may_hold_more(xgb) -> None:
    few = Limits(nodes=3)
    long = bytes(xgb.save_raw("json")) + b" " * 100_000
    assert scan(long, "xgboost-json", limits=few).ok
    assert read_json(b"[" + b"1.5," * 2_000 + b"1]", nodes=100)[-1] == 1


def test_unknown_format_is_refused() -> None:
    assert "not known" in reason(scan(b"anything", "hdf5"))


def test_limits_on_nodes(xgb, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few = Limits(nodes=3)
    # As if files spent more on each node than these do.
    monkeypatch.setattr("validator.documents.BYTES_A_NODE", 1 << 30)
    monkeypatch.setattr("validator.documents.BYTES_A_VALUE", 1 << 30)
    assert "more than" in reason(scan(text.encode(), "lightgbm-text", limits=few))
    assert reason(scan(bytes(xgb.save_raw("ubj")), "xgboost-ubj", limits=few))


def test_facts_for_inspection(booster, tmp_path) -> None:
    import pickle

    data = pickle.dumps({"model": booster, "threshold": 0.5})
    report = scan(data, "pickle")
    facts = gather(ModelFile(tmp_path / "m.pkl", "pickle", len(data), "0" * 64), report)
    assert facts.framework == "lightgbm"
    assert facts.framework_version == "v4"
    assert facts.model_class == "builtins.dict"
    assert facts.verdict == "safe"
    assert ("lightgbm.basic.Booster", "construct") in facts.imports
    assert json.loads(json.dumps(facts.to_dict()))["sha256"] == "0" * 64


@pytest.mark.parametrize(("top", "preload", "wanted"), [
    ("sklearn.pipeline.Pipeline", ("lightgbm.sklearn", "sklearn.pipeline"), "sklearn"),
    ("mine.Model", ("lightgbm.sklearn", "sklearn.pipeline"), "lightgbm"),
    ("builtins.int", (), ""),
])  # fmt: skip
def test_framework(top: str, preload: tuple[str, ...], wanted: str) -> None:
    assert framework_of(SafetyReport("pickle", "safe", model_class=top, preload=preload)) == wanted
