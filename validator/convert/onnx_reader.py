"""Reads what an ONNX file's trees compute, apart from the code that writes such files.

`read` takes the file's bytes and gives its tree operator, of any version, as flat arrays, with what the trees look
at.
"""

from __future__ import annotations

from validator.convert.onnx_reading.graph import Graph, NotUnderstoodError
from validator.convert.onnx_reading.model import OnnxTreeModel, read
from validator.convert.onnx_reading.trees import Mode, OnnxTrees

__all__ = ["Graph", "Mode", "NotUnderstoodError", "OnnxTreeModel", "OnnxTrees", "read"]
