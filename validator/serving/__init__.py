"""The runtime wrapper that ships: loads a judged artifact, checks every input and output, times every call.

Needs numpy and ONNX Runtime; pandas and pyarrow only where the caller brings them along.
"""

from validator.artifact.read import ArtifactNotFoundError, TamperedArtifactError, UnjudgedArtifactError
from validator.serving.deployment import Deployment
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
