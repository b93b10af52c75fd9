"""Exact conversion of tree models to ONNX, the proof of it, and the measured conversion of everything else."""
