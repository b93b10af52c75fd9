"""The tensors of an ONNX model: all in the file itself, and as large as they say."""

from __future__ import annotations

from typing import Any

from validator.model.safety.onnx_graphs import GraphError, attributes, graphs
from validator.model.safety.report import Limits

MOST_ELEMENTS = 1 << 28
#: Bytes of one element, by the number of its type in TensorProto.
_ITEM_BYTES = {
    1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2
}  # fmt: skip


def check_tensors(model: Any, limits: Limits) -> None:
    """Raise GraphError for a tensor that lies in another file, or whose size is none or not that of its bytes."""
    import onnx

    for graph, _depth in graphs(model):
        tensors = list(getattr(graph, "initializer", ()))
        for sparse in getattr(graph, "sparse_initializer", ()):
            tensors += [sparse.values, sparse.indices]
        for attribute in attributes(graph):
            tensors += [attribute.t] if attribute.HasField("t") else []
            tensors += list(attribute.tensors)
            sparse_tensors = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
            for sparse in [*sparse_tensors, *attribute.sparse_tensors]:
                tensors += [sparse.values, sparse.indices]
        for tensor in tensors:
            if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
                raise GraphError(
                    "external data",
                    f"the tensor {tensor.name[:100]!r} lies in another file",
                    "Save the model in one file: onnx.save(model, path, save_as_external_data=False).",
                )
            _check_tensor(tensor, limits)


def _check_tensor(tensor: Any, limits: Limits) -> None:
    count = 1
    for size in tensor.dims:
        if size < 0:
            raise GraphError(
                "shape", f"the tensor {tensor.name[:100]!r} has a negative size", "Export it again."
            )
        count *= size
    if count > min(MOST_ELEMENTS, limits.decompressed_bytes):
        raise GraphError(
            "shape", f"the tensor {tensor.name[:100]!r} claims {count:,} elements", "Export it again."
        )
    width = _ITEM_BYTES.get(tensor.data_type, 0)
    if tensor.raw_data and width and len(tensor.raw_data) != count * width:
        raise GraphError(
            "shape",
            f"the tensor {tensor.name[:100]!r} needs {count * width:,} bytes and has {len(tensor.raw_data):,}",
            "Export the model again.",
        )


def constants_of(graph: Any) -> dict[str, list[int]]:
    """The integer tensors of up to 64 values that stand in the graph, by name. Raises GraphError for a broken one."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in getattr(graph, "initializer", ())}
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            for attribute in node.attribute:
                if attribute.name == "value":
                    tensors[node.output[0]] = attribute.t
    found: dict[str, list[int]] = {}
    for name, tensor in tensors.items():
        small = len(tensor.raw_data) <= 512 and len(tensor.int64_data) <= 64 and len(tensor.int32_data) <= 64
        if tensor.data_type in (6, 7) and small:
            try:
                found[name] = [int(value) for value in numpy_helper.to_array(tensor).ravel()]
            except ValueError as error:
                raise GraphError(
                    "shape", f"the tensor {name[:100]!r} is broken", "Export it again."
                ) from error
    return found
