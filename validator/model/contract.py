"""The input contract: which columns the model takes, inferred from model and sample or fixed by the user."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from validator.errors import SampleError, SettingsError
from validator.libraries.known import library_named
from validator.model.knowledge import Knowledge, Known, with_knowledge
from validator.results import Contract, FeatureSpec, Scalar, Task
from validator.table import Column, Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: A column of text of which the model tells nothing is free text, which any value fits, above so many values.
_MOST_TEXTS = 1_000
_FIRST = 64


def choose_features(
    sample_columns: Sequence[str],
    *,
    known: Sequence[str] | None,
    n_features: int | None,
    target: str | None,
    ignored: Sequence[str],
    where: str,
) -> tuple[str, ...]:
    """The sample's columns that are the model's features, in the model's order.

    `known` are the names that the model or a fixed contract holds, `n_features` the width of a model without
    names. Raises SampleError for missing, extra or misspelt columns, and for a target that is not there.
    """
    apart = [target] if target else []
    for name in (*apart, *ignored):
        if name not in sample_columns:
            raise SampleError(
                f"{where} has no column {name!r}",
                hint=_suggest(name, sample_columns) or "check target and ignore",
            )
    given = [name for name in sample_columns if name not in apart and name not in ignored]
    if known is None:
        return _by_position(given, n_features, where)
    missing = [name for name in known if name not in given]
    extra = [name for name in given if name not in known]
    if missing:
        pairs = [f"{name!r}{_suggestion(name, extra)}" for name in missing[:10]]
        raise SampleError(
            f"{where} lacks {len(missing)} of the model's {len(known)} features: {', '.join(pairs)}",
            hint="give the columns the model was trained on, under the same names",
        )
    if extra:
        more = f" and {len(extra) - 10} more" if len(extra) > 10 else ""
        unnamed = "" in extra or any(re.fullmatch(r"Unnamed: \d+", name) for name in extra)
        raise SampleError(
            f"{where} has columns that the model does not know: {', '.join(map(repr, extra[:10]))}{more}",
            hint="the column without a name is pandas' index: save the sample with index=False"
            if unnamed
            else "name the true answer with `target`, list what is no feature under `ignore`, or leave it out",
        )
    return tuple(known)


def respelt(known: Sequence[str] | None, sample_columns: Sequence[str]) -> Sequence[str] | None:
    """The model's names as the sample spells them: LightGBM writes underscores for the blanks of a column's name."""
    if known is None:
        return None
    spelt = {re.sub(r"\s", "_", column): column for column in sample_columns}
    unambiguous = len(spelt) == len(sample_columns)
    return [spelt.get(name, name) if unambiguous and name not in sample_columns else name for name in known]


def _by_position(given: Sequence[str], n_features: int | None, where: str) -> tuple[str, ...]:
    if n_features is not None and len(given) != n_features:
        raise SampleError(
            f"{where} has {len(given)} feature columns, but the model takes {n_features}: {', '.join(given[:12])}",
            hint="name the true answer with `target`, and list what is no feature under `ignore`",
        )
    return tuple(given)


def _suggest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _suggestion(name: str, extra: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, extra, n=1, cutoff=0.6)
    return f" (is {close[0]!r} meant?)" if close else ""


def check_types(table: Table, *, library: str, categorical: Collection[str], where: str) -> None:
    """Text or dates where the model can only take numbers: anywhere but in the columns that it takes as categories.

    Raises SampleError naming a value and its row.
    """
    known = library_named(library)
    if known is None or not known.trees_alone:
        return
    for column in table.columns:
        if column.is_numeric or column.name in categorical:
            continue
        values = column.decoded()
        row = next((i for i, value in enumerate(values) if _is_text(value)), 0)
        raise SampleError(
            f"column {column.name!r} of {where} holds {column.dtype}, where the model wants a number "
            f"(row {row}: {str(values[row])[:80]!r})",
            hint="mend the value, or give the column as the model was trained on it: a category is one in Parquet, "
            "while a CSV file has no types",
        )


def _is_text(value: object) -> bool:
    if value is None:
        return False
    try:
        float(str(value))
    except ValueError:
        return True
    return False


class Observer:
    """Collects what the sample shows of each feature, batch by batch, into the contract's features."""

    def __init__(self, free: Collection[str] = (), listed: Collection[str] = ()) -> None:
        """`free` are columns of free text, which any value fits; of those `listed` no value is left out."""
        self._free, self._listed = frozenset(free), frozenset(listed)
        self._seen: dict[str, FeatureSpec] = {}
        self._order: list[str] = []
        #: Columns in which a fraction was seen, and of each category column the categories that rows hold.
        self.fractional: set[str] = set()
        self.used: dict[str, set[Scalar]] = {}

    def observe(self, table: Table) -> None:
        for column in table.columns:
            if column.name not in self.fractional and _has_fractions(column.values):
                self.fractional.add(column.name)
            if column.categories is not None:
                self.used.setdefault(column.name, set()).update(_used(column))
            most = sys.maxsize if column.name in self._listed else _MOST_TEXTS
            new = _look(column, most)
            if new.dtype == "string" and column.name in self._free:
                new = new.model_copy(update={"categories": None})
            old = self._seen.get(column.name)
            if old is None:
                self._order.append(column.name)
            self._seen[column.name] = new if old is None else _merge(old, new, most)

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        return tuple(self._seen[name] for name in self._order)


