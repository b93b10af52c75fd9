"""`model-preflight serve`: a judged artifact over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from validator.errors import Exit
from validator.serving.server.arguments import add_arguments, options_of

__all__ = ["add_arguments", "run"]


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Serve until a signal. Raises what serving refuses."""
    del environ
    options = options_of(flags)
    from validator.serving.server.serve import serve, tell_on_stderr

    serve(flags["reference"], options, tell_on_stderr)
    return Exit.PASSED
