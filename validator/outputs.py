"""What a runtime answers for N rows, in the signature that the ONNX file has too.

Runs on Python 3.9 with numpy alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ("label", "probabilities", "prediction", "score")


@dataclass(frozen=True, eq=False)
class Outputs:
    """`label` [N] and `probabilities` [N, C] of classifiers, `prediction` [N] or [N, T] of regressors, `score` [N] of
    rankers and outlier detectors (which may have a `label` too). What a model does not give is None.
    """

    label: Optional[NDArray[Any]] = None
    probabilities: Optional[NDArray[Any]] = None
    prediction: Optional[NDArray[Any]] = None
    score: Optional[NDArray[Any]] = None

    @property
    def present(self) -> Dict[str, NDArray[Any]]:
        """The outputs that the model gives, by name, in the order of the signature."""
        found = {name: getattr(self, name) for name in NAMES}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def numeric(self) -> Tuple[str, NDArray[Any]]:
        """The name and values [N, K] of the output that carries numbers. Raises ValueError when there is none."""
        for name in ("probabilities", "prediction", "score"):
            array = getattr(self, name)
            if array is not None:
                return name, array.reshape(len(array), -1)
        raise ValueError("the model gives no numeric output")

    @property
    def n_predictions(self) -> Optional[int]:
        """How many numbers a regressor predicts for a row; None for other models."""
        if self.prediction is None:
            return None
        return int(self.prediction.shape[1]) if self.prediction.ndim == 2 else 1

    @property
    def is_finite(self) -> bool:
        """Whether no answer is NaN or infinite."""
        import numpy as np

        reals = [array for array in self.present.values() if array.dtype.kind == "f"]
        return all(bool(np.isfinite(array).all()) for array in reals)

    def __len__(self) -> int:
        return max((len(array) for array in self.present.values()), default=0)

    def take(self, rows: Any) -> Outputs:
        """The answers for the rows that an index array, mask or slice selects."""
        return Outputs(**{name: array[rows] for name, array in self.present.items()})


def concatenate(parts: Sequence[Outputs]) -> Outputs:
    """Answers for one batch of rows after the other, of the outputs that all of them give; none for no parts."""
    import numpy as np

    names = [name for name in NAMES if parts and all(name in part.present for part in parts)]
    return Outputs(**{name: np.concatenate([part.present[name] for part in parts]) for name in names})


def same(first: Outputs, second: Outputs) -> bool:
    """Whether both hold the same names, shapes and values bit for bit, NaN equal to NaN."""
    import numpy as np

    a, b = first.present, second.present
    return a.keys() == b.keys() and all(
        a[name].shape == b[name].shape
        and np.array_equal(
            a[name], b[name], equal_nan=a[name].dtype.kind == "f" and b[name].dtype.kind == "f"
        )
        for name in a
    )
