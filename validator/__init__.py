"""Model Preflight: the last check before a machine-learning model ships."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from validator.serving import Deployment

__version__ = "0.1.0"
__all__ = ["Deployment", "__version__"]


def __getattr__(name: str) -> Any:
    """`validator.Deployment`, loaded when it is asked for: the command does without numpy."""
    if name != "Deployment":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from validator.serving import Deployment

    return Deployment
