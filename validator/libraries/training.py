"""What a fitted model still knows of the columns that it was trained on: their categories, and whether values lacked.

Raw columns are followed through pipelines, column transformers and imputers to the encoders that recorded values.
Python 3.9 with numpy and the model's library.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence

from validator.libraries.known import live_of
from validator.libraries.plain import Header, plain

_DEPTH = 12
_INNER = ("regressor_", "best_estimator_", "estimator_")


def trained_on(model: Any) -> List[Header]:
    """For each column of which the model tells something: `column` is its number in the model's order, `values` the
    categories (None where it tells none), `missing` whether it was trained with missing values, or takes them (None
    where it does not tell), `numbers` what numbers it was trained on: float, integer or bool (None likewise),
    `answers_others` whether it answers values that it never saw.
    """
    found: Dict[int, Header] = {}
    count = live_of(model).n_features(model)
    if count:
        _follow(model, list(range(count)), found, 0)
    for column, missing in live_of(model).missing(model).items():
        _entry(found, column)["missing"] = missing
    for one in found.values():
        if one["values"] is not None:
            one["numbers"] = None  # they are names, whatever they look like
    return [found[column] for column in sorted(found)]


def _entry(found: Dict[int, Header], column: int) -> Header:
    return found.setdefault(
        column,
        {"column": column, "values": None, "missing": None, "numbers": None, "answers_others": True},
    )


def _follow(
    step: Any, columns: Sequence[int], found: Dict[int, Header], depth: int
) -> Optional[Sequence[int]]:
    """Notes what a step recorded of the raw `columns` that it is given. Returns those that leave it as they came, in
    their order; None where it changes or mixes them.
    """
    if step is None or isinstance(step, str):
        return columns if step != "drop" else None
    if depth == _DEPTH:
        return None
    if getattr(step, "steps", None):
        given: Optional[Sequence[int]] = columns
        for _, inner in step.steps:
            given = None if given is None else _follow(inner, given, found, depth + 1)
        return given
    for _, part, chosen in getattr(step, "transformers_", None) or []:
        places = _places(step, chosen, len(columns))
        if places is not None and not isinstance(part, str):
            _follow(part, [columns[place] for place in places], found, depth + 1)
    for _, part in getattr(step, "transformer_list", None) or []:
        _follow(part, columns, found, depth + 1)
    for name in _INNER:
        inner = getattr(step, name, None)
        if hasattr(inner, "predict"):
            _follow(inner, columns, found, depth + 1)
    _note_numbers(step, columns, found)
    if _note_categories(step, columns, found):
        return None
    return columns if _note_imputed(step, columns, found) else None


def _places(transformer: Any, chosen: Any, count: int) -> Optional[List[int]]:
    """The numbers of the columns that a column transformer chose by name, number, slice or mask."""
    import numpy as np

    names = [str(name) for name in getattr(transformer, "feature_names_in_", [])]
    listed = [chosen] if isinstance(chosen, (str, int)) else chosen
    try:
        if isinstance(listed, slice):
            bounds = [
                names.index(end) if isinstance(end, str) else end for end in (listed.start, listed.stop)
            ]
            last = bounds[1] + 1 if isinstance(listed.stop, str) else bounds[1]
            return list(range(count))[slice(bounds[0], last, listed.step)]
        array = np.asarray(listed)
        if array.dtype.kind == "b":
            return [int(place) for place in np.flatnonzero(array)]
        places = [names.index(str(item)) if isinstance(item, str) else int(item) for item in array.tolist()]
    except (TypeError, ValueError):
        return None
    places = [place + count if place < 0 else place for place in places]
    return places if all(0 <= place < count for place in places) else None


def _note_categories(step: Any, columns: Sequence[int], found: Dict[int, Header]) -> bool:
    """An encoder's categories, one list a column; scikit-learn's boosting holds an encoder of its own."""
    encoder, columns = _encoder_of(step, columns)
    lists = getattr(encoder, "categories_", None)
    if not isinstance(lists, (list, tuple)) or len(lists) != len(columns):
        return False
    refuses = getattr(encoder, "handle_unknown", "ignore") == "error" and encoder is step
    for column, values in zip(columns, lists):
        listed = list(values)
        known = [plain(value) for value in listed if value is not None and value == value]
        entry = _entry(found, column)
        entry["values"] = list(dict.fromkeys([*(entry["values"] or []), *known]))
        entry["missing"] = True if len(known) < len(listed) else entry["missing"]
        entry["answers_others"] = entry["answers_others"] and not refuses
    return True


def _note_numbers(step: Any, columns: Sequence[int], found: Dict[int, Header]) -> None:
    """What a scaler or model tells of its numbers, of columns that no imputer has filled with numbers of its own."""
    if getattr(step, "steps", None) or getattr(step, "n_features_in_", len(columns)) != len(columns):
        return
    for place, numbers in live_of(step).numbers(step).items():
        if place < len(columns) and not (columns[place] in found and found[columns[place]]["missing"]):
            _entry(found, columns[place])["numbers"] = numbers


def _encoder_of(step: Any, columns: Sequence[int]) -> Any:
    import numpy as np

    preprocessor = getattr(step, "_preprocessor", None)
    flags = getattr(step, "is_categorical_", None)
    if preprocessor is None or flags is None:
        return step, columns
    encoder = getattr(preprocessor, "named_transformers_", {}).get("encoder")
    chosen = np.flatnonzero(np.asarray(flags, dtype=bool)).tolist()
    return encoder, [columns[place] for place in chosen if place < len(columns)]


def _note_imputed(step: Any, columns: Sequence[int], found: Dict[int, Header]) -> bool:
    """An imputer takes missing values. True where its columns leave it in their order."""
    statistics = getattr(step, "statistics_", None)
    if "Imputer" not in type(step).__name__ or statistics is None or len(statistics) != len(columns):
        return False
    if str(getattr(step, "missing_values", None)) in ("nan", "None", "<NA>"):
        for column in columns:
            _entry(found, column)["missing"] = True
    dropped = [value for value in statistics if value is None or value != value]
    return not dropped and getattr(step, "indicator_", None) is None
