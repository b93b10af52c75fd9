"""Everything that `inspect` tells of a model file, in one frozen value; nothing here opens a file or runs a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from validator.libraries.known import LIBRARIES, library_named
from validator.model.file import ModelFile
from validator.model.safety.report import SafetyReport

_FRAMEWORKS = (*(library.name for library in LIBRARIES), "onnx")


@dataclass(frozen=True)
class ModelFacts:
    """What a file is and what loading it would do. `imports` pairs a name with how it is used."""

    path: str
    format: str
    compression: str
    payload: str
    size_bytes: int
    sha256: str
    verdict: str
    framework: str
    framework_version: str
    model_class: str
    versions: tuple[tuple[str, str], ...]
    imports: tuple[tuple[str, str], ...]
    refused_imports: tuple[str, ...]
    findings: tuple[str, ...]
    hints: tuple[str, ...]
    notes: tuple[str, ...]
    details: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The facts as plain JSON values."""
        plain: dict[str, Any] = asdict(self)
        return plain


def gather(file: ModelFile, report: SafetyReport) -> ModelFacts:
    """The facts of an identified file and of its scan (for an MLflow folder, of the file inside)."""
    framework = framework_of(report)
    versions = dict(report.versions)
    library = library_named(framework)
    return ModelFacts(
        path=str(file.path),
        format=file.format,
        compression=report.compression,
        payload="" if file.payload is None else file.payload.path.name,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        verdict=report.verdict,
        framework=framework,
        framework_version=versions.get(library.recorded_as if library else framework, ""),
        model_class=report.model_class,
        versions=report.versions,
        imports=tuple((entry.name, ", ".join(entry.uses)) for entry in report.imports),
        refused_imports=tuple(entry.name for entry in report.imports if not entry.allowed),
        findings=tuple(map(str, report.findings)),
        hints=tuple(dict.fromkeys(finding.hint for finding in report.findings)),
        notes=(
            *report.notes,
            *(f"MLflow's users run it, it is not judged: {text}" for text in file.unjudged),
        ),
        details=report.facts,
    )


def framework_of(report: SafetyReport) -> str:
    """The library whose class the model is; of a container (a dictionary, a user's class) the first one in it."""
    root = report.model_class.partition(".")[0]
    if root in _FRAMEWORKS:
        return root
    seen = {name.partition(".")[0] for name in report.preload}
    return next((library for library in _FRAMEWORKS if library in seen), "")
