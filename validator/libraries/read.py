"""From what `validator.libraries.export.export` said of a live model to the canonical TreeEnsemble."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from validator.errors import ConversionError
from validator.libraries.header import Arrays, Header
from validator.libraries.known import LIBRARIES
from validator.libraries.library import Library
from validator.trees.ensemble import TreeEnsemble
from validator.trees.validity import validate

#: What a library may write otherwise without another answer to any row.
_NO_MATTER = frozenset({"leaf_cover", "feature_names", "feature_categories"})


def read(header: Header, arrays: Arrays) -> TreeEnsemble | None:
    """The valid ensemble behind an export; None where its kind is "other", which no library claims.

    An export that brings along the `file` that the model was loaded from is held against it. Raises ConversionError,
    with a hint, for a model that no TreeEnsemble expresses exactly, one that is damaged, and one that its library
    holds otherwise than the file has it.
    """
    kind = header.get("kind")
    library = next((library for library in LIBRARIES if library.kind == kind), None)
    if library is None:
        return None
    ensemble = library.read(header, arrays)
    validate(ensemble)
    if "file" in arrays:
        _hold_against_file(library, ensemble, header, arrays)
    return ensemble


def _hold_against_file(library: Library, held: TreeEnsemble, header: Header, arrays: Arrays) -> None:
    """Raises ConversionError where the file's own bytes say another model than the library made of them."""
    if np.array_equal(arrays["file"], arrays["model"]):
        return
    written = library.read(header, {"model": arrays["file"]})
    validate(written)
    differing = [
        field.name
        for field in fields(TreeEnsemble)
        if field.name not in _NO_MATTER and not _same(getattr(written, field.name), getattr(held, field.name))
    ]
    if differing:
        raise ConversionError(
            f"the installed {library.shown} holds another model than the file says: after loading, they differ in "
            f"{', '.join(differing[:4])}",
            hint=f"load it with the release of {library.shown} that wrote it: name that in `requirements`",
        )


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if is_dataclass(a) and type(a) is type(b):
        return all(_same(getattr(a, field.name), getattr(b, field.name)) for field in fields(a))
    return bool(a == b)
