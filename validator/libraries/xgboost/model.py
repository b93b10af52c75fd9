"""The parts of an XGBoost model file, whichever release wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from validator.documents import DocumentError
from validator.errors import ConversionError
from validator.libraries.header import MAX_FEATURES
from validator.libraries.layout import malformed
from validator.libraries.xgboost.document import load
from validator.python39 import dataclass, pairs

_LIBRARY = "XGBoost"
MAX_TARGETS = 100_000


@dataclass(frozen=True, kw_only=True)
class Model:
    """What prediction depends on. `trees` are the file's own objects, one a tree."""

    objective: str
    n_features: int
    n_targets: int
    base_score: npt.NDArray[np.float32]
    """float32 [1] or [K], in the space of predictions"""
    trees: Sequence[Mapping[str, Any]]
    tree_info: npt.NDArray[np.int64]
    """int64 [T]: the target each tree adds to"""
    tree_weights: npt.NDArray[np.float32] | None
    """float32 [T] for dart"""
    weighs_alike: bool
    """whether predicting in place weighs dart's trees as predicting from a DMatrix does: since 3.4"""
    iteration_bounds: npt.NDArray[np.int64]
    """int64 [iterations + 1]: the first tree of each iteration, and the end"""
    feature_names: list[str]
    category_encodings: Sequence[Mapping[str, Any]]


def parse(data: bytes) -> Model:
    """Raises ConversionError for other formats, gblinear, and contents that do not fit."""
    if not data[:64].lstrip().startswith(b"{"):
        raise ConversionError(
            "the XGBoost model is neither JSON nor UBJSON",
            hint="XGBoost's old binary format: load it there and save it as .ubj or .json",
        )
    try:
        return _model(load(data)["learner"])
    except DocumentError as error:
        raise malformed(_LIBRARY, str(error)) from error
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise malformed(_LIBRARY, f"a part is missing or of the wrong kind ({error!r:.80})") from error


def _model(learner: Mapping[str, Any]) -> Model:
    booster = learner["gradient_booster"]
    name = booster.get("name", "gbtree")
    if name not in ("gbtree", "dart"):
        raise ConversionError(
            f"the XGBoost model's booster is {str(name)[:20]}, which is not made of trees",
            hint="train with booster='gbtree'; or serve a linear model from scikit-learn",
        )
    inner = booster["gbtree"]["model"] if "gbtree" in booster else booster["model"]
    _refuse_unknown(learner, booster, inner)
    parameters = learner["learner_model_param"]
    n_classes, n_outputs = int(parameters["num_class"]), int(parameters.get("num_target", 1))
    n_targets, n_features = max(1, n_classes, n_outputs), int(parameters["num_feature"])
    trees = inner["trees"]
    if n_targets > MAX_TARGETS or n_features > MAX_FEATURES or not isinstance(trees, list) or not trees:
        raise malformed(_LIBRARY, f"{n_targets} targets, {n_features} features, {len(trees)} trees")
    weights = _tree_weights(booster, inner)
    info = np.asarray(inner["tree_info"], dtype=np.int64)
    if len(info) != len(trees) or (weights is not None and len(weights) != len(trees)):
        raise malformed(_LIBRARY, f"{len(info)} targets or weights for {len(trees)} trees")
    return Model(
        objective=str(learner["objective"]["name"]),
        n_features=n_features,
        n_targets=n_targets,
        base_score=_base_score(parameters["base_score"], n_targets),
        trees=trees,
        tree_info=info,
        tree_weights=weights,
        weighs_alike="weight_drop" in inner,
        iteration_bounds=_iterations(inner, trees, n_targets),
        feature_names=[str(item) for item in learner.get("feature_names") or []],
        category_encodings=(inner.get("cats") or {}).get("enc") or [],
    )


#: What learners, boosters and their models hold, in the releases whose semantics are known.
_KNOWN = (
    {"attributes", "feature_names", "feature_types", "gradient_booster", "learner_model_param", "objective"},
    {"gbtree", "model", "name", "weight_drop"},
    {"cats", "gbtree_model_param", "iteration_indptr", "tree_info", "trees", "weight_drop"},
)


def _refuse_unknown(*parts: Mapping[str, Any]) -> None:
    """A part that a later release added may change every answer: 3.4 moved dart's weights."""
    unknown = sorted(set().union(*(part.keys() - known for part, known in pairs(parts, _KNOWN))))
    if unknown:
        raise ConversionError(
            f"the XGBoost model holds {unknown[0][:40]!r}, which is not known here",
            hint="a later release of XGBoost wrote it: update Model Preflight, or train with an earlier one",
        )


def _tree_weights(booster: Mapping[str, Any], inner: Mapping[str, Any]) -> npt.NDArray[np.float32] | None:
    """Dart's weights: beside the trees until 3.3, among them since, where their presence makes the booster dart."""
    found = booster.get("weight_drop") or inner.get("weight_drop") or []
    if booster.get("name") == "dart" and not found:
        raise malformed(_LIBRARY, "its booster is dart, but there are no tree weights")
    return np.asarray(found, dtype=np.float32) if found else None


def _base_score(text: str, n_targets: int) -> npt.NDArray[np.float32]:
    """A number until 3.0, a list of numbers since, both written as text."""
    found = np.atleast_1d(np.asarray(json.loads(text), dtype=np.float32))
    if found.shape not in ((1,), (n_targets,)) or not np.isfinite(found).all():
        raise malformed(_LIBRARY, f"its base score is {text[:40]!r} for {n_targets} targets")
    return found


def _iterations(inner: Mapping[str, Any], trees: Sequence[Mapping[str, Any]], n_targets: int) -> Any:
    if "iteration_indptr" in inner:
        bounds = np.asarray(inner["iteration_indptr"], dtype=np.int64)
        if len(bounds) < 2 or bounds[0] != 0 or bounds[-1] != len(trees) or (np.diff(bounds) < 0).any():
            raise malformed(_LIBRARY, "its iterations do not fit its trees")
        return bounds
    parallel = max(1, int(inner["gbtree_model_param"].get("num_parallel_tree", 1)))
    vector = max(1, int(trees[0]["tree_param"].get("size_leaf_vector", 1))) > 1
    step = parallel * (1 if vector else n_targets)
    return np.append(np.arange(0, len(trees), step, dtype=np.int64), len(trees))