@dataclass(kw_only=True)
class Infinities:
    """Which rows of the sample, counted from its beginning, hold an infinite number, by feature."""

    rows: int = 0
    refused: int = 0
    first: dict[str, int] = field(default_factory=dict)
    times: dict[str, int] = field(default_factory=dict)

    def take(self, table: Table) -> NDArray[np.bool_] | None:
        """Which of the next rows [N] hold none; None where all of them do."""
        import numpy as np

        fine = None
        for column in table.columns:
            values = column.values
            if values.dtype.kind != "f":
                continue
            with np.errstate(all="ignore"):
                total = values.sum(dtype=np.float64)
            if np.isfinite(total):
                continue  # it has no infinite part, and costs no array
            infinite = np.isinf(values)
            if infinite.any():
                self.first.setdefault(column.name, self.rows + int(infinite.argmax()))
                self.times[column.name] = self.times.get(column.name, 0) + int(infinite.sum())
                fine = ~infinite if fine is None else fine & ~infinite
        self.rows += len(table)
        self.refused += 0 if fine is None else int((~fine).sum())
        return fine

    def become(self, other: Infinities) -> None:
        """What a pass over more of the rows has found."""
        if other.rows >= self.rows:
            self.rows, self.refused = other.rows, other.refused
            self.first, self.times = other.first, other.times

    @property
    def in_words(self) -> str:
        """The features, how many of their values are infinite and in which row the first is."""
        named = [
            f"{name!r} ({self.times[name]:,} in {self.rows:,} rows, the first in row {row:,})"
            for name, row in list(self.first.items())[:5]
        ]
        more = f" and {len(self.first) - 5} more features" if len(self.first) > 5 else ""
        return ", ".join(named) + more


def _look(column: Column, most_texts: int) -> FeatureSpec:
    import numpy as np

    values = column.values
    if column.truth:
        return FeatureSpec(name=column.name, dtype="bool", missing=bool(np.isnan(values).any()))
    if column.is_numeric and values.dtype.kind != "b":
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (None, None)
        missing = bool(values.dtype.kind == "f" and np.isnan(values).any())
        return FeatureSpec(name=column.name, dtype=column.dtype, minimum=low, maximum=high, missing=missing)
    if column.categories is not None:
        found = tuple(_plain(item) for item in column.categories.tolist())
        return FeatureSpec(
            name=column.name,
            dtype="category",
            missing=bool((values < 0).any()),
            categories=found,
        )
    if values.dtype == object:
        missing = any(value is None for value in values)
        distinct = sorted({value for value in values if value is not None})
        few = tuple(distinct) if len(distinct) <= most_texts else None
        return FeatureSpec(name=column.name, dtype="string", missing=missing, categories=few)
    return FeatureSpec(name=column.name, dtype=column.dtype)


