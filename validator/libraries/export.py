"""What a live, unpickled model tells the exact converter: a header that JSON can carry and named numpy arrays.

Runs beside the model, in whatever environment it was trained in: Python 3.9 or later, numpy, and the model's library.
The reader that makes trees of it, `validator.libraries.read`, runs in a process that never met the pickle.
"""

from __future__ import annotations

from typing import Any

from validator.libraries import live_boosters as boosters
from validator.libraries.live_description import describe
from validator.libraries.live_plain import (
    Export,
    NotExpressible,
    class_name,
    feature_names,
    library_of,
    library_version,
)
from validator.libraries.sklearn import live_hist as sklearn_hist
from validator.libraries.sklearn import live_trees as sklearn_trees

__all__ = ["describe", "export"]

_TREES = (*sklearn_trees.SINGLE, *sklearn_trees.FORESTS, *sklearn_trees.BOOSTED, "IsolationForest")


def export(model: Any) -> Export:
    """The header and arrays of a fitted model.

    `kind` is "lightgbm-text", "sklearn-trees", "xgboost-ubj", "catboost-json", or "other": no tree ensemble, or one
    that has no exact form; then `reason` says why and `hint` what would help, and `arrays` is empty.
    """
    library, name = library_of(model), type(model).__name__
    try:
        header, arrays = _export(model, library, name)
    except NotExpressible as found:
        header, arrays = {"kind": "other", "reason": str(found), "hint": found.hint}, {}
    header["library"] = library
    header["library_version"] = library_version(library)
    header["model_class"] = class_name(model)
    return header, arrays


def _export(model: Any, library: str, name: str) -> Export:
    if library in ("lightgbm", "xgboost", "catboost"):
        return getattr(boosters, library)(model)  # type: ignore[no-any-return]
    if library == "sklearn" and name in (*_TREES, *sklearn_hist.NAMES):
        header, arrays = (sklearn_hist if name in sklearn_hist.NAMES else sklearn_trees).export(model)
        header["kind"] = "sklearn-trees"
        header["n_features"] = int(model.n_features_in_)
        header["feature_names"] = feature_names(model)
        return header, arrays
    if getattr(model, "steps", None):
        raise NotExpressible("a pipeline: its steps are converted one by one")
    raise NotExpressible(f"{name} is no tree ensemble")
