"""`test`: whether what was published works: fetched, served, asked, counted, ended, rolled back."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validator.errors import Exit, UsageError
from validator.whole_file import whole_file

EPILOG = """exit codes:
  0  it works as published
  1  it does not; the report says where
  2  nothing could be tried: bad usage, not there, or no golden requests

example:
  model-preflight test oci://ghcr.io/acme/models/trading@sha256:...

The rollback is rehearsed where HAProxy and Prometheus are installed; else the
report says that it was not tried.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.add_argument(
        "reference", metavar="REF", help="artifact folder, OCI layout, or oci://HOST/REPOSITORY@sha256:..."
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
        default="preflight-test",
        help="for test.md, test.json, junit.xml (default: %(default)s)",
    )
    parser.add_argument(
        "--json", dest="json_output", action="store_true", default=None, help="print test.json"
    )


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Try everything, write the reports, and end with the verdict."""
    from validator.github.commands import append_summary
    from validator.integration import report as view
    from validator.integration.run import Parts, Tried
    from validator.integration.run import run as attempt

    quiet = bool(flags.get("json_output"))
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)

    def tell(one: Tried) -> None:
        if not quiet:
            print(view.line_of(one, width=width), flush=True)

    parts = Parts(rehearse=not flags.get("no_rehearsal"), verify_key=flags.get("verify_key"))
    found = attempt(flags["reference"], parts, tell)
    folder = Path(flags["out"])
    texts = {
        "test.md": view.render_markdown(found),
        "junit.xml": view.render_junit(found),
        "test.json": json.dumps(view.document(found), indent=1) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with whole_file(folder / name) as staged:
                staged.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror}", hint="give another --out") from error
        if summary := environ.get("GITHUB_STEP_SUMMARY"):
            append_summary(Path(summary), texts["test.md"])
    if quiet:
        sys.stdout.write(texts["test.json"])
    else:
        print(f"\n{view.headline(found)}\nReport: {os.path.relpath(folder / 'test.md')}")
    return Exit.PASSED if found.verdict == "pass" else Exit.FAILED
