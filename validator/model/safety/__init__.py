"""What loading a model file would do, told without loading it; and loading it with nothing else permitted."""

from validator.model.safety.pickles import scan_pickle
from validator.model.safety.report import Finding, Import, Limits, SafetyReport
from validator.model.safety.unpickler import load, refuse_unsafe

__all__ = ["Finding", "Import", "Limits", "SafetyReport", "load", "refuse_unsafe", "scan_pickle"]
