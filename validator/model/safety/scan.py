"""One scan for every format: bytes in, a SafetyReport out."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable

from validator.model.safety.documents import DocumentError, read_json
from validator.model.safety.lightgbm_text import scan_lightgbm_text
from validator.model.safety.onnx_model import scan_onnx
from validator.model.safety.pickles import scan_pickle
from validator.model.safety.report import DEFAULT_LIMITS, SAFE, Limits, SafetyReport, refused
from validator.model.safety.skops_file import scan_skops
from validator.model.safety.versions import catboost_version
from validator.model.safety.xgboost_model import scan_xgboost

_TREE_DEPTH = 500
"""Trees grown leaf by leaf are written as deep as they are, one level of braces for each split."""
_VERSION = re.compile(r"v?\d[\w.]{0,20}\Z")


def scan(
    data: bytes, format_name: str, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS
) -> SafetyReport:
    """Scan a model file's bytes as the format that `validator.model.file.identify` named. Executes nothing.

    Belongs in a worker: parsing hostile bytes may exhaust memory. Only `onnx` needs a library (onnx). Raises
    SettingsError for an unusable `allow`; a format that is not known is refused.
    """
    if format_name in ("pickle", "joblib"):
        return scan_pickle(data, allow=allow, limits=limits, format_name=format_name)
    if format_name == "skops":
        return scan_skops(data, allow=allow, limits=limits)
    scanner = _SCANNERS.get(format_name)
    if scanner is None:
        return refused(format_name, "format", "is not known here", "Save the model in a supported format.")
    return scanner(data, limits)


def _onnx(data: bytes, limits: Limits) -> SafetyReport:
    return scan_onnx(data, limits=limits)


def _lightgbm_json(data: bytes, limits: Limits) -> SafetyReport:
    try:
        document = read_json(data, nodes=limits.nodes, depth=_TREE_DEPTH)
    except DocumentError as error:
        return refused("lightgbm-json", "lightgbm json", str(error), "Write the file again.")
    version = str(document.get("version", ""))
    found = (("lightgbm model text", version),) if _VERSION.match(version) else ()
    return SafetyReport(
        "lightgbm-json", SAFE, versions=found, model_class="lightgbm.basic.Booster", preload=("lightgbm",)
    )


def _catboost(data: bytes, _limits: Limits) -> SafetyReport:
    """A cbm file is its magic, the length of its core, and the core (catboost/libs/model/model_serialization)."""
    length = struct.unpack_from("<I", data, 4)[0] if len(data) >= 8 else -1
    if not data.startswith(b"CBM1") or not 0 < length <= len(data) - 8:
        reason = f"claims a core of {length:,} bytes in a file of {len(data):,}"
        return refused("catboost-cbm", "catboost model", reason, "The file was cut off: write it again.")
    return _plain_catboost("catboost-cbm", data)


def _catboost_json(data: bytes, limits: Limits) -> SafetyReport:
    try:
        document = read_json(data, nodes=limits.nodes, depth=_TREE_DEPTH)
    except DocumentError as error:
        return refused("catboost-json", "catboost json", str(error), "Write the file again.")
    facts = document.get("model_info") if isinstance(document, dict) else None
    told = str(facts.get("catboost_version_info", "")) if isinstance(facts, dict) else ""
    return _plain_catboost("catboost-json", told.encode())


def _plain_catboost(format: str, told: bytes) -> SafetyReport:
    """Numbers only; `told` are the bytes that name the library's version."""
    version = catboost_version(told)
    return SafetyReport(
        format,
        SAFE,
        versions=(("catboost", version),) if version else (),
        model_class="catboost.core.CatBoost",
        preload=("catboost",),
    )


_SCANNERS: dict[str, Callable[[bytes, Limits], SafetyReport]] = {
    "lightgbm-text": lambda data, limits: scan_lightgbm_text(data, limits=limits),
    "lightgbm-json": _lightgbm_json,
    "xgboost-json": lambda data, limits: scan_xgboost(data, ubj=False, limits=limits),
    "xgboost-ubj": lambda data, limits: scan_xgboost(data, ubj=True, limits=limits),
    "catboost-cbm": _catboost,
    "catboost-json": _catboost_json,
    "onnx": _onnx,
}
