"""Live quality: predictions that were logged, joined with true answers that came later, by version and week."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from validator.artifact.read import PROFILE_FILE, read_artifact, read_leniently
from validator.drift.answering import matrix
from validator.drift.quality import chance, compare, has_truth, measure
from validator.drift.reading import open_data
from validator.errors import ArtifactError, SampleError
from validator.profile import parse_profile
from validator.profile.document import Quality
from validator.profile.making import output_columns
from validator.profile.quantiles import t_quantile
from validator.profile.windows import ALPHA
from validator.serving.server.opening import path_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID, TIME, VERSION = "preflight_id", "preflight_time", "preflight_version"
_OUTPUTS = ("probabilities", "prediction", "score")
#: Weeks that the figures for alerts are of: enough rows to tell, and not the distant past.
RECENT_WEEKS = 4
_LEAST = 40
#: Parts that the intervals come from.
_PARTS = 20


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One figure of one version, in the week that begins at `start` (seconds since 1970), with its 95 % interval."""

    version: str
    start: float
    metric: str
    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True, kw_only=True)
class Standing:
    """One figure of one version over the last weeks. `before` is the reference's; `worse_low` by how much it is
    worse at least, below 0 where it may be no worse, None without a reference of its own: all figures of a version
    together say so of an equal one in 1 % of all measurements."""

    version: str
    metric: str
    value: float
    low: float
    high: float
    rows: int
    before: float | None
    worse_low: float | None
    status: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class LiveQuality:
    """What is known of a model's quality. `joined` rows have a true answer, `waiting` none yet; `ambiguous` ones
    share an id with another number of labels than rows."""

    model: str
    measured_at: float
    joined: int
    waiting: int
    ambiguous: int
    cells: tuple[Cell, ...]
    standings: tuple[Standing, ...]

    @property
    def is_worse(self) -> bool:
        """Some figure is worse than it was judged with, no better than a constant, or off."""
        return any(one.status == "warn" for one in self.standings)

    @property
    def is_compared(self) -> bool:
        """A version has figures of its own reference to be compared with."""
        return any(one.before is not None for one in self.standings)


@dataclass(frozen=True, kw_only=True)
class Options:
    """The log, the labels, and how they are joined."""

    log: str
    labels: str
    artifact: str
    target: str
    id: str = ID
    override: str | None = None


@dataclass(frozen=True)
class _Rows:
    """Joined rows: outputs [N, K], truth [N], week's start [N], version [N]."""

    outputs: NDArray[np.float64]
    truth: NDArray[Any]
    weeks: NDArray[np.float64]
    versions: NDArray[Any]


def measure_live(options: Options, *, now: float) -> LiveQuality:
    """Join and measure.

    Raises
    ------
    SampleError
        If log or labels cannot be read, lack a column, or do not join in at least 40 rows.
    ArtifactError
        If the artifact cannot be read or holds no contract or profile.
    """
    stored = (read_leniently if options.override else read_artifact)(options.artifact)
    if stored.contract is None or PROFILE_FILE not in stored.files:
        raise ArtifactError(
            f"the artifact {options.artifact} holds no contract or no {PROFILE_FILE}",
            hint="validate the model again with this release",
        )
    task, classes = str(stored.contract["task"]), tuple(stored.contract["classes"] or ())
    before = {one.metric: one for one in parse_profile(stored.files[PROFILE_FILE]).quality}
    labels = _labels(options)
    rows, waiting, ambiguous = _joined(options.log, labels)
    if len(rows.truth) < _LEAST:
        raise SampleError(
            f"{len(rows.truth)} logged predictions have a true answer; {_LEAST} are the fewest that say anything",
            hint=f"{waiting} wait for one, {ambiguous} share an id with other rows; labels are joined by "
            f"{options.id!r}",
        )
    own = str(stored.manifest.get("version", ""))
    identity = stored.manifest.get("model")
    name = identity.get("name") if isinstance(identity, Mapping) else None
    return LiveQuality(
        model=path_name(str(name or "model")),
        measured_at=now,
        joined=len(rows.truth),
        waiting=waiting,
        ambiguous=ambiguous,
        cells=tuple(_cells(rows, task, classes)),
        standings=tuple(_standings(rows, task, classes, {own: before})),
    )


