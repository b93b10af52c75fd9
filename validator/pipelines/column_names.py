"""Neutral names of columns in a conversion: skl2onnx writes `a_b` for `a b`, and another column may be called so."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.libraries import columns_used
from validator.pipelines.places import inner_models

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def neutral(columns: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """A name without blanks, brackets or accents for each column; empty where all names are so already."""
    if all(_PLAIN.fullmatch(name) for name, _ in columns):
        return {}
    return {name: f"column_{place}" for place, (name, _) in enumerate(columns)}


def choose_by_name(model: Any) -> None:
    """Let the first step of a model, a copy, choose columns by name, where it drops some that do not come at all."""
    if not columns_used.unused(model):
        return
    step = columns_used.first_step(model)
    names, places = step.feature_names_in_, step._transformer_to_input_indices
    chosen = []
    for title, inner, columns in step.transformers_:
        if isinstance(inner, str) and inner == "drop":
            continue
        found = [str(names[place]) for place in places.get(title, ())]
        one = isinstance(columns, (str, int, np.integer))
        chosen.append((title, inner, found[0] if one else found))
    step.transformers_ = chosen


def rename_chosen(model: Any, names: Mapping[str, str]) -> None:
    """Let the column transformers in a model, a copy, choose by those names."""
    for step in inner_models(model):
        held = getattr(step, "transformers_", None)
        if not isinstance(held, list):
            continue
        for place, (title, inner, chosen) in enumerate(held):
            if isinstance(chosen, str):
                held[place] = (title, inner, names.get(chosen, chosen))
            elif not isinstance(chosen, slice) and any(isinstance(item, str) for item in chosen):
                held[place] = (title, inner, [names.get(item, item) for item in chosen])


def restore(graph: Any, names: Mapping[str, str]) -> None:
    """Give the graph's inputs the columns' own names again. Raises ConversionError for the name of an output."""
    given = {value.name for value in graph.input}
    own = {new: old for old, new in names.items() if new in given}
    clash = set(own.values()) & {value.name for value in graph.output}
    if clash:
        raise ConversionError(
            f"a column is named {min(clash)!r}, which is the name of an output",
            hint="rename the column and train again",
        )
    # What is computed inside may happen to be called as a column is.
    aside = {name: f"{name}_inside" for node in graph.node for name in node.output if name in own.values()}
    aside |= {
        tensor.name: f"{tensor.name}_inside" for tensor in graph.initializer if tensor.name in own.values()
    }
    renamed = {**aside, **own}
    for part in (graph.input, graph.initializer):
        for value in part:
            value.name = renamed.get(value.name, value.name)
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
