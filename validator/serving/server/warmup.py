"""Before it is ready, a server answers the artifact's golden requests, and answers them right."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from validator.serving.deployment import Deployment
from validator.serving.errors import DeploymentError, FailedArtifactError
from validator.serving.server.golden import Golden, read_golden
from validator.serving.server.predictor import OUTPUTS

_TURNS = 20
_HINT = (
    "restore the artifact from where it was built; on a processor of another kind, validate the model there"
)


def warm_up(deployment: Deployment, golden: bytes | None, example: Mapping[str, Any]) -> int:
    """Answer the golden requests, one by one and together, several times. Returns how many there were.

    Without golden requests the example is answered, so that the first caller does not wait; its answer may be
    anything, since no data was like it. Raises FailedArtifactError where an answer is not the golden one,
    TamperedArtifactError where the file is malformed.
    """
    if golden is None:
        with contextlib.suppress(DeploymentError):
            _answer(deployment, Golden(rows=[example], answers={}))
        return 0
    recorded = read_golden(golden)
    try:
        _answer(deployment, recorded)
    except DeploymentError as error:
        raise FailedArtifactError(f"a golden request is refused: {error.message}", hint=_HINT) from error
    return len(recorded.rows)


def _answer(deployment: Deployment, golden: Golden) -> None:
    for _ in range(_TURNS):
        for i, row in enumerate(golden.rows):
            one = deployment.predict_single(row)
            _compare(golden, i, {name: getattr(one, name) for name in OUTPUTS})
        together = deployment.predict_batch(golden.rows)
    for i in range(len(golden.rows)):
        batch = {name: getattr(together, name) for name in OUTPUTS}
        _compare(golden, i, {name: None if array is None else array[i] for name, array in batch.items()})


def _compare(golden: Golden, i: int, found: Mapping[str, Any]) -> None:
    if wrong := golden.wrong(i, found):
        raise FailedArtifactError(wrong, hint=_HINT)
