"""Exact conversion of tree models to ONNX, the proof of it, and the measured conversion of everything else."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from validator.convert.ensemble import TreeEnsemble


@dataclass(frozen=True, kw_only=True, eq=False)
class ConvertedModel:
    """An ONNX file; `method` is "exact" or "skl2onnx", `input_dtype` is that of its numeric inputs."""

    data: bytes
    input_dtype: str
    method: str
    hazards: tuple[str, ...] = ()
    """what was found and repaired on the way, one sentence each"""

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
    from validator.convert.writer import write

    ensemble.validate()
    dtype = ensemble.comparison_dtype if input_dtype == "auto" else input_dtype
    data = write(ensemble, input_dtype=dtype, metadata=metadata)
    return ConvertedModel(data=data, input_dtype=dtype, method="exact")
