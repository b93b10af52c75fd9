"""Objects and functions that do, in the place of an estimator or a step, what no estimator does.

A pandas frame has a `transform` that calls the method it is told by name, and gives out its labels as attributes; a
booster that is given a text instead of rows takes it for the path of a file.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from validator.model.safety.findings import State
from validator.model.safety.policy import ANY, table
from validator.model.safety.symbols import Bag, Map, Obj, Raw, Ref, preview

# Attributes of scikit-learn 0.24 to 1.9 whose values, or theirs, are asked to transform, predict or apply.
ASKED = re.compile(
    r"(\w*_|sub)?(estimators?|regressors?|classifiers?|transformers?|transformer_list|steps|init|imputers?"
    r"|imputation_sequence|encoders?|binarizer|binner|bin_mapper|centerer|indicator|scaler|pca|tree|predictors?|scorers?"
    r"|scoring|kernels?|model|mlb|chain|poly|knn|nbrs|nn_fit|svd|kmeans|loss|tfidf|le|est|preprocessor|calibrators?"
    r"|delegate|Booster)_*\Z"
)
_FRAMES = ("pandas.core.frame.", "pandas.core.series.", "pandas.DataFrame", "pandas.Series")
_MOST_DEPTH = 20
# Of an array of texts these make one text, each of them by itself or of what is bound to it.
_REDUCES = frozenset({
    "max", "min", "amax", "amin", "nanmax", "nanmin", "sum", "nansum", "prod", "median", "nanmedian", "percentile",
    "quantile", "fmax", "fmin", "logaddexp",
})  # fmt: skip
# Of rows these make rows again, or numbers: never one text, nor an array without dimensions, of which the next
# function would make one. Ufuncs are known by their module.
_ROWS = {
    "numpy": frozenset({
        "asarray", "array", "clip", "where", "nan_to_num", "round", "around", "ravel", "transpose", "cumsum", "diff",
        "unique", "concatenate", "argmax", "argmin", "mean", "nanmean", "std", "nanstd", "var", "nanvar", "average",
    }),
    "builtins": frozenset({"float", "int", "bool", "complex", "len", "abs", "list", "tuple"}),
}  # fmt: skip
_UFUNCS = "numpy._core._multiarray_umath"
_ROWS_OF = ("scipy.", "sklearn.preprocessing.", "sklearn.metrics.pairwise.", "sklearn.utils.")


@lru_cache(maxsize=10_000)
def _is_asked(key: str) -> bool:
    return ASKED.match(key) is not None


class Frames:
    """Finds pandas frames and series where estimators stand; remembers what it looked at."""

    def __init__(self) -> None:
        self._known: dict[int, str] = {}
        self._kept: list[Any] = []

    def reason(self, key: Any, value: Any) -> str:
        """Why the attribute is refused, or nothing."""
        if type(key) is not str or not _is_asked(key):
            return ""
        found = self._found(value, 0)
        return f"holds {found} where an estimator stands" if found else ""

    def _found(self, value: Any, depth: int) -> str:
        if type(value) is Obj and value.path.startswith(_FRAMES):
            return value.path
        parts = _parts(value)
        if not parts:
            return ""
        if depth > _MOST_DEPTH:
            return "more levels of lists than can be followed"
        if id(value) in self._known:
            return self._known[id(value)]
        self._known[id(value)] = ""
        self._kept.append(value)
        found = next(filter(None, (self._found(part, depth + 1) for part in parts)), "")
        self._known[id(value)] = found
        return found


def _parts(value: Any) -> Any:
    """What a container holds, an array of objects among them."""
    if type(value) is Map:
        return value.flat
    if type(value) is Bag:
        return value.items
    if isinstance(value, (list, tuple)):
        return value
    is_array = type(value) is Obj and isinstance(value.detail, tuple) and len(value.detail) == 3
    return value.detail[2] if is_array and type(value.detail[2]) in (list, tuple) else ()


def gives_text(state: State) -> str:
    """Why a function must not make what a booster is given: it can be a text instead of rows. Or nothing."""
    if not state.path.endswith(".FunctionTransformer"):
        return ""
    function: Any = state.attributes.get("func")
    bound: tuple[Any, ...] = ()
    keywords: list[Any] = [state.attributes.get("kw_args")]
    if type(function) is Obj and function.path == "functools.partial" and isinstance(function.detail, tuple):
        function, bound, more = function.detail
        keywords.append(more)
    named = [part for part in keywords if type(part) is Map]
    if type(function) is not Ref:
        return ""
    if any(type(part) in (str, bytes, Raw) or _holds_texts(part) for part in bound):
        return f"is bound to {preview(bound)}, and a booster takes a text for the path of a file"
    if not _gives_rows(function, named):
        return f"is {function.path}, which may give one text, and a booster takes that for the path of a file"
    return ""


def _gives_rows(function: Ref, named: list[Map]) -> bool:
    """Whether the function gives rows or numbers for rows, with these keywords."""
    if ANY in function.uses:
        return True  # somebody vouches for it
    if function.name in _REDUCES:
        return any(part.get("keepdims") is True for part in named)
    if function.name == "reshape":
        return any(_has_dimensions(part.get(key)) for part in named for key in ("shape", "newshape"))
    root = function.module.partition(".")[0]
    is_ufunc = root == "numpy" and (_UFUNCS, function.name) in table()
    return is_ufunc or function.name in _ROWS.get(root, ()) or function.module.startswith(_ROWS_OF)


def _has_dimensions(shape: Any) -> bool:
    return type(shape) is int or (isinstance(shape, (list, tuple)) and len(shape) > 0)


def _holds_texts(value: Any) -> bool:
    """Whether it is an array of objects or of texts."""
    if type(value) is not Obj or not value.path.startswith("numpy."):
        return False
    if value.detail is None and not value.path.startswith(("numpy.ndarray", "numpy.m", "numpy.rec")):
        return value.path[6:7] in "OUSV"  # a scalar, named after its type
    dtype = value.detail[1] if isinstance(value.detail, tuple) and len(value.detail) == 3 else None
    return getattr(dtype, "kind", "O") in "OUSV"


_LABELS = [
    name.encode(code) for name in ("array_interface__", "array_struct__") for code in ("utf-8", "utf-32-le")
]


def memory_label(content: bytes) -> bool:
    """Whether the bytes hold the name by which NumPy asks an object for an address in memory to read.

    A pandas series answers it with whatever it holds under that label.
    """
    return any(label[:-3] in content for label in _LABELS)
