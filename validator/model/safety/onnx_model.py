"""Checking an ONNX model before ONNX Runtime opens it: no outside data, no foreign code, no endless or huge work.

Needs the onnx package, for the protobuf definitions alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from validator.documents import most_nodes
from validator.model.safety.onnx_graphs import GraphError, below, graphs
from validator.model.safety.onnx_tensors import MOST_ELEMENTS, check_tensors, constants_of
from validator.model.safety.onnx_trees import check_trees
from validator.model.safety.report import DEFAULT_LIMITS, SAFE, UNSAFE, Finding, Limits, SafetyReport

_DOMAINS = {"", "ai.onnx", "ai.onnx.ml"}
# ONNX Runtime's own operators that the stock converter needs: the tokenizer of text vectorizers alone.
_CONTRIB_DOMAIN, _CONTRIB = "com.microsoft", {"Tokenizer"}
_MOST_NODES = 200_000
_MOST_FUNCTIONS = 200
_MOST_TRIPS = 100_000
_MOST_OPSET = 100
# Operators whose output is as large as the value of one of their inputs says (input index).
_SIZED = {"ConstantOfShape": 0, "Expand": 1, "Tile": 1, "Resize": 3, "Upsample": 1, "EyeLike": -1}


def scan_onnx(data: bytes, *, limits: Limits = DEFAULT_LIMITS) -> SafetyReport:
    """Check an ONNX file's data, domains, operators, functions, loops, shapes and trees."""
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    limits = replace(limits, nodes=most_nodes(data, limits.nodes))
    findings: list[Finding] = []
    facts: dict[str, str] = {}
    try:
        model.ParseFromString(data)
        for check in (_check_head, _check_functions, check_tensors, _check_graphs):
            try:
                check(model, limits)
            except GraphError as error:
                findings.append(Finding(error.name, "format", 0, error.reason[:500], error.hint))
        facts = {
            "ir_version": str(model.ir_version),
            "opsets": ", ".join(
                f"{opset.domain or 'ai.onnx'} {opset.version}" for opset in model.opset_import
            )[:500],
            "nodes": str(len(model.graph.node)),
        }
    except (DecodeError, ValueError, OverflowError, RecursionError) as error:
        findings.append(
            Finding("onnx", "format", 0, f"cannot be read: {error}"[:500], "Export the model again.")
        )
    producer = model.producer_name[:100], model.producer_version[:50]
    return SafetyReport(
        "onnx",
        UNSAFE if findings else SAFE,
        tuple(findings),
        versions=(producer,) if producer[0] else (),
        model_class="onnx.ModelProto",
        facts=tuple(sorted(facts.items())),
    )


def _check_head(model: Any, _limits: Limits) -> None:
    domains = {opset.domain for opset in model.opset_import}
    foreign = sorted(
        domains - _DOMAINS - {_CONTRIB_DOMAIN} - {function.domain for function in model.functions}
    )
    if foreign:
        raise GraphError(
            "unknown domain",
            f"it needs operators of {', '.join(foreign)[:200]}",
            "Export the model with the operators of ONNX alone (ai.onnx and ai.onnx.ml).",
        )
    if not all(0 < opset.version <= _MOST_OPSET for opset in model.opset_import):
        raise GraphError(
            "opset", "it declares an opset version that does not exist", "Export the model again."
        )
    if model.training_info:
        raise GraphError("training", "it carries a training graph", "Export the model for inference.")


def _check_functions(model: Any, _limits: Limits) -> None:
    functions = {(function.domain, function.name): function for function in model.functions}
    if len(functions) != len(model.functions) or len(functions) > _MOST_FUNCTIONS:
        raise GraphError(
            "functions", "it defines functions twice, or too many", "Inline the model's functions."
        )
    if any(domain in _DOMAINS for domain, _name in functions):
        raise GraphError(
            "functions", "it redefines operators of ONNX itself", "Inline the model's functions."
        )
    called: dict[tuple[str, str], set[tuple[str, str]]] = {
        key: {(node.domain, node.op_type) for graph, _ in below(function) for node in graph.node}
        & set(functions)
        for key, function in functions.items()
    }
    while called:
        ready = [key for key, needs in called.items() if not needs & set(called)]
        if not ready:
            raise GraphError(
                "recursion", "its functions call each other in a circle", "Inline the functions."
            )
        for key in ready:
            del called[key]


def _check_graphs(model: Any, limits: Limits) -> None:
    functions = {(function.domain, function.name) for function in model.functions}
    widths = _widths(model.graph)
    total = 0
    for graph, _depth in graphs(model):
        total += len(graph.node)
        if total > _MOST_NODES:
            raise GraphError("size", f"it has more than {_MOST_NODES:,} nodes", "Simplify the model.")
        constants = constants_of(graph)
        _check_order(graph)
        for node in graph.node:
            known = node.domain in _DOMAINS or (node.domain == _CONTRIB_DOMAIN and node.op_type in _CONTRIB)
            if not known and (node.domain, node.op_type) not in functions:
                raise GraphError(
                    "custom operator",
                    f"it calls {node.domain}.{node.op_type}"[:200],
                    "Export the model with the operators of ONNX alone (ai.onnx and ai.onnx.ml).",
                )
            _check_bounds(node, constants)
            width = widths.get(node.input[0]) if node.input and graph is model.graph else None
            reason = check_trees(node, width, limits.nodes)
            if reason:
                raise GraphError(
                    "trees", f"{node.op_type} {node.name[:60]!r}: {reason}"[:300], "Convert the model again."
                )


def _check_order(graph: Any) -> None:
    """Each node may use only what earlier ones gave: a cycle would never end."""
    outputs = {name for node in graph.node for name in node.output if name}
    known: set[str] = set()
    for node in graph.node:
        late = next((name for name in node.input if name in outputs and name not in known), None)
        if late is not None:
            raise GraphError(
                "cycle", f"{node.op_type} uses {late[:100]!r} before it is made", "Export the model again."
            )
        known.update(node.output)


def _check_bounds(node: Any, constants: dict[str, list[int]]) -> None:
    if node.op_type == "Loop":
        trips = constants.get(node.input[0]) if node.input and node.input[0] else None
        if trips is None or len(trips) != 1 or not 0 <= trips[0] <= _MOST_TRIPS:
            raise GraphError(
                "loop",
                f"the loop {node.name[:60]!r} has no constant number of turns up to {_MOST_TRIPS:,}",
                "Export the model without loops, or with a fixed number of turns.",
            )
    place = _SIZED.get(node.op_type, -1)
    if 0 <= place < len(node.input):
        sizes = constants.get(node.input[place], [])
        count = 1
        for size in sizes:
            count *= max(size, 1)
        if count > MOST_ELEMENTS:
            raise GraphError("shape", f"{node.op_type} makes {count:,} elements", "Export the model again.")


def _widths(graph: Any) -> dict[str, int]:
    """The widths of the inputs that are matrices with a fixed one."""
    found: dict[str, int] = {}
    for entry in graph.input:
        dims = entry.type.tensor_type.shape.dim
        if len(dims) == 2 and dims[1].HasField("dim_value"):
            found[entry.name] = dims[1].dim_value
    return found
