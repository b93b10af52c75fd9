"""`inspect`: what a model file is and asks for, read in a locked-down worker that executes none of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from validator.checks.load.versions import recorded_versions
from validator.checks.preload import SCANNING, TOOLS
from validator.cli.console import complain, say
from validator.environments import mlflow
from validator.errors import Exit, PreflightError
from validator.libraries.known import package_and_version
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


def inspect_files(
    paths: Sequence[str], settings: Settings
) -> Iterator[tuple[str, Inspection | PreflightError]]:
    """Identify and scan files one after the other; a file without a model to look at gives the error that says so."""
    limits = WorkerLimits(memory_bytes=settings.worker_memory_mb * _MIB, timeout_s=settings.worker_timeout_s)
    with WorkerPool(limits=limits) as pool:
        for path in paths:
            try:
                yield path, _inspect(path, settings, pool)
            except PreflightError as error:
                yield path, error


def _inspect(path: str, settings: Settings, pool: WorkerPool) -> Inspection:
    """One file. Raises UsageError or ModelError where there is no model to look at."""
    file = identify(path)
    data = read_verified(file.loadable)
    pool.zygote(TOOLS).preload(SCANNING)
    worker = pool.start("scan", options={"format": file.loadable.format, "allow": list(settings.allow)})
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
    saved = [package_and_version(name, version) for name, version in found.versions.items()]
    lines += [f"  saved    with {package} {version}" for package, version in saved]
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
    """What the files are and ask for. Exit code 1 when loading one would be refused; of several the worst code."""
    settings = resolve(flags, environ, Path.cwd())
    shown: list[dict[str, Any]] = []
    codes = [Exit.PASSED]
    for path, found in inspect_files(settings.model, settings):
        if isinstance(found, PreflightError):
            if len(settings.model) == 1:
                raise found
            complain(found)
            shown.append({"path": path, "error": found.message, "hint": found.hint})
            codes.append(found.exit_code)
            continue
        codes.append(Exit.PASSED if found.ok else Exit.FAILED)
        shown.append(found.to_json())
        if not settings.json_output:
            say(render(found) + ("\n" if len(settings.model) > 1 else ""))
    if settings.json_output:
        print(json.dumps(shown if len(settings.model) > 1 else shown[0], indent=2))
    return max(codes)
