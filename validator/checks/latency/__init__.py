"""Latency: native, ONNX and the deployment measured side by side in one run, and held against limits.

Every call is timed in the worker that makes it; the supervisor's own clock around each block, and the kernel's word
on who had the processor, keep a worker from claiming less time than really passed.
"""

from __future__ import annotations

from validator.checks.latency.comparison import BASE, Base, Revive, compare
from validator.checks.latency.judging import Limits
from validator.checks.latency.suite import run

__all__ = ["BASE", "Base", "Limits", "Revive", "compare", "run"]
