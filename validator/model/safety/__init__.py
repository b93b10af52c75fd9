"""What loading a model file would do, told without loading it; and loading it with nothing else permitted."""

from validator.model.safety.facts import ModelFacts, framework_of, gather
from validator.model.safety.loader import load, refuse_unsafe
from validator.model.safety.pickles import scan_pickle
from validator.model.safety.report import Finding, Import, Limits, SafetyReport
from validator.model.safety.scan import scan

__all__ = [
    "Finding",
    "Import",
    "Limits",
    "ModelFacts",
    "SafetyReport",
    "framework_of",
    "gather",
    "load",
    "refuse_unsafe",
    "scan",
    "scan_pickle",
]
