"""Kernels between rows and those of training, in double, for converters of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from validator.errors import ConversionError
from validator.pipelines.step_nodes import Nodes

NAMES = ("linear", "poly", "rbf", "sigmoid")


def kernel_values(
    nodes: Nodes,
    known: npt.NDArray[np.float64],
    *,
    kernel: Any,
    gamma: float,
    coef0: float,
    degree: float,
    owner: str,
) -> str:
    """[N, K]: scikit-learn's `pairwise_kernels` of the rows and K known ones.

    Raises ConversionError, which names the model `owner`, for a kernel that is not known.
    """
    if kernel == "rbf":
        return _gaussian(nodes, known, gamma)
    if kernel not in (*NAMES, "polynomial"):
        raise ConversionError(
            f"{owner} cannot be converted with the kernel {str(kernel)[:40]!r}",
            hint="train it with the kernel linear, poly, rbf or sigmoid",
        )
    products = nodes.add("MatMul", nodes.rows, nodes.constant(known.T.copy()))
    if kernel == "linear":
        return products
    moved = nodes.add("Add", nodes.add("Mul", products, nodes.number(gamma)), nodes.number(coef0))
    if kernel == "sigmoid":
        return nodes.add("Tanh", moved)
    return nodes.add("Pow", moved, nodes.number(degree))


def _gaussian(nodes: Nodes, known: npt.NDArray[np.float64], gamma: float) -> str:
    """exp(-gamma |x - s|^2), with both taken from the known ones' middle: squares of small numbers lose less."""
    middle = known.mean(axis=0, keepdims=True)
    near = known - middle
    moved = nodes.add("Sub", nodes.rows, nodes.constant(middle))
    own = nodes.add("ReduceSumSquare", moved, nodes.constant(np.array([1])), keepdims=1)
    cross = nodes.add("MatMul", moved, nodes.constant(-2.0 * near.T))
    distance = nodes.add("Add", cross, nodes.constant((near**2).sum(axis=1)[None, :]))
    distance = nodes.add("Max", nodes.add("Add", distance, own), nodes.number(0.0))
    return nodes.add("Exp", nodes.add("Mul", distance, nodes.number(-gamma)))
