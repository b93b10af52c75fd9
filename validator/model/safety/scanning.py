"""One scan for every format: bytes in, a SafetyReport out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from validator.documents import DocumentError
from validator.libraries.known import format_named
from validator.libraries.library import Format, Library
from validator.model.safety.onnx_model import scan_onnx
from validator.model.safety.pickles import scan_pickle
from validator.model.safety.policy import Policy
from validator.model.safety.readings import foreign_readings
from validator.model.safety.report import DEFAULT_LIMITS, SAFE, UNSAFE, Finding, Limits, SafetyReport, refused
from validator.model.safety.skops_file import scan_skops


def scan(
    data: bytes, format_name: str, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS
) -> SafetyReport:
    """Scan a model file's bytes as the format that `validator.model.file.identify` named. Executes nothing.

    Belongs in a worker: parsing hostile bytes may exhaust memory. Only `onnx` needs a library (onnx). Raises
    SettingsError for an unusable `allow`; a format that is not known is refused.
    """
    if format_name in ("pickle", "joblib"):
        return scan_pickle(data, allow=allow, limits=limits, format_name=format_name)
    if format_name == "skops":
        return _with_readings(scan_skops(data, allow=allow, limits=limits), data, allow, limits)
    if format_name == "onnx":
        return _with_readings(scan_onnx(data, limits=limits), data, allow, limits)
    known = format_named(format_name)
    if known is None:
        return refused(format_name, "format", "is not known here", "Save the model in a supported format.")
    return _with_readings(_scan_own(*known, data, limits), data, allow, limits)


def _with_readings(report: SafetyReport, data: bytes, allow: Iterable[str], limits: Limits) -> SafetyReport:
    """The report, unsafe if the file is a program to whoever opens it as a pickle."""
    found = foreign_readings(data, Policy(allow), limits, is_zip=report.format == "skops")
    if not found:
        return report
    return replace(report, verdict=UNSAFE, findings=(*report.findings, *found))


def _scan_own(library: Library, form: Format, data: bytes, limits: Limits) -> SafetyReport:
    """A format of a library's own, which holds numbers alone: all that can be wrong with it is damage."""
    try:
        version, facts = form.check(data, nodes=limits.nodes)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        reason = f"it lacks what a model has: {type(error).__name__}: {error}"
        if isinstance(error, DocumentError):
            reason = str(error)
        finding = Finding(form.name, "format", 0, reason[:500], form.remedy)
        return SafetyReport(form.name, UNSAFE, (finding,), model_class=form.model_class)
    return SafetyReport(
        form.name,
        SAFE,
        versions=((library.told_as or library.distributions[0], version),) if version else (),
        model_class=form.model_class,
        preload=(library.name,),
        facts=tuple(sorted(facts.items())),
    )
