"""The native models inside a pickle or a skops file: a booster's text or bytes, as its library keeps them."""

from __future__ import annotations

from validator.libraries.catboost.document import check_cbm
from validator.libraries.lightgbm.check import check_text
from validator.libraries.xgboost.check import check_serialised
from validator.model.safety.findings import Log
from validator.model.safety.report import Limits
from validator.model.safety.symbols import Raw

_HINT = "The file is damaged or was made to mislead: save the model again."


def check_embedded(log: Log, limits: Limits) -> None:
    """Refuse what their libraries' parsers, which trust what they are given, could not read."""
    for path, place, content in log.embedded:
        raw = content.content() if isinstance(content, Raw) else content
        raw = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        if not isinstance(raw, bytes):
            log.place = place
            log.add(path, "build", 0, "holds a model that is neither text nor bytes", _HINT)
            continue
        try:
            if path.startswith("lightgbm"):
                check_text(raw, nodes=limits.nodes)
            elif path.startswith("catboost"):
                check_cbm(raw, nodes=limits.nodes)
            else:
                check_serialised(raw, nodes=limits.nodes)
        except (ValueError, OverflowError, AttributeError) as error:
            log.place = place
            log.add(path, "build", 0, f"holds a broken model: {error}"[:500], _HINT)
