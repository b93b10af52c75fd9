"""Number columns: whether they are numbers at all, and whether the model's input type can hold them.

A number becomes a double exactly, or is refused. A double may then round to the model's input type, as it did in
training where the library computes in float32; it may not become infinite, nor a fraction a whole number.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.serving.breach import Breach, shown
from validator.serving.contract import Feature
from validator.serving.errors import (
    DeploymentError,
    FeatureTypeError,
    InfiniteValueError,
    MissingValueError,
    NumberRangeError,
    OutOfRangeError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Found = tuple[NDArray[Any], list[Breach]]

_CAST = "cast it to the contract's type, or fix the contract with `dtype` in preflight.toml"
#: Whole numbers below this are exact in float32 and int32; int8 and int16 are no input types.
_PLAIN = 2**24
#: Whole numbers up to this are exact in float64.
EXACT_IN_DOUBLE = 2**53
_KINDS = {"float": "fiu", "integer": "iuf", "bool": "biuf"}


def encode_numbers(feature: Feature, values: NDArray[Any] | Sequence[Any], dtype: Any) -> Found:
    """A float, integer or bool feature as [N] of the model's input `dtype`, with what is wrong in it.

    `values` is an array of any dtype, or a list of Python values. Rows that a breach covers hold anything.
    """
    if type(values) is list and len(values) == 1 and _is_plain(feature, values[0]):
        return np.array(values, dtype), []
    if isinstance(values, np.ndarray) and values.dtype != object:
        if values.dtype.kind not in _KINDS[feature.kind]:
            return np.zeros(len(values), dtype), [_wrong_column(feature, values)]
        array, breaches = values, list[Breach]()
    else:
        array, breaches = _from_objects(feature, list(values))
    breaches += _check_values(feature, array)
    if feature.has_limits:
        breaches += _check_range(feature, array)
    cast, lost = _cast(array, dtype)
    if lost.any():
        row = int(np.argmax(lost))
        breaches.append(
            _breach(
                feature,
                NumberRangeError,
                f"holds {shown(array[row].item())}, which the model's {np.dtype(dtype)} input cannot hold",
                lost,
                "scale the feature, or give a number that the type can hold exactly",
            )
        )
    return cast, breaches


def _is_plain(feature: Feature, value: Any) -> bool:
    """A number that fits whatever the input's type: the way of single rows needs no machinery for columns."""
    if feature.has_limits:
        return False
    if type(value) is float:
        return feature.kind == "float" and -_PLAIN < value < _PLAIN
    return type(value) is int and feature.kind != "bool" and -_PLAIN < value < _PLAIN


def _from_objects(feature: Feature, values: Sequence[Any]) -> Found:
    """Python values as one array: int64 where all are whole numbers, else float64 with NaN for None."""
    types = set(map(type, values))
    if types <= {float}:
        return np.array(values, dtype=np.float64), []
    wrong = np.array([not _is_number(feature, value) for value in values], dtype=bool)
    breaches = []
    if wrong.any():
        row = int(np.argmax(wrong))
        message = f"holds {type(values[row]).__name__} {shown(values[row])} where {feature.dtype} belongs"
        breaches.append(_breach(feature, FeatureTypeError, message, wrong, _CAST))
    kept = [0 if bad else value for value, bad in zip(values, wrong.tolist(), strict=True)]
    whole = _whole_numbers(kept)
    if whole is not None:
        return whole, breaches
    array = np.array([_to_float(value) for value in kept], dtype=np.float64)
    huge = np.array([_inexact(value) for value in kept], dtype=bool)
    if huge.any():
        row = int(np.argmax(huge))
        message = f"holds {shown(kept[row])}, which float64 cannot hold"
        breaches.append(_breach(feature, NumberRangeError, message, huge, "scale the feature"))
        array[huge] = 0
    return array, breaches


def _whole_numbers(values: Sequence[Any]) -> NDArray[Any] | None:
    """int64 [N], or None where a value is not a whole number of at most 64 bits."""
    if not all(isinstance(value, (int, np.integer, np.bool_)) for value in values):
        return None
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        return None


def _is_number(feature: Feature, value: Any) -> bool:
    """bool is an int to Python, but no number to a contract that says number."""
    if is_null(value):
        return True
    if isinstance(value, (bool, np.bool_)):
        return feature.kind == "bool"
    if isinstance(value, Decimal):
        return not value.is_snan()
    return isinstance(value, (int, float, np.integer, np.floating))


def is_null(value: Any) -> bool:
    """None, what is masked, and pandas' NA and NaT, which are recognised without pandas."""
    return value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType")


