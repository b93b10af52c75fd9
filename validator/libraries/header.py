"""Checked access to what an exporter said: a worker that met a pickle may say anything."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from validator.libraries.layout import malformed
from validator.python39 import StrEnum, pairs
from validator.trees.ensemble import LabelRule, Task, Transform, TransformKind

Header = Mapping[str, Any]
Arrays = Mapping[str, npt.NDArray[Any]]
Choice = TypeVar("Choice", bound=StrEnum)

MAX_FEATURES = 10_000_000


def array(
    arrays: Arrays, name: str, dtype: npt.DTypeLike, shape: tuple[int, ...], library: str
) -> npt.NDArray[Any]:
    """The array of that name, in that dtype; -1 in `shape` stands for any length. Raises ConversionError."""
    found = arrays.get(name)
    if found is None or found.ndim != len(shape) or found.dtype.kind not in "fiub":
        raise malformed(library, f"no proper array {name!r}")
    if any(wanted not in (-1, length) for wanted, length in pairs(shape, found.shape)):
        raise malformed(library, f"the array {name!r} is {list(found.shape)}")
    return found.astype(dtype, copy=False)


def choice(header: Header, name: str, kinds: type[Choice], library: str) -> Choice:
    """The header's entry as a member of an enumeration. Raises ConversionError."""
    try:
        return kinds(str(header.get(name)))
    except ValueError as error:
        raise malformed(library, f"{name} is {str(header.get(name))[:40]!r}") from error


def number(header: Header, name: str, default: float, library: str) -> float:
    """A finite number. Raises ConversionError."""
    found = header.get(name, default)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not math.isfinite(found):
        raise malformed(library, f"{name} is {str(found)[:40]!r}")
    return float(found)


def count(header: Header, name: str, library: str) -> int:
    """A positive integer. Raises ConversionError."""
    found = header.get(name)
    if type(found) is not int or not 1 <= found <= MAX_FEATURES:
        raise malformed(library, f"{name} is {str(found)[:40]!r}")
    return found


def numbers(header: Header, name: str, library: str) -> npt.NDArray[np.float64]:
    """A list of finite numbers. Raises ConversionError."""
    found = header.get(name)
    if not isinstance(found, list):
        raise malformed(library, f"{name} is no list of numbers")
    return np.array([number({name: item}, name, 0.0, library) for item in found], dtype=np.float64)


def labels(header: Header, library: str) -> tuple[int, ...] | tuple[str, ...]:
    """Class labels, all integers or all strings; none for models that are no classifiers."""
    found = header.get("classes")
    if found is None:
        return ()
    if isinstance(found, list) and all(type(label) is int for label in found):
        return tuple(int(label) for label in found)
    if isinstance(found, list) and all(isinstance(label, str) for label in found):
        return tuple(str(label) for label in found)
    raise malformed(library, "its class labels are neither all integers nor all strings")


def names(header: Header, n_features: int, library: str) -> tuple[str, ...]:
    """Feature names, or none where the model does not know them (or has one twice)."""
    found = header.get("feature_names") or []
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise malformed(library, "its feature names are no list of strings")
    return tuple(found) if len(found) == n_features == len(set(found)) else ()


def transform(header: Header, library: str) -> Transform:
    return Transform(
        kind=choice(header, "transform", TransformKind, library),
        factor=number(header, "factor", 1.0, library),
        offset=number(header, "offset", 0.0, library),
    )


def task(header: Header, library: str) -> Task:
    return choice(header, "task", Task, library)


def label_rule(header: Header, library: str) -> LabelRule:
    return choice(header, "label_rule", LabelRule, library)


def model_bytes(arrays: Arrays, library: str) -> bytes:
    """The model file that travels as the uint8 array "model"."""
    return array(arrays, "model", "uint8", (-1,), library).tobytes()
