"""The commands: each takes the flags that were given and the environment, and returns an exit code."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from validator.results import GateResult
from validator.settings import CONFIG_NAME, Settings, resolve

Flags = dict[str, Any]
Environ = Mapping[str, str]


def validate(flags: Flags, environ: Environ) -> int:
    """The whole gate, on one model or several. The worst verdict decides."""
    from validator.console import progress
    from validator.gate import Surroundings
    from validator.gate import validate as judge
    from validator.runtimes.process import interruptible
    from validator.targets import targets
    from validator.worker.lockdown.supervisor import protect_supervisor

    protect_supervisor()
    settings = resolve({name: value for name, value in flags.items() if value != []}, environ, Path.cwd())
    silent = settings.quiet or settings.json_output
    with interruptible(), progress(quiet=silent) as show:
        world = Surroundings(environ=environ, now=lambda: datetime.now(UTC), progress=show)
        found = [judge(one, one.model[0], world) for one in targets(settings)]
    _show(found, settings)
    return 0 if all(one.verdict == "pass" for one in found) else 1


def _show(found: list[GateResult], settings: Settings) -> None:
    from validator.report.terminal import Look, render_terminal
    from validator.stages.conclusion import summary_json

    if settings.json_output:
        print(summary_json(found))
        return
    look = Look(
        width=max(60, min(shutil.get_terminal_size((80, 24)).columns, 120)),
        colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ,
        unicode="utf" in (sys.stdout.encoding or "").lower(),
    )
    print(
        render_terminal(found, look=look, quiet=settings.quiet, reports=[str(settings.out / "report.md")]),
        end="",
    )


def inspect(flags: Flags, environ: Environ) -> int:
    """What the file is and asks for. Exit code 1 when loading it would be refused."""
    from validator.inspecting import inspect_file, render

    settings = resolve(flags, environ, Path.cwd())
    found = inspect_file(settings.model[0], settings)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else render(found), end="\n")
    return 0 if found.ok else 1


def convert(flags: Flags, environ: Environ) -> int:
    """Exact conversion and the proof alone."""
    from validator.console import progress
    from validator.converting import convert_file
    from validator.runtimes.process import interruptible
    from validator.worker.lockdown.supervisor import protect_supervisor

    protect_supervisor()
    output = Path(flags.pop("output"))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), progress(quiet=settings.quiet or settings.json_output) as show:
        found = convert_file(settings, output, environ, show)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else found.text())
    return 0 if found.ok else 1


def init(flags: Flags, environ: Environ) -> int:
    """Write a first configuration."""
    from validator.console import progress
    from validator.initializing import write_initial
    from validator.runtimes.process import interruptible
    from validator.worker.lockdown.supervisor import protect_supervisor

    protect_supervisor()
    output, force = flags.pop("output", None), bool(flags.pop("force", False))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), progress(quiet=False) as show:
        path = write_initial(settings, Path(output or CONFIG_NAME), environ, show, force=force)
    print(f"wrote {path}")
    return 0