def _used(column: Column) -> list[Scalar]:
    """The categories that a column's rows hold: a file may list others too."""
    import numpy as np

    codes = column.values[column.values >= 0]
    known = [] if column.categories is None else column.categories.tolist()
    counts = np.bincount(codes, minlength=len(known))
    return [_plain(known[code]) for code in np.flatnonzero(counts[: len(known)])]


def _has_fractions(values: NDArray[Any]) -> bool:
    """Whether a number is not whole; the first ones are asked first, since most columns say so at once."""
    import numpy as np

    if values.dtype.kind != "f":
        return False
    for part in (values[:_FIRST], values[_FIRST:]):
        if bool((np.isfinite(part) & (part != np.trunc(part))).any()):
            return True
    return False


def _plain(value: object) -> Scalar:
    return value if isinstance(value, (bool, int, float)) else str(value)


def _merge(a: FeatureSpec, b: FeatureSpec, most_texts: int) -> FeatureSpec:
    lows = [x for x in (a.minimum, b.minimum) if x is not None]
    highs = [x for x in (a.maximum, b.maximum) if x is not None]
    categories: tuple[Scalar, ...] | None = None
    if a.categories is not None and b.categories is not None:
        merged = tuple(dict.fromkeys((*a.categories, *b.categories)))
        categories = merged if "category" in (a.dtype, b.dtype) or len(merged) <= most_texts else None
    return a.model_copy(
        update={
            "minimum": min(lows, default=None),
            "maximum": max(highs, default=None),
            "missing": a.missing or b.missing,
            "categories": categories,
            "dtype": a.dtype if a.dtype == b.dtype else _wider(a.dtype, b.dtype),
        }
    )


def _wider(a: str, b: str) -> str:
    """A column may turn from integers to floats when its first missing value comes."""
    return "float64" if {a, b} & {"float64", "float32"} and "string" not in (a, b) else "string"


def make_contract(
    observed: Sequence[FeatureSpec],
    *,
    task: Task,
    classes: Sequence[Scalar],
    n_outputs: int,
    sums_to_one: bool = True,
    fixed: Mapping[str, Any] | None = None,
    known: Knowledge | None = None,
) -> Contract:
    """The contract from what the model knows and what was seen; what the user has fixed replaces it.

    `fixed` holds what was set in `[contract]` and nothing else; `classes` and what is `known` of the columns are the
    model's own, where it tells them. Raises SettingsError for what the model cannot keep, and SampleError where the
    sample itself breaks it.
    """
    fixed = dict(fixed or {})
    features = _fixed_features(observed, fixed.get("features", ()), known or {})
    _check_classes(fixed.get("classes"), classes, task)
    if task in ("binary", "multiclass") and {"output_minimum", "output_maximum"} & fixed.keys():
        raise SettingsError(
            "[contract] limits the outputs of a classifier, whose probabilities lie between 0 and 1 in any case",
            hint="output_minimum and output_maximum are for predictions and scores: leave them out",
        )
    return Contract(
        features=features,
        task=fixed.get("task") or task,
        classes=tuple(fixed.get("classes") or classes),
        n_outputs=n_outputs,
        probabilities_sum_to_one=sums_to_one,
        output_minimum=fixed.get("output_minimum"),
        output_maximum=fixed.get("output_maximum"),
        allow_missing=any(feature.missing for feature in features),
        allow_infinite=bool(fixed.get("allow_infinite", False)),
        source="fixed" if fixed else "inferred",
    )


