"""The examples in Deployment's own documentation, run on a small model of the features that they name."""

from __future__ import annotations

import doctest
import json

import numpy as np
import pytest

from tests.unit.serving.conftest import contract_of, features, logistic_graph
from validator.serving import Deployment
from validator.serving import deployment as module

METHODS = ("predict", "predict_batch", "predict_single", "latency_stats", "counts", "metadata", "load")
SECTIONS = ("Parameters\n", "Returns\n", "Examples\n")


@pytest.fixture(scope="module")
def served() -> Deployment:
    """The positive class from an income of 3,500 on."""
    from onnx import load_model_from_string, numpy_helper

    graph = load_model_from_string(logistic_graph(width=3))
    for one in graph.graph.initializer:
        if one.name == "w":
            one.CopyFrom(numpy_helper.from_array(np.array([[0.0], [1.0]]), "w"))
    graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2
    raw = next(node for node in graph.graph.node if node.op_type == "Sigmoid")
    raw.input[0] = "shifted"
    graph.graph.initializer.append(numpy_helper.from_array(np.array([[3_500.0]]), "limit"))
    from onnx import helper

    graph.graph.node.insert(1, helper.make_node("Sub", ["raw", "limit"], ["shifted"]))
    contract = json.loads(contract_of(features("age", "income")).model_dump_json()) | {"schema_version": 1}
    return Deployment.for_validation(onnx=bytes(graph.SerializeToString()), contract=contract)


@pytest.mark.parametrize("name", METHODS)
def test_every_example_is_true(served: Deployment, name: str) -> None:
    method = getattr(Deployment, name)
    found = doctest.DocTestFinder(recurse=False).find(
        method, name, module=module, globs={"deployment": served, "Deployment": Deployment}
    )
    assert found
    assert found[0].examples
    runner = doctest.DocTestRunner(verbose=False)
    result = runner.run(found[0])
    assert result.failed == 0


@pytest.mark.parametrize("name", METHODS)
def test_sections_are_numpydoc_s(name: str) -> None:
    text = getattr(Deployment, name).__doc__ or ""
    assert "Returns\n        -------\n" in text
    assert "Examples\n        --------\n" in text
    takes = set(getattr(Deployment, name).__annotations__) - {"return"}
    assert ("Parameters\n        ----------\n" in text) == bool(takes)
