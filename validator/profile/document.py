"""`profile.json`: reading it strictly, and writing it canonically."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from validator.artifact.read import PROFILE_FILE, TamperedArtifactError, parse_object
from validator.profile.columns import (
    CATEGORY_SPECIAL,
    NUMERIC_SPECIAL,
    CategoryColumn,
    Column,
    Floor,
    NumericColumn,
)

PROFILE_SCHEMA = 1
_MAX_COLUMNS = 200_000
_MAX_BINS = 21
_MAX_BLOCKS = 400
_MAX_NAMED = 1_000
_DTYPES = frozenset(
    {"float16", "float32", "float64", "bool", *(f"{u}int{n}" for u in ("", "u") for n in (8, 16, 32, 64))}
)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """One figure of the reference's own quality, with its interval: `metric` on `rows` rows with a true answer."""

    metric: str
    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What the reference looked like, column by column.

    `source` is "reference" (training data) or "sample" (the gate's own sample); `source_rows` are all of its rows,
    `rows` those counted, fewer where it is large. `ordered` says whether its rows show an order in time or in groups.
    `slo_ms` is the limit of latency that the gate held the model to. `group` is the column whose groups were counted
    as one row each.
    """

    rows: int
    source_rows: int
    source: str
    source_sha256: str
    ordered: bool
    features: tuple[Column, ...]
    outputs: tuple[Column, ...]
    slo_ms: float | None = None
    target: str | None = None
    quality: tuple[Quality, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.features, *self.outputs)


def profile_document(profile: Profile) -> dict[str, Any]:
    """The profile as JSON values."""
    return {
        "schema_version": PROFILE_SCHEMA,
        "rows": profile.rows,
        "source_rows": profile.source_rows,
        "source": profile.source,
        "source_sha256": profile.source_sha256,
        "ordered": profile.ordered,
        "slo_ms": profile.slo_ms,
        "target": profile.target,
        "quality": [asdict(one) for one in profile.quality],
        "features": [_column_document(column) for column in profile.features],
        "outputs": [_column_document(column) for column in profile.outputs],
    }


def profile_json(profile: Profile) -> bytes:
    """The file's content: sorted keys, ASCII, one line a column.

    Parameters
    ----------
    profile : Profile

    Returns
    -------
    bytes
        The same for the same profile, on every machine; `parse_profile` reads it back.
    """
    document = profile_document(profile)
    columns = {key: document.pop(key) for key in ("features", "outputs")}
    lines = [f'"{key}": {_dumps(value)}' for key, value in document.items()]
    for key, found in columns.items():
        inside = ",\n".join(f"  {_dumps(one)}" for one in found)
        lines.append(f'"{key}": [\n{inside}\n]')
    return ("{\n" + ",\n".join(sorted(lines)) + "\n}\n").encode("ascii")


def parse_profile(content: bytes) -> Profile:
    """The profile of an artifact's `profile.json`.

    Parameters
    ----------
    content : bytes
        The file as `profile_json` writes it.

    Returns
    -------
    Profile

    Raises
    ------
    TamperedArtifactError
        Its message says what is wrong in the file: no JSON, another schema, counts that do not add up.
    """
    document = parse_object(content, name=PROFILE_FILE)
    schema = document.get("schema_version")
    if schema != PROFILE_SCHEMA:
        raise TamperedArtifactError(
            f"{PROFILE_FILE} has schema_version {schema!r}; this release reads {PROFILE_SCHEMA}",
            hint="use the release of model-preflight that wrote it, or a later one",
            file=PROFILE_FILE,
        )
    try:
        return _profile(document)
    except (KeyError, TypeError, ValueError) as error:
        told = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise TamperedArtifactError(f"{PROFILE_FILE}: {told}", file=PROFILE_FILE) from error


def _profile(document: Mapping[str, Any]) -> Profile:
    features = tuple(_column(item) for item in _list(document, "features", _MAX_COLUMNS))
    outputs = tuple(_column(item) for item in _list(document, "outputs", _MAX_COLUMNS))
    names = [column.name for column in (*features, *outputs)]
    if len(set(names[: len(features)])) != len(features) or len(set(names[len(features) :])) != len(outputs):
        raise ValueError("it names a column twice")
    ordered, source, slo, target = (document[key] for key in ("ordered", "source", "slo_ms", "target"))
    if not isinstance(ordered, bool) or source not in ("reference", "sample"):
        raise ValueError(f"ordered is {ordered!r} and source {source!r}")
    if not (target is None or isinstance(target, str)):
        raise ValueError(f"target is {target!r}")
    return Profile(
        rows=_whole(document["rows"]),
        source_rows=_whole(document["source_rows"]),
        source=source,
        source_sha256=_text(document["source_sha256"]),
        ordered=ordered,
        features=features,
        outputs=outputs,
        slo_ms=None if slo is None else _real(slo),
        target=target,
        quality=tuple(_quality(item) for item in _list(document, "quality", 100)),
    )


def _quality(item: Mapping[str, Any]) -> Quality:
    return Quality(
        metric=_text(item["metric"]),
        value=_real(item["value"]),
        low=_real(item["low"]),
        high=_real(item["high"]),
        rows=_whole(item["rows"]),
    )


def _column_document(column: Column) -> dict[str, Any]:
    document = {field.name: getattr(column, field.name) for field in fields(column)}
    # Not `asdict`: it copies every number of every block.
    document |= {"special": dict(column.special), "floors": [asdict(floor) for floor in column.floors]}
    if isinstance(column, NumericColumn):
        return document | {"kind": "numeric"}
    *top, other = document["counts"]
    return document | {"kind": "category", "counts": top, "other": other}


def _column(item: Mapping[str, Any]) -> Column:
    kind = item["kind"]
    if kind not in ("numeric", "category"):
        raise ValueError(f"a column is of kind {kind!r}")
    column = _numeric(item) if kind == "numeric" else _category(item)
    bins = len(column.counts)
    if bins > _MAX_BINS or any(len(block) != bins for block in column.blocks):
        raise ValueError(f"the blocks of {column.name!r} do not fit its bins")
    if not math.isfinite(column.lag) or abs(column.lag) > 1:
        raise ValueError(f"the lag of {column.name!r} is {column.lag!r}")
    return column


def _common(item: Mapping[str, Any], special: tuple[str, ...]) -> dict[str, Any]:
    given = item["special"]
    if set(given) != set(special):
        raise ValueError(f"the special values of {item['name']!r} are not {', '.join(special)}")
    return {
        "name": _text(item["name"]),
        "special": {key: _whole(given[key]) for key in special},
        "blocks": tuple(tuple(map(_whole, block)) for block in _list(item, "blocks", _MAX_BLOCKS)),
        "floors": tuple(_floor(one) for one in _list(item, "floors", 10)),
        "lag": _real(item["lag"]),
        "lag_rows": _whole(item["lag_rows"]),
    }


def _numeric(item: Mapping[str, Any]) -> NumericColumn:
    edges = tuple(map(_real, _list(item, "edges", _MAX_BINS)))
    if any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"the edges of {item['name']!r} do not rise")
    counts = tuple(map(_whole, _list(item, "counts", _MAX_BINS)))
    low, high = item["minimum"], item["maximum"]
    if len(counts) != len(edges) + 1 or (low is None) != (high is None) or item["dtype"] not in _DTYPES:
        raise ValueError(f"the bins, range or type of {item['name']!r} are not whole")
    if low is not None and (_real(low) > _real(high) or any(not low <= edge <= high for edge in edges)):
        raise ValueError(f"the edges of {item['name']!r} lie outside its range")
    return NumericColumn(
        dtype=item["dtype"],
        edges=edges,
        counts=counts,
        quantiles=tuple(map(_real, _list(item, "quantiles", 11))),
        minimum=None if low is None else _real(low),
        maximum=None if high is None else _real(high),
        **_common(item, NUMERIC_SPECIAL),
    )


def _category(item: Mapping[str, Any]) -> CategoryColumn:
    top = tuple(map(_text, _list(item, "top", _MAX_BINS)))
    counts = (*map(_whole, _list(item, "counts", _MAX_BINS)), _whole(item["other"]))
    if len(counts) != len(top) + 1:
        raise ValueError(f"the categories of {item['name']!r} do not fit their counts")
    return CategoryColumn(
        top=top,
        named=tuple(map(_text, _list(item, "named", _MAX_NAMED))),
        counts=counts,
        **_common(item, CATEGORY_SPECIAL),
    )


def _floor(item: Mapping[str, Any]) -> Floor:
    rows, between, directions, quantile = (
        _real(item[key]) for key in ("rows", "between", "directions", "quantile")
    )
    special = {_text(key): _real(value) for key, value in dict(item["special"]).items()}
    windows = _whole(item["windows"])
    possible = windows >= 2 and rows > 0 and between >= 0 and directions >= 1 and quantile > 0
    if not possible or len(special) > len(NUMERIC_SPECIAL) or any(not 0 <= x <= 1 for x in special.values()):
        raise ValueError("a floor holds an impossible number")
    return Floor(
        windows=windows,
        rows=rows,
        between=between,
        directions=directions,
        quantile=quantile,
        special=special,
    )


def _dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)


def _list(item: Mapping[str, Any], key: str, most: int) -> Sequence[Any]:
    value = item[key]
    if not isinstance(value, list) or len(value) > most:
        raise ValueError(f"{key} is no list of at most {most}")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{str(value)[:80]!r} is no count")
    return value


def _real(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"{str(value)[:80]!r} is no number")
    return float(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:80]!r} is no text")  # noqa: TRY004 - it becomes one error of the file
    return value
