"""Attributes that name what is called later: a method, a function, a file.

Permitted classes do with some of their attributes more than keep them: `getattr(estimator, self.stack_method_)(X)`
calls whatever method is named. Each such attribute is held to what its class can honestly hold. The list follows from
every look-up of a computed name and every path opened in the sources of scikit-learn 0.24 to 1.9, which were read one
by one (tests/hostile/sklearn_calls.py); functions may stand wherever one can be called, for each is permitted alone.
"""

from __future__ import annotations

import re
from typing import Any

from validator.model.safety.findings import Log, State
from validator.model.safety.stand_ins import Frames, gives_text
from validator.model.safety.symbols import Map, Obj, Ref, may_be_called, preview

_RESPONSES = frozenset({
    "auto", "predict", "predict_proba", "predict_log_proba", "decision_function", "score_samples", "transform",
    "passthrough", "drop",
})  # fmt: skip
# Attributes whose text, or texts in a list, are the name of a method.
METHOD_NAMES = frozenset({
    "stack_method", "stack_method_", "chain_method", "chain_method_", "response_method", "_response_method",
    "method_", "prediction_method",
})  # fmt: skip
WORDS = {
    # sklearn.preprocessing: getattr(scipy.stats, output_distribution)
    "output_distribution": re.compile(r"(uniform|normal)\Z"),
    # sklearn.feature_selection: attrgetter(importance_getter)
    "importance_getter": re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*\Z"),
}
TEXT_WORDS = {
    # CountVectorizer opens what it is given as the name of a file, or reads it, unless this is `content`.
    "input": re.compile(r"content\Z"),
    "encoding": re.compile(r"[A-Za-z0-9_\-]{1,40}\Z"),
    "decode_error": re.compile(r"(strict|ignore|replace)\Z"),
    "strip_accents": re.compile(r"(ascii|unicode)\Z"),
    "analyzer": re.compile(r"(word|char|char_wb)\Z"),
}
# What estimators, boosters, kernels and scorers answer to: an attribute of that name stands in the method's place.
METHODS = frozenset({
    "apply", "attr", "attributes", "build_analyzer", "build_preprocessor", "build_tokenizer",
    "calc_feature_statistics", "calc_leaf_indexes", "copy", "decision_function", "decision_path", "decode",
    "densify", "diag", "dump_model", "eval", "eval_set", "feature_name", "fit", "fit_predict", "fit_transform",
    "get_all_params", "get_booster", "get_dump", "get_feature_names", "get_feature_names_out",
    "get_metadata_routing", "get_n_leaf_nodes", "get_param", "get_params", "get_support", "get_xgb_params",
    "inplace_predict", "inverse_transform", "is_fitted", "is_stationary", "kneighbors", "kneighbors_graph",
    "load_model", "load_raw_model", "model_from_string", "model_to_string", "num_feature",
    "num_model_per_iteration", "num_trees", "partial_fit", "perplexity", "predict", "predict_joint_log_proba",
    "predict_log_proba", "predict_proba", "predict_type", "radius_neighbors", "radius_neighbors_graph",
    "sample", "save_model", "save_raw", "score", "score_samples", "set_attr", "set_output", "set_param",
    "set_params", "shrink_model", "sparsify", "staged_decision_function", "staged_predict",
    "staged_predict_proba", "staged_score", "transform", "virtual_ensembles_predict",
})  # fmt: skip
# These keep, for each method, an object that says which metadata it wants.
_NAMED_AFTER_METHODS = "sklearn.utils._metadata_requests."
# Instances that can be called, other than estimators, of which some can be, too.
_CALLED = (
    "functools.", "sklearn.gaussian_process.kernels.", "sklearn.metrics._scorer.", "scipy.interpolate.",
    "sklearn.compose._column_transformer.make_column_selector",
)  # fmt: skip
_HINT = "Save the model again as its library fitted it; if it still holds this, find out who made the file."


def check(log: Log) -> None:
    """Refuse the states in which an attribute names something that its class does not honestly name."""
    frames = Frames()
    has_boosters = any(log.names_root(library) for library in ("xgboost", "lightgbm", "catboost"))
    for state in log.states:
        log.place = state.place
        for key, value in state.attributes.pairs():
            reason = _reason(state, key, value) or frames.reason(key, value)
            if reason:
                log.add(f"{state.path}.{key}", "value", state.offset, reason, _HINT, "BUILD")
        if has_boosters and (reason := gives_text(state)):
            log.add(f"{state.path}.func", "value", state.offset, reason, _HINT, "BUILD")
    for state in log.keyed:
        log.place = state.place
        for key, value in state.attributes.pairs():
            if type(key) is str and (key.startswith("__") or (key in METHODS and _is_function(value))):
                reason = f"is given by a key, and what asks for the attribute gets {preview(value)}"
                log.add(f"{state.path}.{key[:100]}", "value", state.offset, reason, _HINT, "SETITEMS")


def _reason(state: State, key: Any, value: Any) -> str:
    """Why the attribute is refused, or nothing."""
    if type(key) is not str:
        return ""
    if key in METHODS and may_be_called(value) and not state.path.startswith(_NAMED_AFTER_METHODS):
        return f"stands in the place of a method: {preview(value)}"
    if key in METHOD_NAMES:
        return "" if _names(value) else f"names what is called later: {preview(value)}"
    pattern = WORDS.get(key)
    if pattern is None and state.path.startswith("sklearn.feature_extraction.text."):
        pattern = TEXT_WORDS.get(key)
    if pattern is None or value is None or may_be_called(value):
        return ""
    good = type(value) is str and pattern.match(value)
    return "" if good else f"has a value that its class cannot work with: {preview(value)}"


def _names(value: Any) -> bool:
    """Whether these are names of the methods by which estimators answer, or of none."""
    if value is None or (type(value) is str and value in _RESPONSES):
        return True
    if type(value) is Map:
        return all(_names(item) for item in value.flat[1::2])
    return (
        type(value) in (list, tuple)
        and all(item is None or type(item) is str for item in value)
        and all(item is None or item in _RESPONSES for item in value)
    )


def _is_function(value: Any) -> bool:
    return type(value) is Ref or (type(value) is Obj and value.path.startswith(_CALLED))
