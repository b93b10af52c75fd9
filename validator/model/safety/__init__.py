"""What loading a model file would do, told without loading it; and loading it with nothing else permitted."""

from validator.model.safety.pickles import scan_pickle
from validator.model.safety.report import Finding, Import, Limits, SafetyReport

__all__ = ["Finding", "Import", "Limits", "SafetyReport", "scan_pickle"]
