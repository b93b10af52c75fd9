"""Golden requests: rows that the gate recorded in the artifact, with the answers that it got."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from validator.artifact.read import GOLDEN_FILE, TamperedArtifactError, parse_object
from validator.serving.server.predictor import OUTPUTS

#: Another processor may round the last bits otherwise; a wrong model is further off than this.
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Rows as callers send them and, by output, the answer to each."""

    rows: Sequence[Mapping[str, Any]]
    answers: Mapping[str, Sequence[Any]]

    def wrong(self, i: int, found: Mapping[str, Any]) -> str:
        """What is wrong with the outputs for row `i`; empty where they are the recorded ones."""
        for name, values in self.answers.items():
            given, wanted = found.get(name), values[i]
            right = str(given) == str(wanted) if name == "label" else _near(given, wanted)
            if not right:
                return (
                    f"golden request {i} is answered with {name} {str(given)[:100]}, not {str(wanted)[:100]}"
                )
        return ""


def read_golden(content: bytes) -> Golden:
    """The golden requests of a file. Raises TamperedArtifactError where it is malformed."""
    document = parse_object(content, name=GOLDEN_FILE)
    rows, answers = document.get("rows"), document.get("answers")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise TamperedArtifactError(f"{GOLDEN_FILE} holds no rows", file=GOLDEN_FILE)
    if not isinstance(answers, dict) or not answers or not set(answers) <= set(OUTPUTS):
        raise TamperedArtifactError(f"{GOLDEN_FILE} holds no answers", file=GOLDEN_FILE)
    if any(not isinstance(one, list) or len(one) != len(rows) for one in answers.values()):
        raise TamperedArtifactError(f"{GOLDEN_FILE} does not hold an answer for each row", file=GOLDEN_FILE)
    return Golden(rows=rows, answers=answers)


def _near(given: Any, wanted: Any) -> bool:
    if given is None or np.shape(given) != np.shape(wanted):
        return False
    try:
        return bool(np.allclose(given, wanted, rtol=TOLERANCE, atol=TOLERANCE))
    except TypeError:
        return False