def _labels(options: Options) -> dict[str, list[Any]]:
    """True answers by id, in their order."""
    data = open_data(options.labels)
    for name in (options.id, options.target):
        if name not in data.columns:
            raise SampleError(
                f"{options.labels} has no column {name!r}",
                hint=f"its columns are {', '.join(map(repr, data.columns[:20]))}; name them by --id and --target",
            )
    found: dict[str, list[Any]] = {}
    for batch in data.batches([options.id, options.target]):
        for key, value in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            if key is not None and value is not None and value == value:
                found.setdefault(str(key), []).append(value)
    return found


def _joined(path: str, labels: Mapping[str, list[Any]]) -> tuple[_Rows, int, int]:
    """Rows of the log with their true answers; those of one request share an id, and are joined in their order."""
    data = open_data(path)
    outputs = [name for name in _OUTPUTS if f"preflight_{name}" in data.columns]
    if not outputs or not {ID, TIME, VERSION} <= set(data.columns):
        raise SampleError(
            f"{path} is no log of predictions: it lacks {ID}, {TIME}, {VERSION} or an answer",
            hint="give the folder that `model-preflight serve --log` writes",
        )
    names = [ID, TIME, VERSION, *(f"preflight_{name}" for name in outputs)]
    seen: dict[str, int] = {}
    taken: list[tuple[str, int, Any, str, tuple[Any, ...]]] = []
    waiting = 0
    for batch in data.batches(names):
        for key, when, version, *answer in zip(
            *(column.to_pylist() for column in batch.columns), strict=True
        ):
            place = seen.get(key, 0)
            seen[key] = place + 1
            if key in labels:
                taken.append((key, place, when, version, tuple(answer)))
            else:
                waiting += 1
    kept = [one for one in taken if len(labels[one[0]]) == seen[one[0]]]
    answers = {
        name: np.array([one[4][i] for one in kept], dtype=np.float64) if kept else None
        for i, name in enumerate(outputs)
    }
    columns = output_columns(answers)
    truth = np.empty(len(kept), dtype=object)
    truth[:] = [labels[one[0]][one[1]] for one in kept]
    rows = _Rows(
        matrix(columns, list(columns)) if kept else np.zeros((0, 1)),
        truth,
        np.array([_week(one[2]) for one in kept], dtype=np.float64),
        np.array([one[3] for one in kept], dtype=object),
    )
    return rows, waiting, len(taken) - len(kept)


def _week(when: datetime) -> float:
    """The beginning of a time's week, Monday at midnight UTC."""
    day = when.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day - timedelta(days=day.weekday())).timestamp()


def _cells(rows: _Rows, task: str, classes: Sequence[Any]) -> Iterator[Cell]:
    for version in sorted(set(rows.versions.tolist())):
        for week in sorted(set(rows.weeks[rows.versions == version].tolist())):
            held = (rows.versions == version) & (rows.weeks == week)
            for one in _figures(rows, held, task, classes):
                yield Cell(version=version, start=week, **asdict(one))


def _standings(
    rows: _Rows, task: str, classes: Sequence[Any], before: Mapping[str, Mapping[str, Quality]]
) -> Iterator[Standing]:
    recent = rows.weeks > rows.weeks.max() - RECENT_WEEKS * 7 * 86_400
    for version in sorted(set(rows.versions[recent].tolist())):
        held = recent & (rows.versions == version)
        figures = _figures(rows, held, task, classes)
        for one in figures:
            if one.metric == "calibration":
                off = abs(one.value) - _wider(2 * len(figures)) * (one.high - one.low) / 2
                yield Standing(
                    version=version, before=None, worse_low=off,
                    status="warn" if off > 0 else "ok",
                    reason="probabilities are too high or too low on the average" if off > 0 else "",
                    **asdict(one),
                )  # fmt: skip
                continue
            reference = before.get(version, {}).get(one.metric)
            alone = compare(one, None, chance(one.metric, task, classes, rows.truth[held]))
            reasons, worse_low = [alone.reason] if alone.reason else [], None
            if reference is not None and (worse := compare(one, reference, alone.chance).worse):
                worse_low = worse[0] - _wider(len(figures)) * (worse[0] - worse[1])
                reasons += ["worse than on the reference"] if worse_low > 0 else []
            yield Standing(
                version=version,
                before=reference.value if reference else None,
                worse_low=worse_low,
                status="warn" if reasons else "ok",
                reason="; ".join(reasons),
                **asdict(one),
            )


