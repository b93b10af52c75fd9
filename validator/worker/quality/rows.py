"""What quality is measured on, as few bytes a row as the metrics need, gathered batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence

from validator.errors import SampleError
from validator.worker.quality.chunks import Chunks
from validator.worker.quality.slices import SliceColumn

UNKNOWN = -1


@dataclass(frozen=True)
class Rows:
    """N rows of one model's answers beside the truth.

    Of classifiers `truth` and `label` are int16 positions in the candidate's classes (-1: none of them), and `value`
    [N] is the probability of the second of two classes, or of the true one of several; without `has_probabilities` it
    is a score, which only ranks the rows of two classes. Of regressors `truth` and
    `value` are float64 [N] or [N, T]. Of rankers `truth` is the relevance, `value` the score, `group` the query.
    """

    task: str
    n_classes: int
    truth: Any
    value: Any
    label: Optional[Any] = None
    group: Optional[Any] = None
    has_probabilities: bool = True

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, rows: Any) -> Rows:
        """The rows that a mask, index array or slice selects."""
        return Rows(
            self.task,
            self.n_classes,
            self.truth[rows],
            self.value[rows],
            None if self.label is None else self.label[rows],
            None if self.group is None else self.group[rows],
            self.has_probabilities,
        )


class Gathering:
    """Truth, queries and slices of the sample once, and the answers of one or two models to it.

    `classes` holds each model's class labels in the order of its probabilities; the first model's are the measure.
    """

    def __init__(self, task: str, classes: Sequence[Sequence[Any]], slices: Sequence[str]) -> None:
        self.task = task
        self._classes = [list(own) for own in classes]
        self._truth, self._group = Chunks(), Chunks()
        self._labels = [Chunks() for _ in classes]
        self._values = [Chunks() for _ in classes]
        self.slices = {name: SliceColumn(name) for name in slices}
        self._has_probabilities = [True for _ in classes]
        self.left_out = 0
        self._groups: Dict[Any, int] = {}

    def add(
        self, truth: Any, answers: Sequence[Any], slices: Dict[str, Any], group: Optional[Any] = None
    ) -> None:
        """The next batch: true answers [n], each model's (label [n] or None, the output's name, values [n, K]), slice
        columns [n].

        Rows without a true answer are left out. Raises SampleError for a true answer that the model cannot give.
        """
        known = ~_missing(truth)
        self.left_out += int((~known).sum())
        if not known.all():
            truth = truth[known]
            answers = [
                (None if label is None else label[known], name, values[known])
                for label, name, values in answers
            ]
            slices = {name: values[known] for name, values in slices.items()}
            group = None if group is None else group[known]
        if self.task in ("binary", "multiclass"):
            codes = positions(truth, self._classes[0])
            if (codes == UNKNOWN).any():
                odd = truth[int((codes == UNKNOWN).argmax())]
                known = ", ".join(repr(name)[:40] for name in list(self._classes[0])[:8])
                raise SampleError(
                    f"the sample's true answers hold {str(odd)[:60]!r}, "
                    f"which is none of the model's classes: {known}",
                    hint="write the true answers as the model was trained on them, or check `target`",
                )
        else:
            codes = _as_numbers(truth)
        self._truth.parts.append(codes)
        for i, (label, name, values) in enumerate(answers):
            self._has_probabilities[i] &= name == "probabilities"
            self._add_answers(i, codes, label, values)
        for name, values in slices.items():
            self.slices[name].add(values)
        if group is not None:
            self._group.parts.append(self._numbered(group))

    def rows(self, model: int) -> Rows:
        """Everything gathered of that model."""
        labels = self._labels[model].joined()
        return Rows(
            self.task,
            len(self._classes[0]),
            self._truth.joined(),
            self._values[model].joined(),
            labels,
            self._group.joined(),
            self._has_probabilities[model],
        )

    def _add_answers(self, model: int, codes: Any, label: Optional[Any], values: Any) -> None:
        import numpy as np

        if self.task not in ("binary", "multiclass"):
            flat = values[:, 0] if values.shape[1] == 1 else values
            self._values[model].parts.append(np.array(flat, dtype=np.float64))
            return
        if label is not None:
            self._labels[model].parts.append(positions(label, self._classes[0]))
        if not self._has_probabilities[model]:
            self._values[model].parts.append(np.array(values[:, 0], dtype=np.float64))
            return
        # The column that holds each class of the first model's; a class that this model lacks gets nothing.
        mine = positions(np.array(self._classes[0], dtype=object), self._classes[model])
        padded = np.column_stack([values, np.zeros(len(values))])
        column = mine[1] if self.task == "binary" else mine[codes]
        self._values[model].parts.append(np.array(padded[np.arange(len(padded)), column], dtype=np.float64))

    def _numbered(self, group: Any) -> Any:
        import numpy as np

        known = self._groups
        return np.array([known.setdefault(item, len(known)) for item in group.tolist()], dtype=np.int32)


def positions(values: Any, classes: Sequence[Any]) -> Any:
    """Each value's place in `classes` (int16 [n]), `UNKNOWN` where it is none. 1, 1.0 and "1" are the same."""
    import numpy as np

    if values.dtype.kind in "fiub" and all(isinstance(name, (int, float)) for name in classes):
        order = np.argsort(np.array(classes, dtype=np.float64), kind="stable")
        ordered = np.array(classes, dtype=np.float64)[order]
        place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
        return np.where(ordered[place] == values, order[place], UNKNOWN).astype(np.int16)
    known = {_key(name): i for i, name in enumerate(classes)}
    return np.array([known.get(_key(value), UNKNOWN) for value in values.tolist()], dtype=np.int16)


def _key(value: Any) -> str:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return str(value)


def _as_numbers(truth: Any) -> Any:
    """Raises SampleError for what is no finite number."""
    import numpy as np

    try:
        numbers = np.asarray(truth, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise SampleError(
            f"the sample's true answers are no numbers: {str(error)[:200]}",
            hint="write the true answers as numbers, or check `target`",
        ) from error
    if np.isinf(numbers).any():
        raise SampleError(
            "the sample's true answers hold infinity", hint="correct those rows, or empty what is not known"
        )
    return numbers


def _missing(values: Any) -> Any:
    """Where there is no true answer: NaN, None, not a time."""
    import numpy as np

    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype == object:
        return np.array([value is None or value != value for value in values.tolist()], dtype=bool)
    return np.zeros(len(values), dtype=bool)
