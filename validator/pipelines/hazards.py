"""What skl2onnx is known to convert wrongly, not at all, or only with help: found by name before conversion.

Each entry was seen with skl2onnx 1.20. An entry either refuses, or repairs the copy of the model that is converted;
the answers of the model are the same after a repair, and parity is measured all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from validator.errors import ConversionError
from validator.libraries.live import answers_several
from validator.pipelines import sparse_zeros
from validator.pipelines.numpy_functions import KNOWN, nodes_of
from validator.pipelines.places import places_in
from validator.python39 import dataclass, pairs
from validator.trees.hazard import TreeHazard


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`applies` to an estimator of class `name`; refuses where there is no `repair`, unless it only `notes`."""

    id: str
    names: tuple[str, ...]
    message: str
    hint: str = ""
    applies: Callable[[Any], bool] = lambda _: True
    repair: Callable[[Any], Any] | None = None
    note: bool = False


def _sparse_bins(step: Any) -> bool:
    return bool(step.encode == "onehot")


def _dense_bins(step: Any) -> Any:
    step.encode = "onehot-dense"
    # The encoder inside was fitted to give sparse matrices, which ONNX has not.
    step._encoder.sparse_output = False
    return step


def _unflattened(step: Any) -> Any:
    step.flatten_transform = False
    return step


def _weights_of_the_kept(step: Any) -> Any:
    import numpy as np

    voters = pairs(step.estimators, step.weights)
    step.weights = np.array([weight for (_, model), weight in voters if model != "drop"], dtype=np.float64)
    return step


def _as_logistic_regression(step: Any) -> Any:
    from sklearn.linear_model import LogisticRegression

    # Both answer with expit or softmax of X @ coef + intercept.
    same = LogisticRegression()
    for name in ("coef_", "intercept_", "classes_", "n_features_in_"):
        setattr(same, name, getattr(step, name))
    return same


def _thawed(step: Any) -> Any:
    return step.estimator


def _unusual_text(step: Any) -> bool:
    return step.analyzer != "word" or step.strip_accents is not None or step.tokenizer is not None


def _weighs_otherwise(step: Any) -> bool:
    # Looked up here: what only foresees hazards needs no NumPy.
    from validator.pipelines.weighted_neighbours import covers

    return step.weights != "uniform" and not covers(step)


def _answers_several(step: Any) -> bool:
    """Of pipelines and searches the model inside is named."""
    return answers_several(step) and not (hasattr(step, "steps") or hasattr(step, "best_estimator_"))


def _own_function(step: Any) -> bool:
    return step.func is not None and nodes_of(step.func) is None


_MIDDLES = ("steps", "transformers_", "transformer_list")
"""where a model that is not the last transforms"""
_SEVERAL = "it gives several answers for each row, and a classifier's file here gives one label"
RULES = (
    Rule(
        id="knn-distance-weights",
        names=("KNeighborsRegressor", "KNeighborsClassifier"),
        applies=_weighs_otherwise,
        message="neighbours weighted by anything but their Euclidean distance convert to other predictions",
        hint="train with weights='uniform', or with weights='distance' and metric='euclidean'",
    ),
    Rule(
        id="neighbour-ties",
        names=("KNeighborsRegressor", "KNeighborsClassifier", "KNNImputer"),
        message="of neighbours at the same distance others may be taken, so that answers differ where rows repeat or "
        "lie on a grid; a larger n_neighbors, or features without equal values, make that rarer",
        note=True,
    ),
    Rule(
        id="radius-neighbours",
        names=("RadiusNeighborsClassifier", "RadiusNeighborsRegressor"),
        message="its converted graph breaks off on some rows",
        hint="use KNeighborsClassifier or KNeighborsRegressor instead",
    ),
    Rule(
        id="frozen",
        names=("FrozenEstimator",),
        message="converted as the model that it keeps from being fitted again",
        repair=_thawed,
    ),
    Rule(
        id="lda-probabilities",
        names=("LinearDiscriminantAnalysis",),
        applies=lambda step: hasattr(step, "coef_"),
        message="its probabilities convert wrongly; converted as the logistic regression that gives the same ones",
        repair=_as_logistic_regression,
    ),
    Rule(
        id="voting-flatten",
        names=("VotingClassifier",),
        applies=lambda step: step.flatten_transform,
        message="flatten_transform=True is not supported; it changes no prediction and was switched off",
        repair=_unflattened,
    ),
    Rule(
        id="voting-weights",
        names=("VotingClassifier", "VotingRegressor"),
        applies=lambda step: step.weights is not None,
        message="its weights are read as an array of those that were not dropped; converted so",
        repair=_weights_of_the_kept,
    ),
    Rule(
        id="kbins-onehot",
        names=("KBinsDiscretizer",),
        applies=_sparse_bins,
        message="sparse one-hot bins are not supported; converted as dense ones",
        repair=_dense_bins,
    ),
    Rule(
        id="contrib-operator",
        names=("GaussianProcessClassifier",),
        message="it needs an operator that ONNX Runtime does not have",
        hint="use another classifier, or calibrate a regressor",
    ),
    Rule(
        id="text-analyser",
        names=("CountVectorizer", "TfidfVectorizer"),
        applies=_unusual_text,
        message="character analysers, accent stripping and own tokenisers convert wrongly",
        hint="use analyzer='word' with the default tokeniser and strip_accents=None, or prepare the text beforehand",
    ),
    Rule(
        id="text-locale",
        names=("CountVectorizer", "TfidfVectorizer"),
        applies=lambda step: step.lowercase,
        message="lower-casing follows the C.UTF-8 locale (in every glibc since 2.35), for which Σ at the end of a "
        "word and İ become other letters than in Python",
        note=True,
    ),
    Rule(
        id="embedding",
        names=("RandomTreesEmbedding",),
        message="no operator of ONNX gives the leaves that a row meets",
        hint="use a forest itself (ExtraTreesClassifier, ExtraTreesRegressor), or KBinsDiscretizer in its place",
    ),
    Rule(
        id="own-function",
        names=("FunctionTransformer",),
        applies=_own_function,
        message="a function of yours cannot be converted",
        hint=f"use one of numpy's {KNOWN}, or move the function out of the model, into the code that prepares its "
        "features",
    ),
    Rule(
        id="multilabel",
        names=("MultiOutputClassifier",),
        message=_SEVERAL,
        hint="save each of its `estimators_` in a file of its own, behind the pipeline's other steps where there are "
        "some: they are whole classifiers",
    ),
    Rule(
        id="multilabel",
        names=(),
        applies=_answers_several,
        message=_SEVERAL,
        hint="train a MultiOutputClassifier instead, and save each of its `estimators_` in a file of its own",
    ),
)
"""In the order in which they are tried. A rule without names looks at every estimator."""


