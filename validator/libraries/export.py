"""What a live, unpickled model tells the exact converter: a header that JSON can carry and named numpy arrays.

Runs beside the model, in whatever environment it was trained in: Python 3.9 or later, numpy, and the model's library.
The reader that makes trees of it, `validator.libraries.read`, runs in a process that never met the pickle.
"""

from __future__ import annotations

from typing import Any

from validator.libraries.known import live_of
from validator.libraries.plain import Export, NotExpressible


def export(model: Any) -> Export:
    """The header and arrays of a fitted model.

    `kind` says which library's reader takes it; or it is "other": no tree ensemble, or one that has no exact form.
    Then `reason` says why and `hint` what would help, and there are no arrays.
    """
    try:
        return live_of(model).export(model)
    except NotExpressible as found:
        return {"kind": "other", "reason": str(found), "hint": found.hint}, {}
