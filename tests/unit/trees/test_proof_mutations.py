"""No single change of an ONNX file survives the proof, and every faithful file is proved."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.trees import proof_models as models
from validator.errors import ConversionError
from validator.trees.proof import Status, prove
from validator.trees.rows.boundary import plan_boundary
from validator.trees.writer import write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


KINDS = {kind.name: kind for kind in models.KINDS}
DTYPES = ("float64", "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", KINDS)
def test_every_faithful_file_is_proved(name: str, dtype: str) -> None:
    for seed in range(5):
        ensemble = models.make(KINDS[name], seed)
        proof = prove(ensemble, write(ensemble, input_dtype=dtype))
        assert proof.status is Status.PROVED, proof.reason
        assert proof.bounds is not None
        assert proof.bounds.raw_in_order == 0.0
        assert proof.labels_exact
        assert 0 <= proof.bounds.raw < (1e-4 if ensemble.accumulation_dtype == "float32" else 1e-12)


def _array(attribute: Any) -> np.ndarray:
    from onnx import numpy_helper

    return numpy_helper.to_array(attribute.t).copy()


def _put(attribute: Any, values: np.ndarray) -> None:
    from onnx import numpy_helper

    attribute.t.CopyFrom(numpy_helper.from_array(values, attribute.t.name))


def _ulp(values: np.ndarray, at: int, random: np.random.Generator) -> None:
    values[at] = np.nextafter(values[at], values.dtype.type(random.choice([-np.inf, np.inf])))


def _split(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    values, modes = _array(a["nodes_splits"]), _array(a["nodes_modes"])
    at = int(random.choice(np.flatnonzero(modes[:nodes] != 6)))
    # A step of float32 is one of both types; a step of float64 is none where only float32 values come.
    step = np.array([values[at]], dtype=random.choice([np.float32, values.dtype.type]))
    _ulp(step, 0, random)
    values[at] = step[0]
    _put(a["nodes_splits"], values)
    return True


def _swap(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    at = int(random.integers(nodes))
    for one, other in (("nodes_truenodeids", "nodes_falsenodeids"), ("nodes_trueleafs", "nodes_falseleafs")):
        a[one].ints[at], a[other].ints[at] = a[other].ints[at], a[one].ints[at]
    return True


def _missing(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    if "nodes_missing_value_tracks_true" not in a:
        return False
    a["nodes_missing_value_tracks_true"].ints[int(random.integers(nodes))] ^= 1
    return True


def _member(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    if "membership_values" not in a:
        return False
    values = _array(a["membership_values"])
    values[int(random.choice(np.flatnonzero(~np.isnan(values))))] += random.choice([10.0, 20.0])
    _put(a["membership_values"], values)
    return True


def _leaf(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    values = _array(a["leaf_weights"])
    _ulp(values, int(random.integers(len(values))), random)
    _put(a["leaf_weights"], values)
    return True


def _target(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    ids, count = a["leaf_targetids"].ints, a["n_targets"].i
    if count == 1:
        return False
    at = int(random.integers(len(ids)))
    ids[at] = (ids[at] + 1) % count
    return True


def _mode(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    modes = _array(a["nodes_modes"])
    at = int(random.choice(np.flatnonzero(modes[:nodes] != 6)))
    modes[at] = (modes[at] + random.integers(1, 6)) % 6
    _put(a["nodes_modes"], modes)
    return True


def _feature(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    ids = a["nodes_featureids"].ints
    at = int(random.integers(nodes))
    ids[at] = (ids[at] + 1) % models.FEATURES
    return True


def _root(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    roots = a["tree_roots"].ints
    one, other = random.choice(len(roots), size=2, replace=False)
    roots[one], roots[other] = roots[other], roots[one]
    return True


def _average(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    a["aggregate_function"].i = int(random.choice([0, 2, 3]))
    return True


def _inner_transform(a: dict[str, Any], nodes: int, random: np.random.Generator) -> bool:
    a["post_transform"].i = int(random.integers(1, 5))
    return True


IN_TREES = (
    _split,
    _split,
    _swap,
    _missing,
    _member,
    _leaf,
    _target,
    _mode,
    _feature,
    _root,
    _average,
    _inner_transform,
)


def _constant(graph: Any, random: np.random.Generator) -> bool:
    """A base, divisor, factor, label, table or zone."""
    from onnx import numpy_helper

    usable = [tensor for tensor in graph.initializer if numpy_helper.to_array(tensor).dtype.kind in "fi"]
    if not usable:
        return False
    tensor = usable[int(random.integers(len(usable)))]
    values = numpy_helper.to_array(tensor).copy()
    at = int(random.integers(values.size))
    flat = values.reshape(-1)
    if values.dtype.kind == "i":
        flat[at] += 1
    elif np.isnan(flat[at]):
        flat[at] = 1
    else:
        _ulp(flat, at, random)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return True


def _stage(graph: Any, random: np.random.Generator) -> bool:
    """What makes a number NaN before the trees: left out, turned about, or asked another question."""
    equal = [node for node in graph.node if node.op_type == "Equal"]
    if not equal:
        return False
    where = next(
        node for node in graph.node if node.op_type == "Where" and node.input[0] == equal[0].output[0]
    )
    change = int(random.integers(4))
    if change == 0:
        where.op_type, where.input[:] = "Identity", [where.input[2]]
        graph.node.remove(equal[0])
    elif change == 1:
        where.input[1], where.input[2] = where.input[2], where.input[1]
    elif change == 2:
        equal[0].op_type = str(random.choice(["Less", "GreaterOrEqual"]))
    else:
        for node in graph.node:
            if node.op_type == "TreeEnsemble" and where.output[0] in node.input:
                node.input[0] = where.input[2]
                return True
        return False
    return True


def _transform(graph: Any, random: np.random.Generator) -> bool:
    """An operator after the trees."""
    others = {"Exp": "Sqrt", "Div": "Mul", "Neg": "Abs", "Sub": "Add", "Add": "Sub", "Softmax": "LogSoftmax",
              "Mul": "Add", "ArgMax": "ArgMin", "Greater": "Less", "Abs": "Neg"}  # fmt: skip
    trees = [node.op_type for node in graph.node].index("TreeEnsemble")
    after = [node for node in graph.node[trees:] if node.op_type in others]
    if not after:
        return False
    node = after[int(random.integers(len(after)))]
    node.op_type = others[node.op_type]
    return True


def _mutant(data: bytes, nodes: int, random: np.random.Generator) -> tuple[str, bytes] | None:
    import onnx

    model = onnx.load_model_from_string(data)
    node = next(node for node in model.graph.node if node.op_type == "TreeEnsemble")
    changes = (*IN_TREES, _constant, _constant, _transform, _stage, _stage)
    change = changes[int(random.integers(len(changes)))]
    if change in (_constant, _transform, _stage):
        done = change(model.graph, random)
    else:
        done = change({attribute.name: attribute for attribute in node.attribute}, nodes, random)
    return (change.__name__, model.SerializeToString()) if done else None


def _outputs(data: bytes, rows: np.ndarray, dtype: str) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(None, {"features": rows.astype(dtype)})
    return found


def _hunt(per_model: int, seeds: range) -> Counter[tuple[str, str]]:
    """Mutate; a survivor must answer every boundary row as the faithful file does, bit for bit."""
    verdicts: Counter[tuple[str, str]] = Counter()
    for seed in seeds:
        random = np.random.default_rng(seed)
        for name, kind in KINDS.items():
            ensemble = models.make(kind, seed)
            for dtype in DTYPES:
                data = write(ensemble, input_dtype=dtype)
                for _ in range(per_model):
                    made = _mutant(data, ensemble.n_nodes, random)
                    if made is None or made[1] == data:
                        continue
                    change, mutant = made
                    try:
                        proof = prove(ensemble, mutant)
                    except ConversionError:
                        verdicts[change, "refused"] += 1
                        continue
                    verdicts[change, str(proof.status)] += 1
                    if proof.status is Status.PROVED:
                        # Steps between two values that can come in change nothing; all else must be out of reach.
                        assert proof.unreachable or change in ("_split", "_mode", "_constant"), (name, change)
                        _check_harmless(ensemble, data, mutant, dtype, f"{name} {dtype} {change}")
                    if proof.status is Status.DIFFERENT:
                        assert proof.difference is not None
                        assert proof.difference.row is not None
                        assert proof.difference.what
    return verdicts


def _check_harmless(ensemble: Any, data: bytes, mutant: bytes, dtype: str, what: str) -> None:
    plan = plan_boundary(ensemble, input_dtype=dtype, limit=4000)
    assert plan.taken + plan.unreachable == plan.branches
    for mine, theirs in zip(
        _outputs(data, plan.rows, dtype), _outputs(mutant, plan.rows, dtype), strict=True
    ):
        np.testing.assert_array_equal(mine, theirs, err_msg=what)


def _judge(verdicts: Counter[tuple[str, str]], at_least: int) -> None:
    assert sum(verdicts.values()) >= at_least
    # These change what is computed whatever the input is; the others can hit a place that no input reaches.
    for change in ("_average", "_inner_transform", "_transform", "_root", "_stage"):
        assert verdicts[change, "proved"] == 0, verdicts
    for change in ("_split", "_swap", "_missing", "_mode", "_feature", "_root", "_leaf", "_stage"):
        assert verdicts[change, "different"] > 0, verdicts


def test_no_mutation_survives() -> None:
    _judge(_hunt(18, range(1)), 300)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 106))
def test_no_mutation_of_thousands_survives(seed: int) -> None:
    _judge(_hunt(40, range(seed, seed + 1)), 650)


def test_a_wrong_number_for_missing_values_is_found_with_a_row() -> None:
    import onnx
    from onnx import numpy_helper

    ensemble = models.make(KINDS["marked"], 1)
    data = write(ensemble, input_dtype="float64")
    assert prove(ensemble, data).status is Status.PROVED
    for other in (np.nextafter(np.float32(0.5), np.float32(1)), np.float32(0.75), np.float32(-0.5)):
        model = onnx.load_model_from_string(data)
        name = next(node for node in model.graph.node if node.op_type == "Equal").input[1]
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        tensor.CopyFrom(numpy_helper.from_array(np.array(other), name))
        mutant = model.SerializeToString()
        proof = prove(
            ensemble,
            mutant,
            native_run=lambda rows: {"prediction": _outputs(data, rows, "float64")[0]},
            onnx_run=lambda rows, mutant=mutant: {"prediction": _outputs(mutant, rows, "float64")[0]},
        )
        assert proof.status is Status.DIFFERENT
        assert proof.difference is not None
        assert proof.difference.seen
        rounded = proof.difference.row.astype(np.float32)
        assert ((rounded == 0.5) | (rounded == other)).any()


def test_a_number_for_missing_values_where_the_model_has_none_is_found() -> None:
    ensemble = models.make(KINDS["marked"], 1)
    proof = prove(replace(ensemble, missing_value=None), write(ensemble, input_dtype="float32"))
    assert proof.status is Status.DIFFERENT
    other = prove(ensemble, write(replace(ensemble, missing_value=None), input_dtype="float32"))
    assert other.status is Status.DIFFERENT
    assert other.difference is not None
    assert 0.5 in other.difference.row


def test_a_ulp_of_a_threshold_is_found_with_a_row() -> None:
    import onnx

    ensemble = models.make(KINDS["regression"], 3)
    data = write(ensemble, input_dtype="float64")
    found = 0
    for node in range(ensemble.n_nodes):
        model = onnx.load_model_from_string(data)
        tree = next(item for item in model.graph.node if item.op_type == "TreeEnsemble")
        attribute = next(item for item in tree.attribute if item.name == "nodes_splits")
        splits = _array(attribute)
        splits[node] = np.nextafter(splits[node], np.inf)
        _put(attribute, splits)
        mutant = model.SerializeToString()
        proof = prove(
            ensemble,
            mutant,
            native_run=lambda rows: {"prediction": _outputs(data, rows, "float64")[0]},
            onnx_run=lambda rows, mutant=mutant: {"prediction": _outputs(mutant, rows, "float64")[0]},
        )
        if proof.status is Status.PROVED:
            assert proof.unreachable > 0
            continue
        found += 1
        assert proof.difference is not None
        assert proof.difference.seen
        assert proof.difference.native_node == node
        assert not np.array_equal(proof.difference.native_scores, proof.difference.onnx_scores)
    assert found >= ensemble.n_nodes // 2
