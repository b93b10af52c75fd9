"""Does a wrapper answer what its model answers? Post-processing is fine where it is a function of the model's answer.

Pure: arrays in, a reading out. Readings are tried from the closest to the furthest, and the first that holds counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.outputs import Outputs
from validator.results import Scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Largest difference of two numbers that count as one: answers in float32 and rounded to six places are as right.
TOLERANCE = 2e-6


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How one output of a wrapper reads: `reading` in words; `wrong` are the rows [N] that it does not explain."""

    output: str
    reading: str
    wrong: NDArray[np.bool_]

    @property
    def agrees(self) -> bool:
        return not self.wrong.any()


def agreement(model: Outputs, wrapper: Outputs, classes: Sequence[Scalar]) -> list[Agreement]:
    """How each output of the wrapper relates to the model's answers for the same N rows.

    Parameters
    ----------
    model, wrapper : Outputs
        N rows each, in the same order.
    classes : sequence
        The model's classes, in the order of its probabilities; empty for what is no classifier.

    Returns
    -------
    list of Agreement
        One for each output that the wrapper gives.
    """
    return [
        _read_labels(model, name, given, classes)
        if _is_label(name, given)
        else _read_numbers(model, name, given)
        for name, given in wrapper.present.items()
    ]


def _is_label(name: str, given: NDArray[Any]) -> bool:
    return name == "label" or given.dtype.kind not in "fiu"


def _read_numbers(model: Outputs, name: str, given: NDArray[Any]) -> Agreement:
    own = {key: array for key, array in model.present.items() if array.dtype.kind in "fiu"}
    numbers = given.astype(np.float64)
    exact = [(key, array) for key, array in own.items() if array.shape == given.shape]
    if model.probabilities is not None and model.probabilities.shape[1] == 2:
        exact.append(("probability of the second class", model.probabilities[:, 1]))
    best: Agreement | None = None
    for key, array in exact:
        if array.shape != given.shape:
            continue
        found = Agreement(output=name, reading=f"the model's {key}", wrong=differ(array, numbers))
        if found.agrees:
            return found
        best = best if best is not None and best.wrong.sum() <= found.wrong.sum() else found
    value = _one_number(model)
    flat = _one_column(numbers)
    if value is not None and flat is not None:
        falling, rising = _breaks(value, -flat), _breaks(value, flat)
        if not rising.any() and len(np.unique(flat)) > 1:
            return Agreement(output=name, reading=_rising(value, flat), wrong=rising)
        if not falling.any() and len(np.unique(flat)) > 1 and best is not None:
            reading = "falls where the model's answer rises: the other class, or the sign, was taken"
            return Agreement(output=name, reading=reading, wrong=best.wrong)
    if best is None:
        shape = f"has shape {list(given.shape)}, as nothing that the model answers"
        return Agreement(output=name, reading=shape, wrong=np.ones(len(given), dtype=bool))
    return best


def _read_labels(model: Outputs, name: str, given: NDArray[Any], classes: Sequence[Scalar]) -> Agreement:
    labels = given.reshape(len(given), -1)[:, 0]
    own = model.label
    if own is None:
        value = _one_number(model)
        reading = "a threshold on the model's answer"
        wrong = np.ones(len(labels), dtype=bool) if value is None else ~_is_threshold(value, labels)
        return Agreement(output=name, reading=reading, wrong=wrong)
    differ = np.array(
        [not _equal(a, b) for a, b in zip(own.tolist(), labels.tolist(), strict=True)], dtype=bool
    )
    plain = Agreement(output=name, reading="the model's label", wrong=differ)
    if plain.agrees:
        return plain
    others = {value for value in labels.tolist() if not any(_equal(value, item) for item in classes)}
    value = _one_number(model)
    is_threshold = value is not None and bool(_is_threshold(value, labels).all())
    if others or not classes:
        unexplained = _unmapped(own, labels)
        if not unexplained.any() and len(set(labels.tolist())) > 1:
            return Agreement(output=name, reading=_renamed(own, labels), wrong=unexplained)
        if is_threshold:
            return Agreement(
                output=name, reading="a threshold on the model's answer", wrong=np.zeros_like(differ)
            )
        return Agreement(output=name, reading="the model's label by another name", wrong=unexplained)
    if value is not None and is_threshold and _ascends(value, labels, classes):
        return Agreement(
            output=name,
            reading="a threshold of its own on the model's probability",
            wrong=np.zeros_like(differ),
        )
    return plain


def _one_number(model: Outputs) -> NDArray[np.float64] | None:
    """The one number [N] that the model's answer comes down to; None where it is several."""
    if model.probabilities is not None:
        found = model.probabilities
        return found[:, 1].astype(np.float64) if found.ndim == 2 and found.shape[1] == 2 else None
    for array in (model.prediction, model.score):
        if array is not None:
            return _one_column(array.astype(np.float64))
    return None


