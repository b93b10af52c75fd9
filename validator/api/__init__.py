"""The gate for scripts, notebooks and tests: `validator.validate` and the pytest plugin."""

from __future__ import annotations
