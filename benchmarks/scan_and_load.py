"""What reading a model safely costs: scan and load here, beside `pickle.load` and `joblib.load` of the same file."""

from __future__ import annotations

import io
import pickle
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)

from validator.model.safety import load, scan_pickle

_ROUNDS = 3


def models() -> Iterator[tuple[str, Any]]:
    """Few deep trees, and many small ones of each library's class. Unpruned trees on noise have a leaf for nearly
    every row.
    """
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 8)), rng.integers(0, 3, 20_000)
    few, labels = X[:300], y[:300]
    yield "forest, 90 deep trees", RandomForestClassifier(90, n_jobs=1, random_state=0).fit(X, y % 2)
    yield (
        "forest, 4,000 trees of depth 3",
        RandomForestClassifier(4_000, max_depth=3, n_jobs=1, random_state=0).fit(few, labels % 2),
    )
    yield (
        "gradient boosting, 1,500 stages of 3 trees",
        GradientBoostingClassifier(n_estimators=1_500, max_depth=3).fit(few, labels),
    )
    yield (
        "histogram boosting, 2,000 trees of 8 leaves",
        HistGradientBoostingClassifier(max_iter=2_000, max_leaf_nodes=8, early_stopping=False).fit(
            few, labels % 2
        ),
    )


def processor_seconds(action: Callable[[], Any]) -> float:
    """The least of several rounds."""
    found = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


def rows(name: str, model: Any) -> Iterator[str]:
    """For each way of saving the processor time of the plain load, and over it that of `load`, with its own scan."""
    target = io.BytesIO()
    joblib.dump(model, target)
    ways: tuple[tuple[str, bytes, Callable[[bytes], Any]], ...] = (
        ("pickle", pickle.dumps(model), pickle.loads),
        ("joblib", target.getvalue(), lambda content: joblib.load(io.BytesIO(content))),
    )
    for way, content, plainly in ways:
        plain, scanned, ours = (
            processor_seconds(lambda action=action, content=content: action(content))
            for action in (plainly, scan_pickle, load)
        )
        yield (
            f"| {name}, {way}, {len(content) / 1e6:.0f} MB | {plain * 1e3:,.0f} ms | {scanned / plain:.2f} x | "
            f"{ours / plain:.2f} x |"
        )


def main() -> None:
    warnings.simplefilter("ignore")
    print("| model | plain load | scan | load, with its own scan |\n|---|--:|--:|--:|")
    for name, model in models():
        for row in rows(name, model):
            print(row, flush=True)


if __name__ == "__main__":
    main()
