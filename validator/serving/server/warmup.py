"""Before it is ready, a server answers the artifact's golden requests, and answers them right."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from validator.artifact.read import GOLDEN_FILE, TamperedArtifactError, parse_object
from validator.serving.deployment import Deployment
from validator.serving.errors import DeploymentError, FailedArtifactError
from validator.serving.server.predictor import OUTPUTS

#: Another processor may round the last bits otherwise; a wrong model is further off than this.
TOLERANCE = 1e-5
_TURNS = 20


def warm_up(deployment: Deployment, golden: bytes | None, example: Mapping[str, Any]) -> int:
    """Answer the golden requests, one by one and together, several times. Returns how many there were.

    Without golden requests the example is answered, so that the first caller does not wait; its answer may be
    anything, since no data was like it. Raises FailedArtifactError where an answer is not the golden one,
    TamperedArtifactError where the file is malformed.
    """
    if golden is None:
        with contextlib.suppress(DeploymentError):
            _answer(deployment, [example], {})
        return 0
    rows, answers = _golden(golden)
    try:
        _answer(deployment, rows, answers)
    except DeploymentError as error:
        raise FailedArtifactError(f"a golden request is refused: {error.message}", hint=_HINT) from error
    return len(rows)


def _answer(
    deployment: Deployment, rows: Sequence[Mapping[str, Any]], answers: Mapping[str, Sequence[Any]]
) -> None:
    for _ in range(_TURNS):
        for i, row in enumerate(rows):
            one = deployment.predict_single(row)
            _compare(i, {name: getattr(one, name) for name in OUTPUTS}, answers)
        together = deployment.predict_batch(rows)
    for i in range(len(rows)):
        batch = {name: getattr(together, name) for name in OUTPUTS}
        _compare(i, {name: None if array is None else array[i] for name, array in batch.items()}, answers)


_HINT = (
    "restore the artifact from where it was built; on a processor of another kind, validate the model there"
)


def _compare(i: int, found: Mapping[str, Any], answers: Mapping[str, Sequence[Any]]) -> None:
    for name, values in answers.items():
        given, wanted = found.get(name), values[i]
        right = str(given) == str(wanted) if name == "label" else _near(given, wanted)
        if not right:
            raise FailedArtifactError(
                f"golden request {i} is answered with {name} {str(given)[:100]}, not {str(wanted)[:100]}",
                hint=_HINT,
            )


def _near(given: Any, wanted: Any) -> bool:
    if given is None or np.shape(given) != np.shape(wanted):
        return False
    return bool(np.allclose(given, wanted, rtol=TOLERANCE, atol=TOLERANCE))


def _golden(content: bytes) -> tuple[list[Mapping[str, Any]], Mapping[str, Sequence[Any]]]:
    """The rows and, by output, their answers."""
    document = parse_object(content, name=GOLDEN_FILE)
    rows, answers = document.get("rows"), document.get("answers")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise TamperedArtifactError(f"{GOLDEN_FILE} holds no rows", file=GOLDEN_FILE)
    if not isinstance(answers, dict) or not answers or not set(answers) <= set(OUTPUTS):
        raise TamperedArtifactError(f"{GOLDEN_FILE} holds no answers", file=GOLDEN_FILE)
    if any(not isinstance(one, list) or len(one) != len(rows) for one in answers.values()):
        raise TamperedArtifactError(f"{GOLDEN_FILE} does not hold an answer for each row", file=GOLDEN_FILE)
    return rows, answers
