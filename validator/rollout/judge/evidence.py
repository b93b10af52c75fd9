"""Evidence files: what was judged, by which rule, with which verdict, so that anybody can judge it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from validator.errors import UsageError
from validator.rollout.judge.verdict import Verdict, judge
from validator.rollout.judge.windows import Rule, Window

#: Raised whenever the meaning of a field changes.
SCHEMA_VERSION = 1
#: Ten days of windows of a minute and 20 metrics fit many times over.
_LARGEST = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One file: the rule, the windows, and the verdict that they gave."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    schema_version: int
    rule: Rule
    windows: tuple[Window, ...]
    verdict: Verdict


_FORMAT: TypeAdapter[Evidence] = TypeAdapter(Evidence)


def gathered(rule: Rule, windows: tuple[Window, ...]) -> Evidence:
    """Judge, and keep what was judged with it."""
    return Evidence(schema_version=SCHEMA_VERSION, rule=rule, windows=windows, verdict=judge(rule, windows))


def written(evidence: Evidence) -> bytes:
    """The file's bytes."""
    return _FORMAT.dump_json(evidence, indent=1) + b"\n"


def read_evidence(path: Path) -> Evidence:
    """Read an evidence file.

    Raises
    ------
    UsageError
        If it is not one, is of a newer schema, or holds counts that cannot be.
    """
    hint = "give a file that `rollout` wrote below evidence/"
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"{path}: larger than any evidence file", hint=hint)
        evidence = _FORMAT.validate_json(path.read_bytes())
    except OSError as error:
        raise UsageError(f"cannot read the evidence {path}: {error.strerror}", hint=hint) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        told = f"{where}: {first['msg']}" if where else first["msg"]
        raise UsageError(f"{path}: not an evidence file: {told}", hint=hint) from error
    if evidence.schema_version != SCHEMA_VERSION:
        raise UsageError(
            f"{path}: evidence of schema {evidence.schema_version}; this release reads {SCHEMA_VERSION}",
            hint="use the release of Model Preflight that wrote it",
        )
    return evidence


def judge_again(evidence: Evidence) -> Verdict:
    """The verdict on the same windows by the same rule, worked out anew.

    Raises
    ------
    UsageError
        If it is not the verdict in the file: the file was changed, or another release judged it.
    """
    verdict = judge(evidence.rule, evidence.windows)
    then = evidence.verdict
    if (verdict.outcome, verdict.look, verdict.exhausted) != (then.outcome, then.look, then.exhausted):
        raise UsageError(
            f"judged again, the evidence says {verdict.outcome} at look {verdict.look}; "
            f"the file says {then.outcome} at look {then.look}",
            hint="the file was changed after it was written, or another release judged it: do not rely on it",
        )
    return verdict
