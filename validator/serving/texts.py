"""Text and category columns: whether each value is one that the contract lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.breach import Breach, shown
from validator.serving.contract import Feature, plain_type
from validator.serving.errors import FeatureTypeError, NumberRangeError, UnseenCategoryError
from validator.serving.names import nearest
from validator.serving.numbers import is_null, missing_breach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Found = tuple[NDArray[Any], list[Breach]]

_MAX_LISTED = 5


def encode_texts(feature: Feature, values: NDArray[Any] | Sequence[Any], dtype: Any) -> Found:
    """A string or category feature as [N] of the model's input `dtype`, with what is wrong in it.

    For a text input (`object`) that is the value itself, "" where it is missing; for a number input the category,
    where categories are numbers, else its index in the contract; NaN (float) or -1 (integer) where it is missing.
    """
    if (
        len(values) == 1
        and type(values[0]) is str
        and np.dtype(dtype).kind == "O"
        and _is_known(feature, values[0])
    ):
        return np.array(values, dtype=object), []
    if isinstance(values, np.ndarray) and values.dtype.kind not in "OUTiufb":
        message = f"feature {feature.name!r} has dtype {values.dtype} where {feature.dtype} belongs"
        hint = "give the column as the model was trained on it"
        breach = Breach(kind=FeatureTypeError, message=message, hint=hint, features=(feature.name,))
        return np.zeros(len(values), dtype), [breach]
    given: list[Any] = values.tolist() if isinstance(values, np.ndarray) else list(values)
    # A member of an enumeration of texts is one of them, whatever `str` makes of it.
    plain = [str.__str__(value) if isinstance(value, str) else value for value in given]
    missing = np.array([_is_missing(value) for value in plain], dtype=bool)
    breaches = [missing_breach(feature, missing)] if missing.any() and not feature.missing else []
    wrong = np.array([plain_type(value) not in feature.kinds for value in plain], dtype=bool) & ~missing
    if wrong.any():
        row = int(np.argmax(wrong))
        breaches.append(
            Breach(
                kind=FeatureTypeError,
                message=f"feature {feature.name!r} holds {type(plain[row]).__name__} {shown(plain[row])} where "
                f"{feature.dtype} belongs",
                hint="give the value as the model was trained on it",
                features=(feature.name,),
                mask=wrong,
            )
        )
    index = feature.index
    if index is not None:
        unseen = np.array([_unseen(value, index) for value in plain], dtype=bool) & ~missing & ~wrong
        if unseen.any():
            breaches.append(_unseen_breach(feature, plain, unseen))
    usable = ~(missing | wrong)
    return _encode(feature, plain, usable, index, np.dtype(dtype), breaches)


def _is_known(feature: Feature, text: str) -> bool:
    """One plain text, the way of single rows, needs none of the machinery for columns."""
    return str in feature.kinds and (feature.index is None or text in feature.index)


def _is_missing(value: Any) -> bool:
    return is_null(value) or (isinstance(value, float) and value != value)


def _unseen(value: Any, index: Mapping[Any, int]) -> bool:
    return not isinstance(value, (str, int, float)) or value not in index


def _unseen_breach(feature: Feature, values: Sequence[Any], mask: NDArray[Any]) -> Breach:
    value = values[int(np.argmax(mask))]
    near = nearest(value, feature.categories or ()) if isinstance(value, str) else None
    known = ", ".join(shown(category) for category in (feature.categories or ())[:_MAX_LISTED])
    more = ", …" if len(feature.categories or ()) > _MAX_LISTED else ""
    return Breach(
        kind=UnseenCategoryError,
        message=f"feature {feature.name!r} holds category {shown(value)}, which the contract does not list",
        hint=f"is {shown(near)} meant?" if near else f"the contract lists {known}{more}",
        features=(feature.name,),
        mask=mask,
    )


def _encode(
    feature: Feature,
    values: Sequence[Any],
    usable: NDArray[Any],
    index: Mapping[Any, int] | None,
    dtype: np.dtype[Any],
    breaches: list[Breach],
) -> Found:
    good = usable.tolist()
    if dtype.kind == "O":
        texts = [str(value) if ok else "" for value, ok in zip(values, good, strict=True)]
        return np.array(texts, dtype=object), breaches
    absent = float("nan") if dtype.kind == "f" else -1
    as_number = all(not isinstance(category, str) for category in feature.categories or ())
    lookup = None if as_number else index
    numbers = [
        (value if lookup is None else lookup.get(value, absent)) if ok else absent
        for value, ok in zip(values, good, strict=True)
    ]
    array = np.array(numbers, dtype=np.float64)
    cast = np.where(np.isfinite(array), array, 0).astype(dtype) if dtype.kind in "iu" else array.astype(dtype)
    lost = usable & ~np.isnan(array) & (cast.astype(np.float64) != array)
    if lost.any() and not breaches:
        breaches.append(
            Breach(
                kind=NumberRangeError,
                message=f"feature {feature.name!r} holds a category that the model's {dtype} input cannot hold ",
                hint="validate the model again with categories that its input type can hold",
                features=(feature.name,),
                mask=lost,
            )
        )
    return cast, breaches
