"""The runtime wrapper that ships: loads a judged artifact, checks every input and output, times every call.

Needs numpy and ONNX Runtime; pandas and pyarrow only where the caller brings them along.
"""

from validator.artifact.read import ArtifactNotFoundError, TamperedArtifactError, UnjudgedArtifactError
from validator.deployment.deployment import Deployment
from validator.deployment.errors import (
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
    OutputError,
    OutputShapeError,
    OutputValueError,
    ShapeError,
    UnseenCategoryError,
)
from validator.deployment.latency import LatencyStats
from validator.deployment.prediction import CallRecord, Prediction, Problem, SinglePrediction

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
