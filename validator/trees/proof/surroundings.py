"""The graph around the trees, held against what the native model needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from validator.trees.ensemble import ZERO_ZONE, Task, TransformKind, TreeEnsemble
from validator.trees.evaluate import answers
from validator.trees.onnx_reading import trees3
from validator.trees.onnx_reading.graph import Array, Node, NotUnderstoodError
from validator.trees.onnx_reading.model import OnnxTreeModel
from validator.trees.onnx_reading.patterns import Found, match
from validator.trees.proof import expected
from validator.trees.proof.expected import FLOAT32, FLOAT64, INT64
from validator.trees.proof.leaves import is_one_score


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphConstants:
    """The constants of a graph that has the right form."""

    constants: dict[str, Array]
    differences: tuple[str, ...]
    """constants with wrong values, in words; those of leaves are compared elsewhere"""
    older: bool = False
    """a TreeEnsembleRegressor or -Classifier that is the whole graph: it adds its base values last"""


def surroundings(model: OnnxTreeModel, native: TreeEnsemble) -> GraphConstants:
    """The graph's constants. Raises NotUnderstoodError where its form is not the expected one."""
    graph, found = model.graph, Found()
    if model.node.op == "TreeEnsembleRegressor":
        return _older(model, native)
    if model.node.op == "TreeEnsembleClassifier":
        return _older_classifier(model, native)
    if graph.opsets.get("", 0) < 13:
        raise NotUnderstoodError("an operator set before 13")
    wanted = expected.outputs(native)
    if graph.outputs != tuple(wanted):
        raise NotUnderstoodError(f"outputs {', '.join(graph.outputs)} where {', '.join(wanted)} belong")
    for name, pattern in wanted.items():
        match(graph, name, pattern, found)
    match(graph, found.tensors["answer"], expected.answer(native.transform), found)
    match(graph, found.tensors["raw"], expected.raw(native, expected.sums(native)), found)
    if found.tensors["scores"] not in model.node.outputs:
        raise NotUnderstoodError("scores that do not come from the trees")
    if native.linear is not None:
        _check_features(model, native, found)
    return GraphConstants(constants=found.constants, differences=tuple(_differences(native, found.constants)))


def raw_tensor(model: OnnxTreeModel, native: TreeEnsemble) -> str:
    """The tensor that holds the raw scores. Raises NotUnderstoodError where the graph is not of the expected form."""
    found = Found()
    for name, pattern in expected.outputs(native).items():
        match(model.graph, name, pattern, found)
    match(model.graph, found.tensors["answer"], expected.answer(native.transform), found)
    return found.tensors["raw"]


def _older(model: OnnxTreeModel, native: TreeEnsemble) -> GraphConstants:
    """Regressors of other converters, whose answer is what the tree operator gives."""
    graph = model.graph
    if native.transform.kind is not TransformKind.IDENTITY or native.task is Task.CLASSIFICATION:
        raise NotUnderstoodError("a TreeEnsembleRegressor for a model that transforms its scores")
    _back_to_trees(model, graph.outputs[0], ("Identity",))
    if len(graph.outputs) != 1 or model.node.text("post_transform", "NONE") != "NONE":
        raise NotUnderstoodError("a TreeEnsembleRegressor that does more than add")
    if model.trees.dtype != "float32":
        # ONNX Runtime then adds in double and gives float.
        raise NotUnderstoodError("a TreeEnsembleRegressor over double input")
    base = native.base_score.astype(np.float32).astype(np.float64)
    found = []
    if (model.trees.base_values != base).any():
        found.append(f"base values {model.trees.base_values.tolist()} where the model has {base.tolist()}")
    divisor = len(model.trees.roots) if model.trees.average else 1
    # Where the operator adds, an average is taken in the leaves, and compared there.
    if divisor not in (1, native.divisor):
        found.append(f"sums divided by {divisor} where the model divides by {native.divisor:g}")
    if native.divisor != 1 and native.base_first and native.base_score.any():
        raise NotUnderstoodError("a base score that is averaged with the trees")
    return GraphConstants(constants={}, differences=tuple(found), older=True)