def _without_samplers(step: Any) -> Any:
    """imbalanced-learn's pipeline as scikit-learn's: what draws other rows does so in training alone."""
    from sklearn.pipeline import Pipeline

    return Pipeline([(name, inner) for name, inner in step.steps if not hasattr(inner, "fit_resample")])


#: imbalanced-learn's ensembles that answer as scikit-learn's do whose classes they extend.
_BALANCED = {
    "BalancedRandomForestClassifier": "RandomForestClassifier",
    "BalancedBaggingClassifier": "BaggingClassifier",
    "EasyEnsembleClassifier": "BaggingClassifier",
    "RUSBoostClassifier": "AdaBoostClassifier",
}


def _of_imblearn(step: Any) -> tuple[Any, str]:
    """The same answers by scikit-learn's own class, and what was done. Raises ConversionError where there is none."""
    name = type(step).__name__
    if hasattr(step, "steps"):
        return _without_samplers(step), "its samplers do nothing at prediction; converted without them"
    if name not in _BALANCED:
        raise ConversionError(
            f"{name} of imbalanced-learn cannot be converted: it has no converter",
            hint=f"use one of {', '.join(_BALANCED)}, or a Pipeline of a sampler and a model",
        )
    from sklearn import ensemble

    parent = getattr(ensemble, _BALANCED[name])
    same = parent.__new__(parent)
    same.__dict__.update(step.__dict__)
    return same, f"it draws its rows in training alone; converted as the {_BALANCED[name]} that it is"


def examine(model: Any) -> tuple[Any, tuple[TreeHazard, ...]]:
    """A copy of the fitted model with its hazards repaired, and what was met. Raises ConversionError to refuse."""
    import copy

    ours = copy.deepcopy(model)
    found = [
        TreeHazard(
            id="sparse-zeros",
            step=type(one).__name__,
            action="repaired",
            message="the zeros of the sparse matrix before it are missing values to it; converted so",
        )
        for one in sparse_zeros.mark(ours)
    ]
    repaired = _examined(ours, found)
    return repaired, tuple(found)


def _last(step: Any) -> Any:
    return step.steps[-1][1] if hasattr(step, "steps") else None


def _examined(step: Any, found: list[TreeHazard], *, transforms: bool = False) -> Any:
    """`transforms` is said of what stands in the middle of a pipeline."""
    from validator.pipelines.middle_steps import in_place_of

    if transforms and (other := in_place_of(step)) is not None:
        return other
    name = type(step).__name__
    if type(step).__module__.startswith("imblearn."):
        step, message = _of_imblearn(step)
        found.append(TreeHazard(id="samplers", step=name, action="repaired", message=message))
        name = type(step).__name__
    if type(step).__module__.startswith("category_encoders."):
        raise ConversionError(
            f"{name} of category_encoders cannot be converted: it has no converter",
            hint="use scikit-learn's OneHotEncoder, OrdinalEncoder or TargetEncoder in its place",
        )
    for rule in RULES:
        if (rule.names and name not in rule.names) or not rule.applies(step):
            continue
        if rule.repair is None and not rule.note:
            raise ConversionError(f"{name} cannot be converted: {rule.message}", hint=rule.hint)
        action = "noted" if rule.note else "repaired"
        found.append(TreeHazard(id=rule.id, step=name, action=action, message=rule.message))
        if rule.repair is not None:
            step = rule.repair(step)
    for place in places_in(step):
        inner = place.get()
        in_middle = place.name in _MIDDLES and (transforms or inner is not _last(step))
        place.put(_examined(inner, found, transforms=in_middle))
    return step
