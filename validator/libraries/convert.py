"""Exact conversion of tree models to ONNX."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from validator.python39 import dataclass

if TYPE_CHECKING:
    from validator.trees.ensemble import TreeEnsemble
    from validator.trees.hazard import TreeHazard


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvertedModel:
    """An ONNX file; `method` is "exact" or "skl2onnx", `input_dtype` is that of its numeric inputs."""

    data: bytes
    input_dtype: str
    method: str
    hazards: tuple[TreeHazard, ...] = ()
    """what is known to go wrong with such a model, and was repaired or is to be minded"""
    reason: str = ""
    """why it computes in float32 where double was tried"""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def convert_trees(
    ensemble: TreeEnsemble, input_dtype: str = "auto", *, metadata: Mapping[str, str] | None = None
) -> ConvertedModel:
    """Write a tree ensemble as ONNX, exactly.

    `input_dtype` "auto" is what the native library compares in. Raises ConversionError for trees that are not well
    formed or that ONNX cannot express.
    """
    from validator import row_order
    from validator.libraries.hazards import examine
    from validator.trees.validity import validate
    from validator.trees.writer import write

    validate(ensemble)
    dtype = ensemble.comparison_dtype if input_dtype == "auto" else input_dtype
    told = row_order.hint(ensemble.n_trees, ensemble.n_features, ensemble.feature)
    order = {row_order.KEY: told} if told and not ensemble.feature_categories else {}
    data = write(ensemble, input_dtype=dtype, metadata={**(metadata or {}), **order})
    return ConvertedModel(data=data, input_dtype=dtype, method="exact", hazards=examine(ensemble))
