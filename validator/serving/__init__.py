"""The runtime wrapper that ships: loads a judged artifact, checks every input and output, times every call.

Needs numpy and ONNX Runtime; pandas and pyarrow only where the caller brings them along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from validator.artifact.read import ArtifactNotFoundError, TamperedArtifactError, UnjudgedArtifactError
from validator.serving.errors import (
    ContractError,
    DeploymentError,
    EmptyBatchError,
    ExtraFeatureError,
    FailedArtifactError,
    FallbackError,
    FeatureTypeError,
    InferenceError,
    InfiniteValueError,
    InputTypeError,
    MissingFeatureError,
    MissingValueError,
    NumberRangeError,
    OptionError,
    OutOfRangeError,
    OutputError,
    OutputShapeError,
    OutputValueError,
    ShapeError,
    UnseenCategoryError,
)

if TYPE_CHECKING:
    from validator.serving.deployment import Deployment
    from validator.serving.latency import LatencyStats
    from validator.serving.prediction import CallRecord, Prediction, Problem, SinglePrediction

__all__ = [
    "ArtifactNotFoundError",
    "CallRecord",
    "ContractError",
    "Deployment",
    "DeploymentError",
    "EmptyBatchError",
    "ExtraFeatureError",
    "FailedArtifactError",
    "FallbackError",
    "FeatureTypeError",
    "InferenceError",
    "InfiniteValueError",
    "InputTypeError",
    "LatencyStats",
    "MissingFeatureError",
    "MissingValueError",
    "NumberRangeError",
    "OptionError",
    "OutOfRangeError",
    "OutputError",
    "OutputShapeError",
    "OutputValueError",
    "Prediction",
    "Problem",
    "ShapeError",
    "SinglePrediction",
    "TamperedArtifactError",
    "UnjudgedArtifactError",
    "UnseenCategoryError",
]

#: What needs numpy, and is looked up when it is asked for: the command line knows the server's flags without it.
_LATER = {
    "CallRecord": "prediction",
    "Deployment": "deployment",
    "LatencyStats": "latency",
    "Prediction": "prediction",
    "Problem": "prediction",
    "SinglePrediction": "prediction",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