def _check_classes(fixed: Sequence[Scalar] | None, own: Sequence[Scalar], task: Task) -> None:
    """Raises SettingsError for classes that are not the model's, in the order of its probabilities."""
    if not fixed:
        return
    if task not in ("binary", "multiclass", "unknown", "multilabel"):
        raise SettingsError(
            f"[contract] names classes, but the model does {task}", hint="leave `classes` out"
        )
    counted = tuple(range(len(fixed)))
    wanted, said = (tuple(own), "the model's are") if own else (counted, "the model itself only counts them:")
    if task != "unknown" and [(type(item), item) for item in fixed] != [
        (type(item), item) for item in wanted
    ]:
        raise SettingsError(
            f"[contract] names the classes {list(fixed)}; {said} {list(wanted)}, in the order of its probabilities",
            hint="leave `classes` out, or give the model's own: other names for them belong into the code that calls",
        )


def _fixed_features(
    observed: Sequence[FeatureSpec],
    fixed: Sequence[Mapping[str, Any]],
    known: Knowledge,
) -> tuple[FeatureSpec, ...]:
    names = [feature.name for feature in observed]
    unknown = [entry["name"] for entry in fixed if entry["name"] not in names]
    if unknown:
        close = difflib.get_close_matches(unknown[0], names, n=1, cutoff=0.6)
        raise SettingsError(
            f"[contract] names a feature {unknown[0]!r}, which the model does not have",
            hint=f"is {close[0]!r} meant?" if close else f"its features are {', '.join(names[:12])}",
        )
    by_name = {entry["name"]: entry for entry in fixed}
    return tuple(
        _held(seen, feature, by_name[seen.name], known.get(seen.name, Known()))
        if seen.name in by_name
        else feature
        for seen, feature in zip(observed, with_knowledge(observed, known), strict=True)
    )


def _held(seen: FeatureSpec, feature: FeatureSpec, fixed: Mapping[str, Any], known: Known) -> FeatureSpec:
    """One feature as the user fixed it. Raises SampleError where what was seen of it in the sample breaks that."""
    limits = {"minimum", "maximum"} & fixed.keys()
    spec = feature.model_copy(update={**fixed, "fixed_range": bool(limits)})
    if limits:  # a limit that was not set is none, rather than what the sample showed
        spec = spec.model_copy(update={name: fixed.get(name) for name in ("minimum", "maximum")})
    where = f"[contract] feature {seen.name!r}"
    own = known.values
    if own is not None and (strange := [item for item in fixed.get("categories") or () if item not in own]):
        raise SettingsError(
            f"{where} lists the category {strange[0]!r}, which the model never saw",
            hint=f"its categories are {', '.join(map(repr, own[:12]))}",
        )
    broken = _broken(seen, spec, known)
    if broken:
        raise SampleError(
            f"{where} {broken}",
            hint="mend the sample or the contract: a promise that the sample breaks cannot be judged",
        )
    return spec


def _broken(seen: FeatureSpec, spec: FeatureSpec, known: Known) -> str:
    """In which way what was seen breaks a feature's contract, if any."""
    low, high = seen.minimum, seen.maximum
    if spec.fixed_range and low is not None and spec.minimum is not None and low < spec.minimum:
        return f"begins at {spec.minimum:g}, and the sample holds {low:g}"
    if spec.fixed_range and high is not None and spec.maximum is not None and high > spec.maximum:
        return f"ends at {spec.maximum:g}, and the sample holds {high:g}"
    if seen.missing and not spec.missing:
        return "has no missing values, and the sample has some"
    if spec.categories is not None and seen.categories is not None:
        held = seen.categories if known.used is None else sorted(known.used, key=repr)
        strange = [item for item in held if item not in spec.categories]
        if strange:
            return f"does not list {strange[0]!r}, which the sample holds"
    numbers = ("float", "int", "uint")
    if spec.dtype.startswith(numbers) != seen.dtype.startswith(numbers) and "bool" not in (
        spec.dtype,
        seen.dtype,
    ):
        return f"is {spec.dtype}, and the sample's column is {seen.dtype}"
    if spec.dtype.startswith(("int", "uint")) and seen.dtype.startswith("float") and not known.whole:
        return f"is {spec.dtype}, and the sample holds fractions"
    if spec.dtype == "bool" and low is not None and high is not None and not 0 <= low <= high <= 1:
        return f"is bool, and the sample holds {low if low < 0 else high:g}"
    return ""
