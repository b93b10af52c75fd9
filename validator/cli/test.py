"""`test`: whether what was published works: fetched, served, asked, counted, ended, rolled back."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli.actions import add_json
from validator.cli.console import interruptible, say, screen_width
from validator.errors import Exit, UsageError
from validator.whole_file import whole_file

if TYPE_CHECKING:
    from validator.integration.run import TestReport, Tried

REPORTS = ("test.md", "junit.xml", "test.json")
EPILOG = """The rollback is rehearsed where HAProxy and Prometheus are installed; else the
report says that it was not tried.

exit codes:
  0  it works as published
  1  it does not; the report says where
  2  nothing could be tried: bad usage, not there, or no golden requests
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "references",
        nargs="*",
        metavar="REF",
        help="artifact folder, OCI layout, or oci://HOST/REPOSITORY@sha256:..., or several",
    )
    parser.add_argument(
        "--verify-key", metavar="FILE", type=Path, help="public key (PEM) that must have signed it"
    )
    parser.add_argument(
        "--no-rehearsal", action="store_true", default=None, help="leave the rollback out, wherever this runs"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="for test.md, test.json, junit.xml (default: preflight-test); of several in 1, 2, ... below it",
    )
    add_json(parser, "test.json")


def run(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """Try everything, write the reports, tell the job, and end with the verdict."""
    from validator.cli.test_job import from_inputs, tell

    flags = from_inputs(flags, environ)
    references: Sequence[str] = flags["references"]
    out, several = Path(flags.get("out") or "preflight-test"), len(references) > 1
    tried = []
    with interruptible():  # whatever ends it, its servers and proxy end with it
        for number, reference in enumerate(references, 1):
            folder = out / str(number) if several else out
            tried.append((_try(reference, folder, flags), folder))
    tell(tried, environ, sys.stderr)
    return Exit.PASSED if all(report.verdict == "pass" for report, _ in tried) else Exit.FAILED


def _try(reference: str, folder: Path, flags: Mapping[str, Any]) -> TestReport:
    from validator.integration import report as view
    from validator.integration.run import Parts
    from validator.integration.run import run as attempt

    quiet = bool(flags.get("json_output"))
    parts = Parts(rehearse=not flags.get("no_rehearsal"), verify_key=flags.get("verify_key"))
    _forget(folder)
    found = attempt(reference, parts, _nothing if quiet else _teller())
    document = json.dumps(view.document(found), indent=1) + "\n"
    texts = (view.render_markdown(found), view.render_junit(found), document)
    _write(folder, dict(zip(REPORTS, texts, strict=True)))
    if quiet:
        sys.stdout.write(document)
    else:
        head = textwrap.fill(
            view.headline(found), screen_width(), subsequent_indent="  ", break_on_hyphens=False
        )
        say(f"\n{head}\nReport: {os.path.relpath(folder / 'test.md')}")
    return found


def _teller() -> Callable[[Tried], None]:
    from validator.integration import report as view

    return lambda one: say(view.line_of(one, width=screen_width()))


def _nothing(_: Tried) -> None:
    """Nothing is told while it goes on."""


def _forget(folder: Path) -> None:
    """An earlier run's reports are gone before anything can go wrong."""
    with _writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in REPORTS:
            (folder / name).unlink(missing_ok=True)


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    with _writing_to(folder):
        for name, text in texts.items():
            with whole_file(folder / name) as staged:
                staged.write_text(text, encoding="utf-8")


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="give another --out") from error
