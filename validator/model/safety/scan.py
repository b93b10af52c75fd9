"""One scan for every format: bytes in, a SafetyReport out."""

from __future__ import annotations

from collections.abc import Iterable

from validator.documents import DocumentError
from validator.libraries.known import format_named
from validator.libraries.library import Format, Library
from validator.model.safety.onnx_model import scan_onnx
from validator.model.safety.pickles import scan_pickle
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
        return scan_skops(data, allow=allow, limits=limits)
    if format_name == "onnx":
        return scan_onnx(data, limits=limits)
    known = format_named(format_name)
    if known is None:
        return refused(format_name, "format", "is not known here", "Save the model in a supported format.")
    return _scan_own(*known, data, limits)


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
