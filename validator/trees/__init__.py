"""Tree ensembles: the canonical form, its ONNX writer, the reader and the proof."""
