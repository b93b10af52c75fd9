"""What a deployment refuses, each under a name of its own that is also the built-in a caller would expect."""

from __future__ import annotations

from functools import partial
from typing import Any

from validator.errors import ArtifactError, PreflightError


class FailedArtifactError(ArtifactError, ValueError):
    """The artifact's verdict is not `pass`, or it lacks what serving needs."""


class OptionError(PreflightError, ValueError):
    """An option of `Deployment` has a value that it cannot have."""


class DeploymentError(PreflightError):
    """Base of what can go wrong in a call. `features` and `rows` say where; `rows` are the first few."""

    def __init__(
        self, message: str, *, hint: str, features: tuple[str, ...] = (), rows: tuple[int, ...] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.features = features
        self.rows = rows

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles, so that the error survives the way out of a process pool."""
        make = partial(type(self), hint=self.hint, features=self.features, rows=self.rows)
        return make, (self.message,)


class ContractError(DeploymentError, ValueError):
    """The input breaks the contract. Every such error is a ValueError; some are another built-in as well."""


class InputTypeError(ContractError, TypeError):
    """What was passed is no table, mapping or array at all."""


class ShapeError(ContractError):
    """Wrong rank, wrong width, or columns of different lengths."""


class EmptyBatchError(ContractError):
    """There is no row to answer."""


class MissingFeatureError(ContractError, KeyError):
    """A feature that the contract names was not given; the nearest name that was given is suggested."""


class ExtraFeatureError(ContractError, KeyError):
    """A column was given that the contract does not know, or given twice."""


class FeatureTypeError(ContractError, TypeError):
    """A feature holds another type than the contract says: text, dates, objects, truth values, fractions."""


class MissingValueError(ContractError):
    """NaN or None in a feature that had no missing value when the model was validated."""


class InfiniteValueError(ContractError):
    """Infinity where the contract does not allow it."""


class NumberRangeError(ContractError):
    """A number that the model's input type cannot hold: it would become another number, or infinity."""


class OutOfRangeError(ContractError):
    """A number outside the range that the contract promises."""


class UnseenCategoryError(ContractError):
    """A category that the contract does not list."""


class OutputError(DeploymentError, ValueError):
    """The model's answer is not one that its contract allows."""


class OutputShapeError(OutputError):
    """The answer has the wrong shape or type."""


class OutputValueError(OutputError):
    """The answer is NaN, infinite, outside its range, an unknown class, or probabilities that do not sum to one."""


class InferenceError(DeploymentError, RuntimeError):
    """ONNX Runtime refused or broke off the call."""


class FallbackError(DeploymentError, ValueError):
    """The fallback is no answer that this model could give."""