def _wider(questions: int) -> float:
    """The factor from a 95 % interval of twenty parts to that of one of so many questions, which share 1 %.

    Somebody measures every week: at 95 % for each of five figures, every tenth measurement of a model that is as
    good as ever would cry.
    """
    return t_quantile(1 - ALPHA / questions, _PARTS - 1) / t_quantile(0.975, _PARTS - 1)


def _figures(rows: _Rows, held: NDArray[np.bool_], task: str, classes: Sequence[Any]) -> tuple[Quality, ...]:
    """The task's metrics, and for two classes how far the mean probability is from the share that came true."""
    outputs, truth = rows.outputs[held], rows.truth[held]
    good = has_truth(truth) & np.isfinite(outputs).all(1)
    found = measure(task, classes, outputs[good], truth[good])
    if task == "binary" and len(classes) == 2 and found:
        yes = np.array([str(one) == str(classes[1]) for one in truth[good].tolist()], dtype=np.float64)
        found = (*found, _calibration(outputs[good][:, 0] - yes))
    return found


def _calibration(off: NDArray[np.float64]) -> Quality:
    """Mean of probability less truth, with an interval from twenty parts in their order."""
    from scipy import special

    parts = np.array([part.mean() for part in np.array_split(off, 20)])
    mean = float(off.mean())
    reach = float(special.stdtrit(len(parts) - 1, 0.975)) * float(parts.std(ddof=1)) / math.sqrt(len(parts))
    return Quality(metric="calibration", value=mean, low=mean - reach, high=mean + reach, rows=len(off))


def as_json(found: LiveQuality) -> str:
    """`quality.json`."""
    return json.dumps({"schema_version": 1, **asdict(found)}, indent=1) + "\n"


def from_json(content: bytes) -> LiveQuality:
    """What `as_json` wrote.

    Raises
    ------
    SampleError
        If it is not that.
    """
    try:
        document = json.loads(content)
        if document.pop("schema_version") != 1:
            raise SampleError("quality.json is of another release", hint="measure again: `monitor quality`")
        return LiveQuality(
            **document
            | {
                "cells": tuple(Cell(**one) for one in document["cells"]),
                "standings": tuple(Standing(**one) for one in document["standings"]),
            }
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SampleError(
            f"quality.json is damaged: {error}", hint="measure again: `monitor quality`"
        ) from error


def exposition(found: LiveQuality) -> str:
    """`quality.prom`, for the text file collector of node_exporter: standings of each version, and when measured."""
    families: dict[str, list[str]] = {}

    def add(metric: str, value: float | None, /, **labels: str) -> None:
        if value is not None and math.isfinite(value):
            inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            families.setdefault(metric, []).append(f"{metric}{{{inside}}} {value:.9g}")

    for one in found.standings:
        own = {"model": found.model, "version": one.version, "metric": one.metric}
        add("preflight_live_quality", one.value, **own)
        add("preflight_live_quality_low", one.low, **own)
        add("preflight_live_quality_high", one.high, **own)
        add("preflight_live_quality_rows", one.rows, **own)
        add("preflight_live_quality_reference", one.before, **own)
        add("preflight_live_quality_worse_low", one.worse_low, **own)
    add("preflight_live_quality_timestamp_seconds", found.measured_at, model=found.model)
    return "".join(f"# TYPE {metric} gauge\n" + "\n".join(lines) + "\n" for metric, lines in families.items())


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
