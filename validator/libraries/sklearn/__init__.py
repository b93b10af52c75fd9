"""scikit-learn: its trees and forests, exactly, and the interface that every other library's estimators share."""

from __future__ import annotations

from validator.libraries.library import Library

LIBRARY = Library(name="sklearn", distributions=("scikit-learn",))
