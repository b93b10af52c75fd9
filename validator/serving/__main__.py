"""`python -m validator.serving ARTIFACT`: `model-preflight serve` where only what serving needs is installed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from validator.errors import Exit, PreflightError, UsageError
from validator.permissions import unforeseen


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Serve; 0 when ended by a signal, else 2 with one message."""
    from validator.serving.server.arguments import add_arguments, options_of

    parser = _Parser(
        prog="model-preflight serve", description="Serve a judged artifact over HTTP.", allow_abbrev=False
    )
    add_arguments(parser)
    try:
        given = list(sys.argv[1:] if argv is None else argv)
        if len(given) > 1 and given[0] == "serve" and not given[1].startswith("-"):
            del given[0]  # the command's name, as another image needs it
        flags = vars(parser.parse_args(given))
        options = options_of(flags)
        from validator.serving.server.serve import serve, tell_on_stderr

        serve(flags["reference"], options, tell_on_stderr)
    except PreflightError as error:
        print(f"model-preflight: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        from validator.extras import install_line

        missing = UsageError(
            f"serving needs the module {error.name}, which is not installed",
            hint=install_line(error.name or ""),
        )
        print(f"model-preflight: {missing}", file=sys.stderr)
        return Exit.UNJUDGED
    except Exception as error:
        print(f"model-preflight: {unforeseen(error)}", file=sys.stderr)
        return Exit.UNJUDGED
    return Exit.PASSED


if __name__ == "__main__":
    sys.exit(main())
