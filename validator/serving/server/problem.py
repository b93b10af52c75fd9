"""Why a request is not answered: a status, and a body that says what was wrong and what to do."""

from __future__ import annotations

from typing import Any

#: Of a name or value of the caller's own, so much is told back.
_SHOWN = 100


class RequestError(Exception):
    """A request that is refused before the model is asked.

    `kind` is the class of error told to the caller, `status` the HTTP status, `message` and `hint` what was wrong and
    what to do. `headers` are added to the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        status: int = 400,
        kind: str = "MalformedRequestError",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.status = status
        self.kind = kind
        self.headers = headers


def problem_document(
    kind: str, message: str, hint: str, *, features: tuple[str, ...] = (), rows: tuple[int, ...] = ()
) -> dict[str, Any]:
    """The body of every answer that is no prediction. `error` is the protocol's own field."""
    found: dict[str, Any] = {"error": message, "type": kind, "hint": hint}
    if features:
        found["features"] = list(features)
    if rows:
        found["rows"] = list(rows)
    return found


def shown(value: object) -> str:
    """A value of the caller's as it may stand in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