def _one_column(array: NDArray[Any]) -> NDArray[np.float64] | None:
    """[N] of [N], [N, 1], or the second of two columns that sum to one."""
    if array.ndim == 1:
        return np.asarray(array, dtype=np.float64)
    if array.ndim == 2 and array.shape[1] == 1:
        return np.asarray(array[:, 0], dtype=np.float64)
    if array.ndim == 2 and array.shape[1] == 2 and not differ(array.sum(axis=1), np.ones(len(array))).any():
        return np.asarray(array[:, 1], dtype=np.float64)
    return None


def differ(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows [N] in which two arrays of one shape differ by more than the tolerance, relative to their size."""
    with np.errstate(invalid="ignore"):
        close = np.abs(a - b) <= TOLERANCE * np.maximum(1.0, np.abs(a))
    close |= np.isnan(a.astype(np.float64)) & np.isnan(b.astype(np.float64))
    found: NDArray[np.bool_] = ~close.reshape(len(a), -1).all(axis=1)
    return found


def _breaks(value: NDArray[np.float64], given: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows [N] at which `given` falls although `value` does not: none if it is a rising function of it."""
    order = np.lexsort((given, value))
    v, g = value[order], given[order]
    wrong = np.zeros(len(value), dtype=bool)
    if not np.isfinite(g).all():
        wrong[order] = ~np.isfinite(g)
        return wrong
    highest = np.maximum.accumulate(g)
    slack = TOLERANCE * np.maximum(1.0, np.abs(g))
    falls = np.concatenate([[False], g[1:] < highest[:-1] - slack[1:]])
    same = np.concatenate([[False], (v[1:] == v[:-1]) & (np.abs(g[1:] - g[:-1]) > slack[1:])])
    wrong[order] = falls | same
    return wrong


def _is_threshold(value: NDArray[np.float64], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows [N] explained by cutting `value` into as many stretches as there are labels, each label in one of them."""
    order = np.argsort(value, kind="stable")
    texts = np.array([repr(item) for item in labels.tolist()])[order]
    v = value[order]
    starts = [0, *(np.flatnonzero(texts[1:] != texts[:-1]) + 1).tolist()]
    explained = np.ones(len(labels), dtype=bool)
    clean = len(starts) == len(set(texts.tolist())) > 1 and all(v[at] > v[at - 1] for at in starts[1:])
    if not clean:
        most = max(set(texts.tolist()), key=texts.tolist().count)
        explained[order] = texts == most if len(set(texts.tolist())) > 1 else False
    return explained


def _ascends(value: NDArray[np.float64], labels: NDArray[Any], classes: Sequence[Scalar]) -> bool:
    """Whether the higher values have the second class."""
    return _equal(labels[int(np.argmax(value))], classes[-1]) and _equal(
        labels[int(np.argmin(value))], classes[0]
    )


def _rising(value: NDArray[np.float64], given: NDArray[np.float64]) -> str:
    """The reading of a rising function, and how many of the model's answers it tells apart where not all: rounding
    and clipping are one.
    """
    ours, theirs = len(np.unique(value)), len(np.unique(given))
    coarse = f", which tells {theirs:,} of {ours:,} answers apart" if theirs < ours else ""
    return f"a rising function of the model's answer{coarse}"


def _renamed(own: NDArray[Any], labels: NDArray[Any]) -> str:
    """The reading of labels under other names, which is which in words: no gate can know what a name means."""
    names = dict(zip(own.tolist(), labels.tolist(), strict=True))
    shown = ", ".join(f"{label!r} is {name!r}"[:60] for label, name in list(names.items())[:5])
    return f"the model's label by another name ({shown})"


def _unmapped(own: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Rows [N] that no mapping from the model's label to one other name for each explains."""
    wrong = np.zeros(len(own), dtype=bool)
    taken: dict[str, str] = {}
    ours, theirs = ([repr(item) for item in array.tolist()] for array in (own, labels))
    for label in dict.fromkeys(ours):
        names = [name for key, name in zip(ours, theirs, strict=True) if key == label]
        free = [name for name in dict.fromkeys(names) if name not in taken.values()]
        taken[label] = (
            max(free, key=names.count) if free else ""
        )  # two labels under one name are not the model's
    for row, (key, name) in enumerate(zip(ours, theirs, strict=True)):
        wrong[row] = taken[key] != name
    return wrong


def _equal(a: object, b: object) -> bool:
    """Whether two labels are one: numbers by value, a truth value not taken for a number's text."""
    if isinstance(a, str) != isinstance(b, str):
        return False
    return bool(a == b)
