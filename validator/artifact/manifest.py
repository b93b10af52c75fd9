"""`manifest.json` and `contract.json`: what a result promises about the model beside them.

Both are canonical JSON, and hold nothing measured in seconds and nothing of the machine but the versions of
its libraries: the same commit and inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from validator.artifact.read import CONTRACT_SCHEMA, MANIFEST_SCHEMA
from validator.artifact.version import version_time
from validator.causes import blocks
from validator.checklist import lasting_reason
from validator.results import Contract, GateResult


def canonical_json(value: Any) -> bytes:
    """Sorted keys, two spaces, ASCII, a newline at the end. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return (text + "\n").encode("ascii")


def contract_document(contract: Contract) -> dict[str, Any]:
    """The contract as JSON values, with the version of its form. NaN and infinity are strings."""
    document: dict[str, Any] = json.loads(contract.model_dump_json())
    return document | {"schema_version": CONTRACT_SCHEMA}


def manifest_document(result: GateResult, *, onnx: bytes | None) -> dict[str, Any]:
    """The manifest as JSON values. Raises ArtifactError when the result's version is malformed."""
    environment = result.environment
    return {
        "schema_version": MANIFEST_SCHEMA,
        "tool_version": result.tool_version,
        "version": result.version,
        "created_at": version_time(result.version),
        "verdict": result.verdict,
        "reason": _reason(result),
        "model": json.loads(result.model.model_dump_json()),
        "git_commit": environment.git_commit,
        "onnx": _onnx_document(result, onnx),
        "parity": {"level": result.parity.level, "bound": _finite(result.parity.bound)},
        "packages": {"python": environment.python, **environment.packages},
        "override": _override(result),
    }


def _reason(result: GateResult) -> str:
    """Without measured times, where the checks say why; else as the result says it."""
    told = result.verdict == "pass" or any(blocks(check) for check in result.checks)
    return lasting_reason(result.checks) if told else result.reason


def _onnx_document(result: GateResult, onnx: bytes | None) -> dict[str, Any] | None:
    if onnx is None:
        return None
    return {
        "sha256": hashlib.sha256(onnx).hexdigest(),
        "size_bytes": len(onnx),
        "method": result.conversion.method,
        "input_dtype": result.conversion.input_dtype,
    }


def _override(result: GateResult) -> dict[str, Any] | None:
    """What the user accepted against the gate's rules: an unpickled file, failed checks. None for nothing."""
    waived = {
        f"{check.id}[{check.runtime}]" if check.runtime else check.id: check.waived
        for check in result.checks
        if check.waived
    }
    trust = result.environment.trust_reason
    return {"trust_reason": trust, "waived": waived} if trust or waived else None


def _finite(number: float | None) -> float | str | None:
    """JSON has no NaN and no infinity: they become strings, as in `result.json`."""
    if number is None or number - number == 0.0:
        return number
    return "NaN" if number != number else ("Infinity" if number > 0 else "-Infinity")
