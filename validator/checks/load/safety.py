"""What the file is, and whether loading it runs only what is allowed."""

from __future__ import annotations

from dataclasses import dataclass

from validator.checks.check import (
    CheckFailedError,
    CheckOutcome,
    failed,
    needed,
    passed,
    result,
    seen,
    warned,
)
from validator.checks.context import Context
from validator.checks.load.environment import anticipate, begin_imports
from validator.checks.preload import READING, TOOLS
from validator.errors import UnsafeModelError
from validator.libraries.known import package_and_version
from validator.model.file import ModelFile
from validator.model.safety import SafetyReport
from validator.results import CheckResult, Evidence
from validator.runtimes import replies
from validator.sandbox.worker_pool import Worker

_SHOWN = 10


@dataclass(frozen=True, kw_only=True)
class Inspected:
    """What the file asks for, and its check `load.safety`. `looking` is a worker that tries a foreign environment."""

    report: SafetyReport
    check: CheckResult
    looking: Worker | None


def judge_file(file: ModelFile) -> CheckResult:
    """Check `load.file`: the file was identified."""
    loadable = file.loadable
    return result(
        "load.file",
        "",
        passed(
            f"{loadable.format}, {file.size_bytes} bytes",
            seen("sha256", file.sha256),
            seen("size_bytes", file.size_bytes),
        ),
    )


def inspect(context: Context) -> Inspected:
    """Scan the file, execute nothing of it, and begin to import what it asks for.

    Raises CheckFailedError (`load.safety`) when it may not be loaded.
    """
    with needed("load.safety"):
        worker = _scanner(context, context.format)
        anticipate(context)
        if context.settings.data:
            context.pool.zygote(TOOLS).preload(READING)
        report = replies.safety_report(worker.call("scan", [context.data]).result, "scan")
        check = result("load.safety", "", _judge(report, context, worker))
        worker.close()
    if check.status in ("fail", "error"):
        raise CheckFailedError(check)
    return Inspected(report=report, check=check, looking=begin_imports(context, report))


def _scanner(context: Context, format: str) -> Worker:
    return context.start("scan", options={"format": format, "allow": list(context.settings.allow)})


def scan(context: Context, data: bytes, format: str) -> None:
    """Look at a further file of the run. Raises UnsafeModelError when it is refused."""
    worker = _scanner(context, format)
    report = replies.safety_report(worker.call("scan", [data]).result, "scan")
    worker.close()
    if not report.ok:
        raise UnsafeModelError(f"refused: {report.findings[0]}", hint=report.findings[0].hint)


def _judge(report: SafetyReport, context: Context, worker: Worker) -> CheckOutcome:
    settings = context.settings
    missing = context.missing_isolation(worker, runs_code=context.file.is_pickle)
    if missing:
        return failed(
            f"this machine lacks layers of isolation ({missing}), and the model may not be loaded without them",
            hint="run on Linux 6.7 or later, or set isolation = reduced if the model's author is trusted",
        )
    outside = _unjudged(context)
    if outside is not None:
        return outside
    evidence = [seen(finding.name[:200], str(finding)[:1000]) for finding in report.findings[:_SHOWN]]
    if not report.ok and settings.trust_pickle is None:
        first = report.findings[0]
        more = f", and {len(report.findings) - 1} more" if len(report.findings) > 1 else ""
        return failed(f"refused: {first}{more}", *evidence, hint=first.hint)
    if not report.ok:
        return warned(
            f"loaded although {len(report.findings)} names were refused, because: {settings.trust_pickle}",
            *evidence,
            hint="parity is contained but not adversarially sound: a hostile model could imitate its own ONNX file",
        )
    if not worker.contained:
        return warned(
            "the file asks for nothing that is refused, but isolation is incomplete on this machine",
            hint="judge it where the kernel has all layers: Linux 6.7 or later; the report says which are missing",
        )
    names = len(report.imports)
    return passed(
        f"{names} names asked for, all of them allowed" if names else "holds no code", *_versions(report)
    )


def _unjudged(context: Context) -> CheckOutcome | None:
    """What an MLflow folder's users run beside the file that is judged, unless the folder is a wrapper here."""
    found = context.file.unjudged
    if not found:
        return None
    evidence = [seen("MLmodel", text) for text in found]
    if context.wrapper is not None and context.wrapper.target.startswith("mlflow:"):
        return None
    return failed(
        f"the MLflow folder has its users run what is not judged here: {'; '.join(found)}",
        *evidence,
        hint="log the model without it, give the model file alone, or have the folder judged with wrapper = mlflow:",
    )


def _versions(report: SafetyReport) -> list[Evidence]:
    saved = [package_and_version(name, version) for name, version in report.versions[:_SHOWN]]
    return [seen(f"saved with {package}", version) for package, version in saved]
