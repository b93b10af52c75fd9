"""A second version that answers the same requests, unheard: its answers are compared and counted, never sent."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, MutableMapping
from typing import Any

import numpy as np

from validator.serving.deployment import Deployment
from validator.serving.errors import DeploymentError
from validator.serving.prediction import Prediction, SinglePrediction
from validator.serving.server.predictor import OUTPUTS
from validator.serving.server.requests import Asked

#: Requests that may wait, and rows in them; what comes beyond is dropped, and counted as such.
MOST_WAITING = 256
MOST_ROWS = 20_000
_SAME = 1e-9
_CLOSE = 0.01


class Shadow:
    """Compares in a thread of its own. Handing a request over costs a microsecond and never waits.

    A request counts once, by the worst of its rows: `same` when every output agrees to nine digits; `close` when
    the labels agree (classifiers) or the numbers to 1 %; `different` otherwise; `error` when the shadow refused,
    failed or answered against its contract where the serving version answered; `dropped` when too many waited.

    Parameters
    ----------
    deployment
        The version in the shadow.
    counts
        Where results are counted: only this thread adds to all but `dropped`.
    """

    def __init__(self, deployment: Deployment, counts: MutableMapping[str, int]) -> None:
        self._deployment = deployment
        self._counts = counts
        self._waiting: deque[tuple[Asked, SinglePrediction | Prediction | None, str]] = deque()
        self._rows = 0
        self._news = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)
        self._thread.start()

    def observe(
        self, _id: str, asked: Asked, answer: SinglePrediction | Prediction | None, refusal: str
    ) -> None:
        """Take note of a request and of how it was answered, to be compared later."""
        with self._news:
            if len(self._waiting) >= MOST_WAITING or self._rows + asked.n_rows > MOST_ROWS:
                self._counts["dropped"] += 1
                return
            self._waiting.append((asked, answer, refusal))
            self._rows += asked.n_rows
            self._news.notify()

    def close(self, timeout_s: float) -> None:
        """Compare what is waiting, for at most so long, and end."""
        with self._news:
            self._closed = True
            self._news.notify()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._waiting and not self._closed:
                    self._news.wait()
                if not self._waiting:
                    return
                asked, answer, refusal = self._waiting.popleft()
                self._rows -= asked.n_rows
            self._counts[self._judge(asked, answer, refusal)] += 1

    def _judge(self, asked: Asked, answer: SinglePrediction | Prediction | None, refusal: str) -> str:
        try:
            if asked.row is not None:
                other: Any = self._deployment.predict_single(asked.row)
            elif asked.rows is not None:
                other = self._deployment.predict_batch(asked.rows)
            else:
                other = self._deployment.predict(asked.columns)
        except DeploymentError as error:
            if answer is not None:
                return "error"
            return "same" if type(error).__name__ == refusal else "different"
        except Exception:  # a fault of the shadow is the shadow's
            return "error"
        return "different" if answer is None else compare(_outputs(answer), _outputs(other))


def compare(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """How two answers to the same rows agree: `same`, `close` or `different`. Arrays by name of output."""
    if mine.keys() != other.keys() or any(mine[name].shape != other[name].shape for name in mine):
        return "different"
    labels = "label" in mine
    if labels and [str(one) for one in mine["label"].ravel()] != [str(one) for one in other["label"].ravel()]:
        return "different"
    numbers = [
        (mine[name].astype(np.float64), other[name].astype(np.float64)) for name in mine if name != "label"
    ]
    if all(np.allclose(a, b, rtol=_SAME, atol=_SAME) for a, b in numbers):
        return "same"
    near = labels or all(np.allclose(a, b, rtol=_CLOSE, atol=1e-12) for a, b in numbers)
    return "close" if near else "different"


def _outputs(answer: SinglePrediction | Prediction) -> dict[str, Any]:
    found = {name: getattr(answer, name) for name in OUTPUTS}
    single = isinstance(answer, SinglePrediction)
    return {
        name: np.asarray([value] if single else value) for name, value in found.items() if value is not None
    }
