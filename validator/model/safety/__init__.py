"""What loading a model file would do, told without loading it; and loading it with nothing else permitted."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from validator.model.safety.report import Finding, Import, Limits, SafetyReport

if TYPE_CHECKING:
    from validator.model.safety.facts import ModelFacts, framework_of, gather
    from validator.model.safety.loader import load, refuse_unsafe
    from validator.model.safety.pickles import scan_pickle
    from validator.model.safety.scanning import scan

__all__ = [
    "Finding",
    "Import",
    "Limits",
    "ModelFacts",
    "SafetyReport",
    "framework_of",
    "gather",
    "load",
    "refuse_unsafe",
    "scan",
    "scan_pickle",
]

#: What takes the machine that reads pickles: whoever only reads a report does without.
_LATER = {
    "ModelFacts": "facts",
    "framework_of": "facts",
    "gather": "facts",
    "load": "loader",
    "refuse_unsafe": "loader",
    "scan": "scanning",
    "scan_pickle": "pickles",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
