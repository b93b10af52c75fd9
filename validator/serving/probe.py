"""One row run at load time: shows that the model answers at all, and what its outputs look like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from validator.serving.answers import AnswerCheck
from validator.serving.contract import ServedContract
from validator.serving.errors import DeploymentError, FailedArtifactError, OutputShapeError
from validator.serving.session import OnnxModel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def probe(
    model: OnnxModel, contract: ServedContract, check: AnswerCheck
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """One row run at load time: each output as the runtime gave it, and tidied. Raises FailedArtifactError."""
    values: dict[str, Any] = {}
    for feature in contract.features:
        seen = feature.categories[0] if feature.categories else None
        values[feature.name] = [seen if seen is not None else _NEUTRAL[feature.kind]]
    encoded, _ = model.encode(values)
    try:
        raw = model.run(model.feed(encoded, None))
    except DeploymentError as error:
        raise _speechless(error.message) from error
    tidy, breaches = check.check(raw, 1)
    shape_breaches = [breach for breach in breaches if breach.kind is OutputShapeError]
    if shape_breaches:
        raise _speechless("; ".join(breach.message for breach in shape_breaches))
    return raw, tidy


_NEUTRAL: dict[str, Any] = {"float": 0.0, "integer": 0, "bool": False, "string": "", "category": ""}


def _speechless(what: str) -> FailedArtifactError:
    return FailedArtifactError(
        f"model.onnx does not answer one row as its contract says: {what}",
        hint="validate the model again; the artifact's files do not belong together",
    )
