"""From a model file's bytes to the live native model, each format through its own library."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

from validator.errors import ModelError
from validator.libraries.known import format_named

_PICKLES = ("pickle", "joblib")


def load_model(data: bytes, format: str, allow: Sequence[str], trusted: bool, reading: str = "auto") -> Any:
    """Raises UnsafeModelError for a refused pickle, ModelError for a format without a native model.

    Pickles go through the restricted unpickler unless `trusted`. `reading` is which of two a file has: that of the
    library's estimator, "wrapper", of its "booster", or of whichever saved it, "auto".
    """
    if format in _PICKLES:
        return _load_pickle(data, allow, trusted)
    if format == "skops":
        return _load_skops(data, allow)
    known = format_named(format)
    if known is not None:
        live = known[0].live()
        return live.read_as(live.load(bytes(data), format), reading)
    raise ModelError(f"a {format} file holds no native model", hint="give the file that training saved")


def _load_pickle(data: bytes, allow: Sequence[str], trusted: bool) -> Any:
    if trusted:
        import io

        import joblib

        return joblib.load(io.BytesIO(data))
    from validator.model.safety.loader import load

    return load(data, allow=tuple(allow))


def _load_skops(data: bytes, allow: Sequence[str]) -> Any:
    """With the types that our own scan lets pass: skops knows fewer of scikit-learn's than that."""
    import skops.io

    from validator.model.safety.loader import refuse_unsafe
    from validator.model.safety.scanning import scan
    from validator.model.safety.skops_file import rewritten

    report = scan(bytes(data), "skops", allow=tuple(allow))
    refuse_unsafe(report)
    data = rewritten(bytes(data))
    asked = skops.io.get_untrusted_types(data=data)
    known = {entry.name for entry in report.imports if entry.allowed}
    refused = [name for name in asked if name not in known]
    if refused:
        raise ModelError(
            f"the skops file asks for types that nobody vouched for: {', '.join(refused[:5])}",
            hint="name them under `allow` if they are yours",
        )
    return skops.io.loads(data, trusted=asked)


def load_path(path: str, format: str) -> Any:
    """Load a file by its path, as its library does it. For what happens when there is no such file."""
    known = format_named(format)
    if known is not None:
        return known[0].live().load_path(path, format)
    with Path(path).open("rb") as file:
        return load_model(file.read(), format, (), False)
