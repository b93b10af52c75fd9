"""Models to which a zero of a sparse matrix is a missing value: XGBoost never sees what such a matrix does not store.

ONNX has dense tensors alone, in which the same zero would be a number.
"""

from __future__ import annotations

from typing import Any

from validator.errors import ConversionError
from validator.pipelines.places import fitted_inside

#: Steps that hand a sparse matrix on as one.
_KEEP = frozenset(
    {
        "Binarizer", "FunctionTransformer", "GenericUnivariateSelect", "MaxAbsScaler", "Normalizer",
        "PolynomialFeatures", "RFE", "RFECV", "RobustScaler", "SelectFdr", "SelectFpr", "SelectFromModel",
        "SelectFwe", "SelectKBest", "SelectPercentile", "SequentialFeatureSelector", "SimpleImputer",
        "StandardScaler", "VarianceThreshold",
    }
)  # fmt: skip
_ALWAYS = frozenset({"CountVectorizer", "HashingVectorizer", "TfidfTransformer", "TfidfVectorizer"})
_MARK = "zeros_are_missing_"


def reads_zeros_as_missing(model: Any) -> bool:
    """Whether `mark` found that it is given sparse matrices."""
    return bool(getattr(model, "__dict__", {}).get(_MARK, False))


def mark(model: Any) -> list[Any]:
    """Mark the XGBoost models inside a fitted one that are given sparse matrices, and return them.

    Raises ConversionError where a graph cannot tell their zeros from what they read as missing.
    """
    found: list[Any] = []
    _follow(model, sparse=False, found=found)
    for one in found:
        missing = getattr(one, "missing", None)
        if missing is not None and missing == missing:  # NaN is the default
            raise ConversionError(
                f"{type(one).__name__} reads {missing} as missing, and every zero of the sparse matrix before it too",
                hint="let the step before it give a dense matrix (`sparse_output=False`, `sparse_threshold=0`) and "
                "train again",
            )
        setattr(one, _MARK, True)
    return found


def _follow(step: Any, *, sparse: bool, found: list[Any]) -> bool:
    """Whether what comes out is sparse where what goes in is."""
    if hasattr(step, "steps"):
        for _, inner in step.steps:
            sparse = _follow(inner, sparse=sparse, found=found)
        return sparse
    if hasattr(step, "transformers_"):
        for _, inner, _ in step.transformers_:
            _follow(inner, sparse=False, found=found)
        return bool(getattr(step, "sparse_output_", False))
    if hasattr(step, "transformer_list"):
        branches = [_follow(inner, sparse=sparse, found=found) for _, inner in step.transformer_list]
        return any(branches)
    if not hasattr(step, "predict"):
        return _gives_sparse(step, given=sparse)
    if sparse and type(step).__module__.startswith("xgboost."):
        found.append(step)
    for name, inner in _inside(step):
        stacked = name == "final_estimator_" and not getattr(step, "passthrough", False)
        _follow(inner, sparse=sparse and not stacked, found=found)
    return False


def _inside(step: Any) -> list[tuple[str, Any]]:
    """Fitted models that a model hands its own input to; the one that stacks gets it beside the others' answers."""
    return [(name, inner) for name, inner in fitted_inside(step) if inner is not step]


def _gives_sparse(step: Any, *, given: bool) -> bool:
    if step is None or isinstance(step, str):
        return given and step != "drop"
    name = type(step).__name__
    if name == "OneHotEncoder":
        return bool(getattr(step, "sparse_output", getattr(step, "sparse", True)))
    if name == "KBinsDiscretizer":
        return bool(step.encode == "onehot")
    if name in ("SplineTransformer", "RandomTreesEmbedding"):
        return bool(getattr(step, "sparse_output", False))
    return name in _ALWAYS or (given and name in _KEEP)
