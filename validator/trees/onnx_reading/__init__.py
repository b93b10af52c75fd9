"""The parts of the reader from ONNX: the graph, its trees, the columns before them, the answers after them."""
