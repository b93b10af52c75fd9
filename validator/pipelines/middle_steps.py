"""Models in the middle of a pipeline, which transform there; skl2onnx lets them predict all the same.

Each is put out of the way by a step that does what its `transform` does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.pipelines.step_nodes import Nodes, number_type


@cache
def _centre_distances() -> type[Any]:
    """The class of a step whose `transform` is that of a fitted KMeans; scikit-learn need not be there before."""
    from sklearn.base import BaseEstimator, TransformerMixin

    class CentreDistances(TransformerMixin, BaseEstimator):  # type: ignore[misc]
        centres: Any

    return CentreDistances


def register(update: Callable[..., None]) -> None:
    """Tell skl2onnx of the step of our own."""
    update(_centre_distances(), "ExactCentreDistances", _shapes, _convert, overwrite=True)


def in_place_of(step: Any) -> Any:
    """The step that does in the middle of a pipeline what this model does there, or None where it stands for itself.

    Raises ConversionError for a discriminant analysis that cannot transform.
    """
    name = type(step).__name__
    if name in ("KMeans", "MiniBatchKMeans", "BisectingKMeans"):
        distances = _centre_distances()()
        distances.centres = np.asarray(step.cluster_centers_, dtype=np.float64)
        distances.n_features_in_ = distances.centres.shape[1]
        return distances
    if name != "LinearDiscriminantAnalysis":
        return None
    from sklearn.decomposition import PCA

    if not hasattr(step, "scalings_"):
        raise ConversionError(
            "LinearDiscriminantAnalysis with solver='lsqr' does not transform",
            hint="train it with solver='svd' or 'eigen'",
        )
    # (X - mean) @ components.T
    same = PCA(whiten=False)
    same.components_ = np.ascontiguousarray(step.scalings_[:, : step._max_components].T)
    width = same.components_.shape[1]
    same.mean_ = np.asarray(step.xbar_ if step.solver == "svd" else np.zeros(width), dtype=np.float64)
    same.n_components_, same.n_features_in_ = len(same.components_), width
    same.explained_variance_ = np.ones(len(same.components_))
    return same


def _shapes(operator: Any) -> None:
    operator.outputs[0].type = number_type(operator)([None, len(operator.raw_operator.centres)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """Centre by centre: the squares of a matrix product would lose what is close."""
    step, nodes = operator.raw_operator, Nodes(scope, operator, container)
    columns = []
    for centre in step.centres:
        apart = nodes.add("Sub", nodes.rows, nodes.constant(centre[None, :]))
        square = nodes.add(
            "ReduceSum", nodes.add("Mul", apart, apart), nodes.constant(np.array([1])), keepdims=1
        )
        columns.append(nodes.add("Sqrt", square))
    nodes.finish(nodes.add("Concat", *columns, axis=1))
