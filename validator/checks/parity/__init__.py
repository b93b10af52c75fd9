"""Does ONNX answer as the native model does: proved for trees, measured for the rest."""
