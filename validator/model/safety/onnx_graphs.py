"""The graphs of an ONNX model, one inside the other, and what is said when one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_MOST_DEPTH = 6


class GraphError(Exception):
    """The graph is refused: `name` of the finding, `reason` and `hint`."""

    def __init__(self, name: str, reason: str, hint: str) -> None:
        super().__init__(reason)
        self.name = name
        self.reason = reason
        self.hint = hint


def graphs(model: Any) -> Iterator[tuple[Any, int]]:
    """Every graph and function body in the model with its depth. Raises GraphError where they nest too deep."""
    for top in (model.graph, *model.functions):
        yield from below(top)


def below(top: Any) -> Iterator[tuple[Any, int]]:
    """The graph or function body and all within it, with their depths."""
    waiting = [(top, 0)]
    while waiting:
        graph, depth = waiting.pop()
        if depth > _MOST_DEPTH:
            raise GraphError(
                "deep nesting", f"subgraphs nest more than {_MOST_DEPTH} deep", "Flatten the model."
            )
        yield graph, depth
        for attribute in attributes(graph):
            if attribute.HasField("g"):
                waiting.append((attribute.g, depth + 1))
            waiting.extend((inner, depth + 1) for inner in attribute.graphs)


def attributes(graph: Any) -> Iterator[Any]:
    """Every attribute of the graph's nodes, and those that a function has where its caller gives none."""
    for node in graph.node:
        yield from node.attribute
    yield from getattr(graph, "attribute_proto", ())
