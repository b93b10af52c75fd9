"""Model Preflight: the last check before a machine-learning model ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validator.api.validate import validate
    from validator.api.validation import NotFitToShipError, Validation
    from validator.serving import Deployment

__version__ = "0.1.0"
__all__ = ["Deployment", "NotFitToShipError", "Validation", "__version__", "validate"]

#: What is looked up when it is asked for: the command does without numpy, and a server without the gate.
_LATER = {
    "Deployment": "validator.serving",
    "NotFitToShipError": "validator.api.validation",
    "Validation": "validator.api.validation",
    "validate": "validator.api.validate",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATER[name]), name)
