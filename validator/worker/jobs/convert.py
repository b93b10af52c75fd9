"""Converts to ONNX: serialised trees exactly, everything else through skl2onnx. It never sees a row of the sample."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

from validator.sandbox import wire
from validator.worker.serving import Answer


class ConvertJob:
    """Operations `trees` and `estimator`; both give the ONNX file as a uint8 array."""

    def trees(
        self,
        arrays: wire.Arrays,
        header: Dict[str, Any],
        names: List[str],
        input_dtype: str,
        metadata: Dict[str, str],
    ) -> Answer:
        """From an export. Raises ConversionError where the trees have no exact form."""
        from validator.libraries.convert import convert_trees
        from validator.libraries.read import read

        ensemble = read(header, dict(zip(names, arrays)))
        if ensemble is None:
            return {
                "converted": False,
                "reason": header.get("reason", ""),
                "hint": header.get("hint", ""),
            }, []
        return _answer(convert_trees(ensemble, input_dtype=input_dtype, metadata=metadata))

    def estimator(
        self,
        arrays: wire.Arrays,
        format: str,
        allow: Sequence[str],
        trusted: bool,
        columns: List[List[str]],
        input_dtype: str,
        metadata: Dict[str, str],
        reading: str = "auto",
    ) -> Answer:
        """From the model file itself, loaded here. Raises ConversionError for a model that skl2onnx cannot take."""
        from validator.pipelines.fallback import convert_estimator
        from validator.worker.loading import load_model

        model = load_model(arrays[0], format, allow, trusted, reading)
        named = [(str(name), str(dtype)) for name, dtype in columns]
        return _answer(convert_estimator(model, named, input_dtype=input_dtype, metadata=metadata))


def _answer(converted: Any) -> Answer:

    meta = {
        "converted": True,
        "method": converted.method,
        "input_dtype": converted.input_dtype,
        "hazards": [hazard.to_json() for hazard in converted.hazards],
        "reason": converted.reason,
    }
    return meta, [converted.data]
