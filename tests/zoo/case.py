"""What one line of the zoo's table says: how to make the model, and how it must end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.zoo.data import Data
from tests.zoo.saving import Saver, as_pickle


@dataclass(frozen=True, kw_only=True)
class Made:
    """A fitted model and the data it was trained on, whose features are the sample."""

    model: Any
    data: Data


@dataclass(frozen=True, kw_only=True)
class Expected:
    """`refused` is a check's id and a part of its message; empty for what converts and passes."""

    method: str
    parity: str
    verdict: str
    check: str = ""
    reason: str = ""

    @property
    def is_refusal(self) -> bool:
        return self.verdict == "fail"


PROVED = Expected(method="exact", parity="proved", verdict="pass")
"""converted exactly, and proved equal over all inputs"""
MEASURED = Expected(method="skl2onnx", parity="measured", verdict="pass")
"""converted through skl2onnx, and measured equal"""
ALONE = Expected(method="none", parity="none", verdict="pass")
"""an ONNX file without a native model: nothing to compare with"""


def refused(reason: str, check: str = "convert.onnx") -> Expected:
    """Refused by name: that check fails with that reason, and says what to do."""
    return Expected(method="none", parity="none", verdict="fail", check=check, reason=reason)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line. `settings` are the run's; `target` adds the answers to the sample; `sample` is its format."""

    name: str
    make: Callable[[], Made]
    expected: Expected
    save: Saver = as_pickle
    sample: str = "parquet"
    settings: Mapping[str, Any] = field(default_factory=dict)
    quick: bool = False

    @property
    def id(self) -> str:
        return self.name.replace(" ", "-").replace("/", "-").replace(",", "")

    def write(self, folder: Path) -> tuple[Made, Path, Path]:
        """The model, its file, and its sample."""
        from tests.zoo.saving import write_sample

        made = self.make()
        return made, self.save(made.model, made.data, folder), write_sample(made.data, folder, self.sample)


def line(
    name: str, make: Callable[[], Made], expected: Expected, save: Saver = as_pickle, **more: Any
) -> Case:
    """One line of the table."""
    return Case(name=name, make=make, expected=expected, save=save, **more)
