"""What the ONNX file of a fitted model answers for a DataFrame, and how far that is from the model itself."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd

from validator.libraries.convert import ConvertedModel
from validator.pipelines.fallback import convert_estimator

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

_NUMBERS = {"tensor(double)": np.float64, "tensor(float)": np.float32}


def columns_of(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return [
        (str(name), str(dtype) if dtype.kind in "fiub" else "string") for name, dtype in frame.dtypes.items()
    ]


def converted(model: Any, frame: pd.DataFrame) -> tuple[ConvertedModel, dict[str, Any]]:
    """The file and its outputs by name."""
    import onnxruntime

    file = convert_estimator(model, columns_of(frame))
    session = onnxruntime.InferenceSession(file.data, providers=["CPUExecutionProvider"])
    given = {one.name: _tensor(one, frame) for one in session.get_inputs()}
    names = [one.name for one in session.get_outputs()]
    return file, dict(zip(names, session.run(None, given), strict=True))


def _tensor(one: Any, frame: pd.DataFrame) -> Any:
    if one.name == "features" and one.name not in frame:
        return frame.to_numpy(_NUMBERS[one.type])
    if one.type == "tensor(string)":
        return frame[[one.name]].fillna("").astype(str).to_numpy(object)
    return frame[[one.name]].to_numpy(_NUMBERS[one.type])


def assert_answers(model: Any, frame: pd.DataFrame, *, tolerance: float = 1e-12) -> ConvertedModel:
    """The ONNX file of the model gives its labels, and its numbers within a tolerance, in double."""
    file, found = converted(model, frame)
    assert file.input_dtype in ("float64", "object"), file.reason
    if hasattr(model, "classes_"):
        assert found["label"].tolist() == model.predict(frame).tolist()
    for name, method in (
        ("probabilities", "predict_proba"), ("score", "decision_function"), ("prediction", "predict"),
    ):  # fmt: skip
        if name in found:
            expected = np.asarray(getattr(model, method)(frame))
            assert found[name].shape == expected.shape
            assert np.abs(found[name] - expected).max() <= tolerance, name
    return file
