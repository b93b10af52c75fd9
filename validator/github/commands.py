"""What the runner reads: workflow commands on the log, the output file, the job summary.

The log is a channel of commands: any line that begins with `::` or holds `##[` is one. So nothing that a model or a
result brings goes there unescaped.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from validator.github.wording import Annotation
from validator.report.escape import command_data, command_property

#: The runner keeps ten annotations of each level a step, and shows fifty a job. What was found takes this many in
#: all, which leaves room for what could not be published and for other jobs.
ANNOTATION_BUDGET = 8
SUMMARY_BYTES = 1024 * 1024


def command(name: str, message: str, **properties: str) -> str:
    """One workflow command, escaped as the runner unescapes it; empty properties are left out."""
    listed = ",".join(f"{k}={command_property(v)}" for k, v in properties.items() if v)
    return f"::{name}{' ' + listed if listed else ''}::{command_data(message)}"


def emit(stream: TextIO, found: Sequence[Annotation]) -> None:
    """Annotations as commands, in their order. Beyond the budget the last one says how many are left out."""
    shown = found if len(found) <= ANNOTATION_BUDGET else found[: ANNOTATION_BUDGET - 1]
    for annotation in shown:
        print(
            command(annotation.level, annotation.message, file=annotation.path, title=annotation.title),
            file=stream,
        )
    if len(shown) < len(found):
        text = f"{len(found) - len(shown)} more are in the report"
        print(command(found[len(shown)].level, text, title="Model Preflight"), file=stream)
    stream.flush()


def set_outputs(path: Path, values: Mapping[str, str]) -> None:
    """Append outputs to the runner's file, each between random delimiters so that no value can set another output.

    Raises OSError when the file cannot be written.
    """
    with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        for name, value in values.items():
            delimiter = f"preflight_{secrets.token_hex(16)}"
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")


def summary_room(path: Path) -> int:
    """Bytes left in the job summary; GitHub drops all of a summary that is too long. Raises OSError."""
    return SUMMARY_BYTES - path.stat().st_size if path.exists() else SUMMARY_BYTES


def append_summary(path: Path, markdown: str) -> bool:
    """Append to the job summary; false, and nothing written, where it would not fit. Raises OSError."""
    data = (markdown.rstrip("\n") + "\n\n").encode("utf-8", "replace")
    if len(data) > summary_room(path):
        return False
    with path.open("ab") as file:
        file.write(data)
    return True
