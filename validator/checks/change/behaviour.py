"""What a change does to a model's answers and to its contract, against the version that it would replace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from validator.outputs import Outputs
from validator.results import Contract, FeatureSpec, RowChange, Scalar

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORST = 5
_QUANTILES = {"min": 0.0, "p1": 0.01, "p5": 0.05, "p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
_SHOWN_CATEGORIES = 5


class NotComparableError(ValueError):
    """The two versions' answers have no common measure."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How two versions' answers are set side by side: classes by their label, outputs by their place.

    `ours` and `theirs` are the columns of either's numbers that belong together; empty where all do, in their order.
    """

    score: str
    ours: tuple[int, ...]
    theirs: tuple[int, ...]

    @classmethod
    def of(cls, candidate: Contract, base: Contract) -> Measure:
        """Raises NotComparableError when the tasks differ, or share no class."""
        if candidate.task != base.task:
            raise NotComparableError(
                f"the base version's task is {base.task}, this version's {candidate.task}"
            )
        if candidate.classes and base.classes:
            ours, theirs = ({str(name): i for i, name in enumerate(own.classes)} for own in (candidate, base))
            shared = [name for name in ours if name in theirs]
            if not shared:
                raise NotComparableError("the two versions share no class")
            if candidate.task == "binary":
                # One probability tells both; the second class is the one that scores are of.
                shared = [name for name in shared if ours[name] == 1] or shared[:1]
            score = (
                f"probability of {shared[0]}"
                if len(shared) == 1
                else "probability of the class that moved most"
            )
            pairs = [(ours[name], theirs[name]) for name in shared]
            return cls(score=score[:200], ours=tuple(a for a, _ in pairs), theirs=tuple(b for _, b in pairs))
        name = "prediction" if candidate.task == "regression" else "score"
        return cls(score=name, ours=(), theirs=())

    def pair(self, candidate: Outputs, base: Outputs) -> tuple[NDArray[Any], NDArray[Any]]:
        """Either's score [N]: of several columns, the one in which the two differ most.

        Raises NotComparableError where there are no numbers, or not as many of either.
        """
        import numpy as np

        new, old = _numbers(candidate), _numbers(base)
        if self.ours and new.shape[1] > max(self.ours) and old.shape[1] > max(self.theirs):
            new, old = new[:, list(self.ours)], old[:, list(self.theirs)]
        if new.shape != old.shape:
            raise NotComparableError(
                f"the base version gives {old.shape[1]} numbers a row, this version {new.shape[1]}"
            )
        if new.shape[1] == 1:
            return new[:, 0], old[:, 0]
        most = np.nan_to_num(np.abs(new - old), nan=np.inf).argmax(axis=1)
        row = np.arange(len(new))
        return new[row, most], old[row, most]


def _check_form(answer: Outputs, rows: int) -> None:
    """One answer a row, numbers being numbers: what a base version sends was not judged by any check."""
    for name, array in answer.present.items():
        if len(array) != rows:
            raise NotComparableError(f"{rows} rows got {len(array)} answers ({name})")
        if (array.ndim > 1 and name == "label") or (array.dtype.kind not in "fiub" and name != "label"):
            raise NotComparableError(f"{name} is {array.dtype} of rank {array.ndim}")


def _numbers(answer: Outputs) -> NDArray[Any]:
    import numpy as np

    if not answer.present.keys() - {"label"}:
        raise NotComparableError("one of the two versions gives labels only")
    return answer.numeric[1].astype(np.float64, copy=False)


@dataclass(kw_only=True)
class Behaviour:
    """How answers change, batch by batch: labels, scores, and the rows that change most."""

    measure: Measure
    rows: int = 0
    label_changes: int | None = None
    score_changes: int = 0
    worst: list[RowChange] = field(default_factory=list)
    _width: int = 1
    _differences: list[NDArray[Any]] = field(default_factory=list)

    @property
    def score(self) -> str:
        """What changes, in words."""
        several = self._width > 1 and not self.measure.ours
        return f"{self.measure.score} of the output that moved most" if several else self.measure.score

    def add(self, candidate: Outputs, base: Outputs, rows: int) -> None:
        """Both versions' answers for the next `rows` rows. Raises NotComparableError when counts do not match."""
        import numpy as np

        for answer in (candidate, base):
            _check_form(answer, rows)
        new, old = self.measure.pair(candidate, base)
        self._width = candidate.numeric[1].shape[1]
        with np.errstate(invalid="ignore"):
            difference = np.where((new == old) | (np.isnan(new) & np.isnan(old)), 0.0, new - old)
        self._add_labels(candidate, base)
        self.score_changes += int((difference != 0).sum())
        self._differences.append(difference)
        self._keep_worst(new, old, difference)
        self.rows += rows

    def _add_labels(self, candidate: Outputs, base: Outputs) -> None:
        if candidate.label is None or base.label is None:
            return
        new, old = candidate.label, base.label
        if new.dtype == object or old.dtype == object:
            new, old = new.astype(str), old.astype(str)
        self.label_changes = (self.label_changes or 0) + int((new != old).sum())

    def _keep_worst(self, new: NDArray[Any], old: NDArray[Any], difference: NDArray[Any]) -> None:
        import numpy as np

        size = np.nan_to_num(np.abs(difference), nan=np.inf)
        few = np.argpartition(size, len(size) - WORST)[-WORST:] if len(size) > WORST else np.arange(len(size))
        found = [
            RowChange(
                row=self.rows + int(i),
                base=float(old[i]),
                candidate=float(new[i]),
                difference=float(difference[i]),
            )
            for i in few
            if difference[i] != 0
        ]
        self.worst = sorted([*self.worst, *found], key=_by_size)[:WORST]

    @property
    def quantiles(self) -> dict[str, float]:
        """Of the change in score, candidate minus base, over all rows; its mean, and that of its size."""
        import numpy as np

        if not self._differences:
            return {}
        self._differences = [np.concatenate(self._differences)]
        every = self._differences[0]
        finite = every[np.isfinite(every)]
        if not len(finite):
            return {}
        values = np.quantile(finite, list(_QUANTILES.values()))
        found = {name: float(value) for name, value in zip(_QUANTILES, values, strict=True)}
        return {**found, "mean": float(finite.mean()), "mean size": float(np.abs(finite).mean())}


