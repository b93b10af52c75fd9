"""A graph from skl2onnx, given the signature of our files: names and shapes of inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from validator.errors import ConversionError
from validator.trees.onnx_wire import ML_OPSET

_FLOAT, _INT64, _STRING, _DOUBLE = 1, 7, 8, 11


def tidy(proto: Any, model: Any, *, dtype: str, join: Sequence[str] | None) -> None:
    """Rename outputs, give them our shapes, take ZipMap away; `join` turns these inputs into one, `features`.

    `dtype` is that of the graph's numbers.

    Changes `proto`. Raises ConversionError for outputs that have no place in the signature.
    """
    graph = proto.graph
    _without_zipmap(graph, _DOUBLE if dtype == "float64" else _FLOAT)
    canonical_names(graph)
    chosen = _chosen(list(graph.output), model)
    clash = {new for _, new in chosen} & {value.name for value in graph.input}
    if clash:
        raise ConversionError(
            f"a column is named {min(clash)!r}, which is the name of an output",
            hint="rename the column and train again",
        )
    del graph.output[:]
    classes = getattr(model, "classes_", None)
    swapped = type(_answering(model)).__name__ in ("SVC", "NuSVC")
    for old, new in chosen:
        _add_output(graph, old, new, classes=0 if classes is None else len(classes), swapped=swapped)
    if join is not None:
        _join_inputs(graph, join)
    _without_unused(graph)


def _answering(model: Any) -> Any:
    """The estimator whose scores come out: a pipeline's last step, a search's best model."""
    while True:
        inner = model.steps[-1][1] if hasattr(model, "steps") else getattr(model, "best_estimator_", None)
        if inner is None:
            return model
        model = inner


def label(proto: Any, metadata: Mapping[str, str]) -> None:
    """Write the producer and the metadata, in the order of the keys, and forget what skl2onnx said of itself."""
    from onnx import helper

    from validator import __version__

    proto.producer_name, proto.producer_version = "model-preflight", __version__
    proto.domain, proto.doc_string, proto.graph.doc_string, proto.graph.name = "", "", "", "model"
    versions: dict[str, int] = {}
    for entry in proto.opset_import:
        versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
    if any(node.op_type == "TreeEnsemble" for node in proto.graph.node):
        versions["ai.onnx.ml"] = ML_OPSET
    del proto.opset_import[:]
    for domain in sorted(versions):
        proto.opset_import.append(helper.make_opsetid(domain, versions[domain]))
    helper.set_model_props(proto, {key: metadata[key] for key in sorted(metadata)})


def canonical_names(graph: Any) -> None:
    """Call every value but the inputs v0, v1, ... in the order in which they appear, in subgraphs too.

    skl2onnx makes names from addresses in memory, and some that the signature needs for something else.
    """
    outside = {value.name for value in graph.input} | {""}
    counter = iter(range(1 << 62))
    _rename(graph, {name: name for name in outside}, counter)
    del graph.value_info[:]


def _rename(graph: Any, known: dict[str, str], counter: Iterator[int]) -> None:
    def fresh(name: str) -> str:
        if name not in known:
            known[name] = f"v{next(counter)}"
            while known[name] in taken:
                known[name] = f"v{next(counter)}"
        return known[name]

    taken = set(known.values())
    for tensor in graph.initializer:
        tensor.name = fresh(tensor.name)
    for number, node in enumerate(graph.node):
        node.name = f"n{number}"
        node.input[:] = [fresh(name) for name in node.input]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                inner = dict(known)
                for value in attribute.g.input:
                    inner[value.name] = f"v{next(counter)}"
                    value.name = inner[value.name]
                attribute.g.name = f"g{number}"
                _rename(attribute.g, inner, counter)
        node.output[:] = [fresh(name) for name in node.output]
    for value in graph.output:
        value.name = fresh(value.name)


def _without_zipmap(graph: Any, number: int) -> None:
    zipmaps = [node for node in graph.node if node.op_type == "ZipMap"]
    known = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}
    for node in zipmaps:
        for output in graph.output:
            if output.name == node.output[0]:
                output.name = node.input[0]
                output.type.Clear()
                output.type.tensor_type.elem_type = known.get(node.input[0], number)
        graph.node.remove(node)


def _chosen(outputs: list[Any], model: Any) -> list[tuple[Any, str]]:
    """Which outputs stay, and their names."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if hasattr(last, "fit_predict") and hasattr(last, "offset_") and len(outputs) == 2:
        return [(outputs[0], "label"), (outputs[1], "score")]
    if getattr(model, "classes_", None) is not None and len(outputs) == 2:
        if hasattr(model, "predict_proba"):
            return [(outputs[0], "label"), (outputs[1], "probabilities")]
        scores = [(outputs[1], "score")] if hasattr(model, "decision_function") else []
        return [(outputs[0], "label"), *scores]
    if outputs and hasattr(model, "predict"):
        return [(outputs[0], "prediction")]
    raise ConversionError(
        f"the {type(model).__name__} gives {len(outputs)} outputs and no prediction",
        hint="save a model that ends in a classifier or regressor",
    )


