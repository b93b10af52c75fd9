"""From what `validator.libraries.export.export` said of a live model to the canonical TreeEnsemble."""

from __future__ import annotations

from validator.libraries.header import Arrays, Header
from validator.libraries.known import LIBRARIES
from validator.trees.ensemble import TreeEnsemble
from validator.trees.validity import validate


def read(header: Header, arrays: Arrays) -> TreeEnsemble | None:
    """The valid ensemble behind an export; None where its kind is "other", which no library claims.

    Raises ConversionError, with a hint, for a model that no TreeEnsemble expresses exactly or one that is damaged.
    """
    kind = header.get("kind")
    library = next((library for library in LIBRARIES if library.kind == kind), None)
    if library is None:
        return None
    ensemble = library.read(header, arrays)
    validate(ensemble)
    return ensemble