def _by_size(change: RowChange) -> tuple[float, int]:
    """Largest first, the first row on a tie; what is no number before all."""
    difference = change.difference
    if difference is None or difference != difference:
        return (-float("inf"), change.row)
    return (-abs(difference), change.row)


def contract_changes(candidate: Contract, base: Contract) -> tuple[str, ...]:
    """In words, one change each: features, types, missing values, categories, classes, task, outputs."""
    return (*_feature_changes(candidate.features, base.features), *_answer_changes(candidate, base))


def _feature_changes(candidate: Sequence[FeatureSpec], base: Sequence[FeatureSpec]) -> Iterator[str]:
    new = {feature.name: feature for feature in candidate}
    old = {feature.name: feature for feature in base}
    for name in (name for name in old if name not in new):
        yield f"feature `{name}` is gone"
    for name in new:
        if name not in old:
            yield f"feature `{name}` is new"
    kept = [name for name in new if name in old]
    if kept != [name for name in old if name in new]:
        yield "the features come in another order"
    for name in kept:
        yield from _retyped(new[name], old[name])


def _retyped(new: FeatureSpec, old: FeatureSpec) -> Iterator[str]:
    if old.dtype and new.dtype != old.dtype:
        yield f"feature `{new.name}` is {new.dtype}, was {old.dtype}"
    if new.categories is None or old.categories is None:
        return
    for these, those, what in (
        (new.categories, old.categories, "takes"),
        (old.categories, new.categories, "no longer takes"),
    ):
        known = set(those)
        extra = [item for item in these if item not in known]
        if extra:
            yield f"feature `{new.name}` {what} {_listed(extra)}"


def _answer_changes(candidate: Contract, base: Contract) -> Iterator[str]:
    if candidate.task != base.task:
        yield f"the task is {candidate.task}, was {base.task}"
    new, old = ([str(name) for name in own.classes] for own in (candidate, base))
    if not new or not old:
        new = old = []  # an ONNX file does not tell its classes
    gone = [name for name in old if name not in new]
    added = [name for name in new if name not in old]
    if gone:
        yield f"{'class' if len(gone) == 1 else 'classes'} {_listed(gone)} gone"
    if added:
        yield f"{'class' if len(added) == 1 else 'classes'} {_listed(added)} new"
    if not gone and not added and new != old:
        yield f"the classes come in another order: {_listed(new)}, was {_listed(old)}"
    if candidate.n_outputs != base.n_outputs:
        yield f"{candidate.n_outputs} outputs, was {base.n_outputs}"


def _listed(items: Sequence[Scalar]) -> str:
    shown = ", ".join(f"`{str(item)[:60]}`" for item in items[:_SHOWN_CATEGORIES])
    return shown + (f" and {len(items) - _SHOWN_CATEGORIES} more" if len(items) > _SHOWN_CATEGORIES else "")