def _add_output(graph: Any, old: Any, new: str, *, classes: int, swapped: bool) -> None:
    """Add the output `new`, made of the old one: [N] where one number or label a row is given."""
    from onnx import helper

    dtype = old.type.tensor_type.elem_type
    dims = old.type.tensor_type.shape.dim
    width = dims[1].dim_value if len(dims) == 2 else 0
    source: str = old.name
    shape: list[str | int] = ["N"]
    if new == "score":
        if classes > 2:
            width = classes
        else:
            # One column, or two where scikit-learn gives one: minus the score and the score, but support vector
            # machines the other way about.
            source, width, column = "score_column", 1, 0 if swapped else -1
            graph.initializer.append(helper.make_tensor("column", _INT64, [1], [column]))
            graph.node.append(helper.make_node("Gather", [old.name, "column"], [source], axis=1))
    if new == "label" or (width <= 1 and new != "probabilities"):
        graph.initializer.append(helper.make_tensor(f"{new}_shape", _INT64, [1], [-1]))
        graph.node.append(helper.make_node("Reshape", [source, f"{new}_shape"], [f"{new}_flat"]))
        source = f"{new}_flat"
    else:
        shape = ["N", width or "C"]
    if new == "prediction" and dtype not in (_FLOAT, _DOUBLE):
        graph.node.append(helper.make_node("Cast", [source], [f"{new}_number"], to=_DOUBLE))
        source, dtype = f"{new}_number", _DOUBLE
    _rename_or_copy(graph, source, new)
    graph.output.append(helper.make_tensor_value_info(new, dtype, shape))


def _without_unused(graph: Any) -> None:
    """Constants that nothing uses make ONNX Runtime warn at every load."""
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    if any(attribute.HasField("g") for node in graph.node for attribute in node.attribute):
        return
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _rename_or_copy(graph: Any, source: str, new: str) -> None:
    from onnx import helper

    last = graph.node[-1]
    if list(last.output) == [source] and source.startswith(f"{new}_"):
        last.output[0] = new
    elif source != new:
        graph.node.append(helper.make_node("Identity", [source], [new]))


def _join_inputs(graph: Any, names: Sequence[str]) -> None:
    """One input `features` [N, F], split into the columns that the graph knows by name."""
    from onnx import helper

    dtype = graph.input[0].type.tensor_type.elem_type
    known = {value.name for value in graph.input}
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("features", dtype, ["N", len(names)]))
    outputs = [name if name in known else f"unused_{i}" for i, name in enumerate(names)]
    graph.initializer.append(helper.make_tensor("column_widths", _INT64, [len(names)], [1] * len(names)))
    graph.node.insert(0, helper.make_node("Split", ["features", "column_widths"], outputs, axis=1))