def _older_classifier(model: OnnxTreeModel, native: TreeEnsemble) -> GraphConstants:
    """Classifiers of other converters, whose probabilities are what the tree operator adds.

    Of two classes ONNX Runtime takes the first score for class 1 where no leaf has a weight for another class, else
    it goes by the second one's sign; of more it takes the first largest.
    """
    node, trees, graph = model.node, model.trees, model.graph
    if native.transform.kind is not TransformKind.IDENTITY or native.task is not Task.CLASSIFICATION:
        raise NotUnderstoodError("a TreeEnsembleClassifier for a model that transforms its scores")
    if node.text("post_transform", "NONE") != "NONE" or trees.average or trees.base_values.any():
        raise NotUnderstoodError("a TreeEnsembleClassifier that does more than add")
    if trees.dtype != "float32" or (trees.leaf_value < 0).any():
        raise NotUnderstoodError("a TreeEnsembleClassifier over double input, or with weights below zero")
    if (native.n_targets == 1) != (trees.n_targets == 2) or (
        native.n_targets == 1 and not is_one_score(trees)
    ):
        raise NotUnderstoodError("a TreeEnsembleClassifier of two classes with weights for both")
    given = list(trees3.class_labels(node))
    found = [] if given == list(native.class_labels) else [f"labels {given}, not {list(native.class_labels)}"]
    ends = []
    for name in graph.outputs:
        path, end = _back_to_trees(model, name, ("Identity", "Cast", "ZipMap"))
        ends.append(end)
        mapped = [list(trees3.class_labels(step)) for step in path if step.op == "ZipMap"]
        found += [f"probabilities of {one}, not {given}" for one in mapped if one != given]
        kinds = (INT64,) if end == node.outputs[0] else (FLOAT32, FLOAT64)
        if any(step.op == "Cast" and step.integer("to", 0) not in kinds for step in path):
            raise NotUnderstoodError("labels or probabilities that are cast to something else")
    if sorted(ends) != sorted(node.outputs):
        raise NotUnderstoodError("outputs other than a label and probabilities")
    return GraphConstants(constants={}, differences=tuple(found), older=True)


def _back_to_trees(model: OnnxTreeModel, name: str, through: tuple[str, ...]) -> tuple[list[Node], str]:
    """The operators from an output back to one of the tree operator's, and that; they may be `through` alone."""
    path: list[Node] = []
    while name not in model.node.outputs:
        node = model.graph.maker.get(name)
        if node is None or node.op not in through:
            raise NotUnderstoodError(f"operators after the {model.node.op}")
        path.append(node)
        name = node.inputs[0]
    return path, name


def _check_features(model: OnnxTreeModel, native: TreeEnsemble, found: Found) -> None:
    """Linear leaves must read the features as they are: what the trees read first. They read no categories."""
    if "features" not in found.tensors:
        return
    from validator.trees.onnx_reading.columns import trace

    columns = trace(model.graph, found.tensors["features"])
    read = set() if native.linear is None else set(native.linear.feature.tolist())
    if any(
        c.source != place or (_ops(c.expression) - {"Cast", "x"} and place in read)
        for place, c in enumerate(columns)
    ):
        raise NotUnderstoodError("linear leaves that read something other than the features")


def _ops(expression: tuple[object, ...]) -> set[object]:
    if expression[0] == "Code":
        return {"Code"}
    inner = [part for part in expression[1:] if isinstance(part, tuple)]
    return {expression[0]}.union(*(_ops(part) for part in inner))


def _differences(native: TreeEnsemble, constants: dict[str, Array]) -> list[str]:
    sums, after = native.accumulation_dtype, native.transform.dtype
    wanted: dict[str, Array] = {
        "divisor": np.array([native.divisor], dtype=sums),
        "base": native.base_score.astype(sums),
        "factor": np.array([native.transform.factor], dtype=after),
        "offset": np.array([native.transform.offset], dtype=after),
        "zone": np.array([ZERO_ZONE], dtype=sums),
    }
    found = []
    for name, value in wanted.items():
        array = constants.get(name)
        if array is not None and not _equal(array, value):
            found.append(f"{name} {array.reshape(-1).tolist()} where the model has {value.tolist()}")
    return found + _label_differences(native, constants)


def _equal(array: Array, value: Array) -> bool:
    flat = array.reshape(-1)
    return flat.dtype == value.dtype and flat.shape == value.shape and bool((flat == value).all())


def _label_differences(native: TreeEnsemble, constants: dict[str, Array]) -> list[str]:
    if native.task is not Task.CLASSIFICATION:
        return []
    labels = list(native.class_labels)
    if native.n_targets > 1:
        given = constants.get("labels")
        if given is not None and _texts(given) != labels:
            return [f"labels {_texts(given)} where the model has {labels}"]
        return []
    given_pair = _texts(constants["label 0"]) + _texts(constants["label 1"])
    found = [] if given_pair == labels else [f"labels {given_pair} where the model has {labels}"]
    cut = constants["cut"].reshape(-1)
    if cut.dtype != np.dtype(native.transform.dtype) or cut.size != 1 or not _cuts_labels(native, cut):
        found.append(
            f"class 1 above a raw score of {cut.tolist()}, which is not where the model's label changes"
        )
    return found


def _cuts_labels(native: TreeEnsemble, cut: Array) -> bool:
    """Whether the model's label is class 0 at the cut and class 1 at the next score; it is monotone in the score."""
    if not np.isfinite(cut).all():
        return False
    scores = np.array([cut[0], np.nextafter(cut[0], cut.dtype.type(np.inf))])[:, None]
    label = answers(native, scores).label
    return label is not None and label.tolist() == [0, 1]


def _texts(array: Array) -> list[object]:
    return [value.decode() if isinstance(value, bytes) else value for value in array.reshape(-1).tolist()]
