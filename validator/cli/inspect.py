"""`inspect`: what a model file is and asks for, read in a locked-down worker that executes none of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator.checks.load.versions import recorded_versions
from validator.checks.preload import SCANNING, TOOLS
from validator.environments import mlflow
from validator.errors import Exit
from validator.model.file import ModelFile, identify, read_verified
from validator.model.safety import SafetyReport, gather
from validator.pipelines.foreseen import Foreseen, foreseen
from validator.report.escape import log_line
from validator.results import Layer
from validator.runtimes import replies
from validator.sandbox.worker_pool import WorkerLimits, WorkerPool
from validator.settings.sources import resolve
from validator.settings.table import Settings

_MIB = 2**20
_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """All facts about one file."""

    file: ModelFile
    report: SafetyReport
    isolation: tuple[Layer, ...]

    @property
    def ok(self) -> bool:
        return self.report.ok

    @property
    def hazards(self) -> tuple[Foreseen, ...]:
        """What may go wrong when the model is converted, as far as the file shows it."""
        return foreseen((one.name for one in self.report.imports), dict(self.report.facts))

    @property
    def versions(self) -> dict[str, str]:
        """What it was saved with, as the file or the MLflow folder around it tells: by distribution, and `python`."""
        python = mlflow.python_version(self.file.path) if self.file.format == "mlflow" else ""
        return {**recorded_versions(self.file, self.report), **({"python": python} if python else {})}

    def to_json(self) -> dict[str, Any]:
        facts = gather(self.file, self.report).to_dict()
        facts["versions"] = [list(pair) for pair in self.versions.items()]
        facts["hazards"] = [hazard.to_json() for hazard in self.hazards]
        return {**facts, "isolation": [layer.model_dump() for layer in self.isolation]}


def inspect_file(path: str, settings: Settings) -> Inspection:
    """Identify and scan one file. Raises UsageError or ModelError where there is no model to look at."""

    file = identify(path)
    data = read_verified(file.loadable)
    limits = WorkerLimits(memory_bytes=settings.worker_memory_mb * _MIB, timeout_s=settings.worker_timeout_s)
    with WorkerPool(limits=limits) as pool:
        pool.zygote(TOOLS).preload(SCANNING)
        options = {"format": file.loadable.format, "allow": list(settings.allow)}
        worker = pool.start("scan", options=options)
        reply = worker.call("scan", [data])
        return Inspection(
            file=file, report=replies.safety_report(reply.result, "scan"), isolation=worker.isolation
        )


def render(found: Inspection) -> str:
    """The facts as lines for people; every text of the file's is made harmless for a log."""
    return "\n".join(log_line(line) for line in _lines(found))


def _lines(found: Inspection) -> list[str]:
    file, report = found.file, found.report
    lines = [
        f"{file.path}: {file.loadable.format}" + (f" ({report.compression})" if report.compression else ""),
        f"  size     {file.size_bytes:,} bytes",
        f"  sha256   {file.sha256}",
    ]
    lines += [f"  class    {report.model_class}"] if report.model_class else []
    lines += [f"  saved    with {name} {version}" for name, version in found.versions.items()]
    lines += [f"  {name}  {value}" for name, value in report.facts]
    lines += [f"  note     {note}" for note in report.notes]
    lines += [f"  hazard   {hazard}" for hazard in found.hazards]
    if report.imports:
        lines.append(f"  imports  {len(report.imports)} names:")
        lines += [
            f"    {'ok     ' if one.allowed else 'REFUSED'}  {one.name}  ({', '.join(one.uses)})"
            for one in sorted(report.imports, key=lambda one: (one.allowed, one.name))[:_SHOWN]
        ]
        hidden = len(report.imports) - _SHOWN
        lines += [f"    ... and {hidden} more; see --json"] if hidden > 0 else []
    lines += ["", *_verdict(report)]
    return lines


def _verdict(report: SafetyReport) -> list[str]:
    if report.ok:
        return ["Nothing in it is refused. Nothing of it was executed."]
    count = len(report.findings)
    lines = [f"Refused, for {count} reason{'' if count == 1 else 's'}. Nothing of it was executed."]
    for finding in report.findings[:10]:
        lines += [f"  ✗ {finding}", f"    → {finding.hint}"]
    return lines


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """What the file is and asks for. Exit code 1 when loading it would be refused."""
    settings = resolve(flags, environ, Path.cwd())
    found = inspect_file(settings.model[0], settings)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else render(found), end="\n")
    return Exit.PASSED if found.ok else Exit.FAILED
