"""Recognising a piece of a graph: a pattern of operators, with places for tensors and constants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

import numpy as np

from validator.python39 import dataclass
from validator.trees.onnx_reading.graph import Array, Graph, Node, NotUnderstoodError


@dataclass(frozen=True)
class Tensor:
    """Any tensor that is made by an operator or given; the same one wherever the name occurs again."""

    name: str


@dataclass(frozen=True)
class Constant:
    """Any constant; the same values wherever the name occurs again."""

    name: str


@dataclass(frozen=True, eq=False)
class Exactly:
    """A constant of these values, compared flat, whatever its number type."""

    values: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Operator:
    """An operator with these inputs and exactly these attributes."""

    op: str
    inputs: tuple[Pattern, ...]
    attributes: Mapping[str, int | tuple[int, ...]] = field(default_factory=dict)


Pattern = Tensor | Constant | Exactly | Operator


def op(name: str, *inputs: Pattern, **attributes: int | tuple[int, ...]) -> Operator:
    """An Operator, shortly."""
    return Operator(op=name, inputs=inputs, attributes=attributes)


def exactly(*values: float) -> Exactly:
    """A constant of these numbers."""
    return Exactly(np.array(values))


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What a pattern's places turned out to be."""

    tensors: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Array] = field(default_factory=dict)


def match(graph: Graph, name: str, pattern: Pattern, found: Found) -> None:
    """Fit the tensor `name` to a pattern and note its places. Raises NotUnderstoodError, saying what does not fit."""
    if isinstance(pattern, Operator):
        _match_operator(graph, name, pattern, found)
    elif isinstance(pattern, Tensor):
        if found.tensors.setdefault(pattern.name, name) != name or name in graph.constants:
            raise NotUnderstoodError(f"{_describe(graph, name)} where {pattern.name} belongs")
    else:
        array = graph.constants.get(name)
        if array is None:
            raise NotUnderstoodError(f"{_describe(graph, name)} where a constant belongs")
        if isinstance(pattern, Constant):
            known = found.constants.setdefault(pattern.name, array)
            if known is not array and not (known.shape == array.shape and (known == array).all()):
                raise NotUnderstoodError(f"two values of the constant {pattern.name}")
        elif array.size != pattern.values.size or (array.reshape(-1) != pattern.values).any():
            raise NotUnderstoodError(f"a constant other than {pattern.values.tolist()}")


def _match_operator(graph: Graph, name: str, pattern: Operator, found: Found) -> None:
    node = graph.maker.get(name)
    if node is None or node.domain or node.op != pattern.op or node.outputs != (name,):
        raise NotUnderstoodError(f"{_describe(graph, name)} where {pattern.op} belongs")
    if len(node.inputs) != len(pattern.inputs) or not _same_attributes(node, pattern.attributes):
        raise NotUnderstoodError(f"{node.op} used in another way than expected")
    for used, part in zip(node.inputs, pattern.inputs, strict=True):
        match(graph, used, part, found)


def _same_attributes(node: Node, expected: Mapping[str, int | tuple[int, ...]]) -> bool:
    if set(node.attributes) != set(expected):
        return False
    return all(
        node.integer(name, 0) == value if isinstance(value, int) else tuple(node.ints(name)) == value
        for name, value in expected.items()
    )


def _describe(graph: Graph, name: str) -> str:
    node = graph.maker.get(name)
    if node is not None:
        return node.op
    return "a constant" if name in graph.constants else f"the input {name!r}"
