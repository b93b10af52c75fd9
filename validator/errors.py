"""The errors a user can meet: each says what was wrong and what to do about it."""

from __future__ import annotations

import re
import traceback
from enum import IntEnum
from pathlib import Path


class Exit(IntEnum):
    """What the command ends with."""

    PASSED = 0
    FAILED = 1
    UNJUDGED = 2
    """bad usage, unreadable configuration or data, or a mistake of ours"""
    UNPUBLISHED = 3
    """the gate passed, but the result had to be published and was not"""
    INSUFFICIENT = 4
    """the data at hand cannot tell"""


class TimeUp(Exception):  # noqa: N818 - nothing is wrong
    """The time that a run may take is used up: no error of what was at work, which is ended."""


class PreflightError(Exception):
    """Base of every error that the command reports instead of a traceback.

    `message` says what was wrong and where, `hint` what to do. `exit_code` is what the command ends with.
    """

    exit_code = Exit.UNJUDGED

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}"


def in_words(error: Exception) -> str:
    """What an error of the network or the disk says, without its number; its kind where it says nothing."""
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__


class UsageError(PreflightError):
    """The command was asked for something that cannot be done: a missing file, an output folder in the way."""


class SettingsError(PreflightError):
    """A flag, variable or configuration file holds a wrong name or value."""


class SampleError(PreflightError):
    """The data sample cannot be read, or does not fit the model."""


class ModelError(PreflightError):
    """The model file is not one that can be judged fit to ship: the gate fails, it does not merely stop."""

    exit_code = Exit.FAILED


class UnsafeModelError(ModelError):
    """Loading the model would run code that nobody vouched for."""


class ConversionError(ModelError):
    """The model cannot be expressed in ONNX so that its answers stay the same."""


class WorkerError(PreflightError):
    """A worker process died, hung, broke a limit or spoke nonsense."""

    exit_code = Exit.FAILED


class ArtifactError(PreflightError):
    """An artifact folder is incomplete, was changed, or never passed."""


class PublishError(PreflightError):
    """GitHub did not take the result."""

    exit_code = Exit.UNPUBLISHED


class InternalError(PreflightError):
    """A mistake of ours. Nothing is known to be fit to ship."""

    @classmethod
    def of(cls, error: Exception) -> InternalError:
        """Names the error and the place in our code that it came from."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return cls(
            f"internal error at {where}: {type(error).__name__}: {error}",
            hint="this is a fault of Model Preflight: please report it, with this line and the command",
        )