def _to_float(value: Any) -> float:
    if is_null(value):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _inexact(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_finite() and _to_float(value) - _to_float(value) != 0.0
    if not isinstance(value, (int, np.integer)):
        return False
    number = _to_float(value)
    return number - number != 0.0 or int(number) != int(value)


def _check_values(feature: Feature, array: NDArray[Any]) -> list[Breach]:
    """NaN, infinity and fractions against the contract."""
    breaches = []
    if array.dtype.kind == "f":
        finite = np.isfinite(array)
        if not finite.all():
            breaches += _check_not_finite(feature, array)
        if feature.kind != "float":
            fractions = finite & (array != np.trunc(array))
            if fractions.any():
                value = array[int(np.argmax(fractions))].item()
                message = f"holds {shown(value)} where {feature.dtype} belongs"
                breaches.append(_breach(feature, FeatureTypeError, message, fractions, _CAST))
    if feature.kind == "bool" and array.dtype.kind != "b":
        wrong = np.isfinite(array) & (array != 0) & (array != 1)
        if wrong.any():
            value = array[int(np.argmax(wrong))].item()
            message = f"holds {shown(value)} where bool belongs"
            breaches.append(_breach(feature, FeatureTypeError, message, wrong, "give true or false"))
    return breaches


def _check_range(feature: Feature, array: NDArray[Any]) -> list[Breach]:
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    outside = (array < low) | (array > high)  # what is missing is neither
    if array.dtype.kind == "f":
        outside &= np.isfinite(array)  # an infinity is a breach of its own
    if not outside.any():
        return []
    value = array[int(np.argmax(outside))].item()
    span = f"{'-∞' if low == -np.inf else f'{low:g}'} to {'∞' if high == np.inf else f'{high:g}'}"
    hint = "find out where the value comes from, or load the deployment with on_range='flag' or 'ignore'"
    return [_breach(feature, OutOfRangeError, f"holds {shown(value)}, outside of {span}", outside, hint)]


def _check_not_finite(feature: Feature, array: NDArray[Any]) -> list[Breach]:
    breaches = []
    missing, infinite = np.isnan(array), np.isinf(array)
    if missing.any() and not feature.missing:
        breaches.append(missing_breach(feature, missing))
    if infinite.any() and not (feature.infinite and feature.kind == "float"):
        value = array[int(np.argmax(infinite))].item()
        hint = "find out why the number has no bound, or set allow_infinite in the contract"
        breaches.append(_breach(feature, InfiniteValueError, f"holds {value}", infinite, hint))
    return breaches


def missing_breach(feature: Feature, mask: NDArray[Any]) -> Breach:
    return _breach(
        feature,
        MissingValueError,
        "has no value (NaN or None), which the contract does not allow",
        mask,
        "fill the value as training did, or validate the model with a sample that has missing values there",
    )


def _cast(array: NDArray[Any], dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The array in the input's type, and which rows [N] would become another number.

    A double may round to a narrower float, but not become infinite. A whole number must be exact as a double.
    """
    target = np.dtype(dtype)
    if array.dtype == target:
        return array, np.zeros(len(array), dtype=bool)
    with np.errstate(over="ignore", invalid="ignore"):
        cast = array.astype(target)
        if array.dtype.kind == "f" and target.kind == "f":
            lost = np.isfinite(array) & ~np.isfinite(cast)
        elif array.dtype.kind == "f":
            lost = cast.astype(array.dtype) != array
        elif array.dtype.kind in "iu" and target.kind == "f":
            lost = _differs(array, array.astype(np.float64)) | ~np.isfinite(cast)
        elif array.dtype.kind in "iu":
            lost = _differs(array, cast)
        else:
            lost = np.zeros(len(array), dtype=bool)
    return cast, lost


def _differs(array: NDArray[Any], cast: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers that changed. Comparing in floats would round both sides alike, so compare as Python does."""
    limit = 2 ** (np.finfo(cast.dtype).nmant + 1) if cast.dtype.kind == "f" else 2**31
    large = (array > limit) | (array < (-limit if array.dtype.kind == "i" else 0))
    for row in np.flatnonzero(large):
        large[row] = int(array[row]) != int(cast[row])
    return large


def _wrong_column(feature: Feature, values: NDArray[Any]) -> Breach:
    dtype = "text" if values.dtype.kind in "US" else str(values.dtype)
    example = f" (row 0: {shown(values[0])})" if len(values) else ""
    return Breach(
        kind=FeatureTypeError,
        message=f"feature {feature.name!r} has dtype {dtype} where {feature.dtype} belongs{example}",
        hint=_CAST,
        features=(feature.name,),
    )


def _breach(
    feature: Feature, kind: type[DeploymentError], what: str, mask: NDArray[Any], hint: str
) -> Breach:
    return Breach(
        kind=kind,
        message=f"feature {feature.name!r} {what}",
        hint=hint,
        features=(feature.name,),
        mask=mask,
    )
