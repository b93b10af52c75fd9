"""What reading a forest safely costs: scan and load here, beside `pickle.load` and `joblib.load` of the same file."""

from __future__ import annotations

import io
import pickle
import time
import warnings
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
from sklearn.ensemble import RandomForestClassifier

from validator.model.safety import load, scan_pickle

_ROUNDS = 5


def forest(megabytes: int) -> RandomForestClassifier:
    """A forest whose pickle has about that size: unpruned trees on noise have a leaf for nearly every row."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20_000, 8)), rng.integers(0, 2, 20_000)
    return RandomForestClassifier(n_estimators=max(1, megabytes * 3 // 2), n_jobs=1, random_state=0).fit(X, y)


def processor_seconds(action: Callable[[], Any]) -> float:
    """The least of several rounds."""
    found = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        action()
        found.append(time.process_time() - started)
    return min(found)


def compare(model: Any) -> dict[str, float]:
    """Processor time of scan plus load over that of the plain load, by way of saving."""
    plain = pickle.dumps(model)
    target = io.BytesIO()
    joblib.dump(model, target)
    files = {"pickle": plain, "joblib": target.getvalue()}
    loaders: dict[str, Callable[[bytes], Any]] = {
        "pickle": pickle.loads,
        "joblib": lambda content: joblib.load(io.BytesIO(content)),
    }
    found: dict[str, float] = {}
    for name, content in files.items():
        theirs = processor_seconds(lambda name=name, content=content: loaders[name](content))
        scanned = processor_seconds(lambda content=content: scan_pickle(content))
        ours = processor_seconds(lambda content=content: load(content))
        found[f"{name}: plain load, s"] = theirs
        found[f"{name}: scan, s"] = scanned
        found[f"{name}: load (with its own scan), s"] = ours
        found[f"{name}: load / plain load"] = ours / theirs
        found[f"{name}: (scan + load) / plain load"] = (scanned + ours) / theirs
    return found


def main() -> None:
    warnings.simplefilter("ignore")
    model = forest(60)
    print(f"forest of {len(pickle.dumps(model)) / 1e6:.0f} MB")
    for name, value in compare(model).items():
        print(f"{name}: {value:.3f}")


if __name__ == "__main__":
    main()
