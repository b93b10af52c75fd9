"""The index of a run: what it was to judge, what became of each model, and which files of the repository decide."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator import __version__
from validator.cli.targets import settings_name
from validator.errors import PreflightError, UsageError
from validator.gate.conclusion import RESULT_NAME
from validator.github.deciding import Names
from validator.results import GateResult, IndexedModel, RunIndex
from validator.settings.table import Settings

if TYPE_CHECKING:
    from validator.cli.scope import Scope
    from validator.github.event import Target

_MOST_NAMES = 2_000
_MOST_MODULES = 100
_MOST_NAME_CHARS = 1_000
_MOST_CHARS = 10_000


@dataclass(frozen=True, kw_only=True)
class ModelOutcome:
    """One model's result, or the error that left it without; neither where it had not to be judged."""

    settings: Settings
    result: GateResult | None = None
    error: PreflightError | None = None


def index_of(
    outcomes: Sequence[ModelOutcome],
    settings: Settings,
    *,
    target: Target | None,
    scope: Scope | None = None,
    error: PreflightError | None = None,
) -> RunIndex:
    """The index. Reads the results back for their hashes; raises OSError where one is not there."""
    names = scope.names if scope is not None else (Names(),) * len(outcomes)
    rules = scope.rules if scope is not None else Names(doubt="the run did not come to look")
    doubt = (scope.doubt if scope is not None else "") or rules.doubt
    context = ""
    if target is not None:
        from validator.github.status import context_for

        context = context_for(settings.status_context, settings.instance_key)
    listed = _listed(rules.files, _MOST_NAMES)
    if rules.files and not listed:
        doubt = doubt or "the configuration lies under too many names"
    return RunIndex(
        tool_version=__version__,
        **_identity(target),
        context=context,
        rules=listed,
        doubt=doubt[:_MOST_CHARS],
        models=tuple(_model(one, settings, own) for one, own in zip(outcomes, names, strict=True)),
        error="" if error is None else error.message[:_MOST_CHARS],
        hint="" if error is None else error.hint[:_MOST_CHARS],
    )


def begun(target: Target, before: PreflightError | None) -> RunIndex:
    """The index of a run that has not come to its end, in case that it never does."""
    error = before or UsageError(
        "the run that should have judged did not come to its end", hint="look at its log"
    )
    return RunIndex(tool_version=__version__, **_identity(target), error=error.message, hint=error.hint)


def red_before(out: Path, target: Target | None) -> PreflightError | None:
    """What an earlier step of the same run wrote to the folder and was no pass: a later one must not replace it."""
    from validator.github.hostile import HostileResultError, read_index, read_run
    from validator.github.outcome import Outcome
    from validator.github.trust import OWN

    if target is None or not target.run_id:
        return None
    try:
        index = read_index(out)
    except HostileResultError:
        return None  # no run wrote that
    ours = (target.repository, target.run_id, target.run_attempt)
    if index is None or (index.repository, index.run_id, index.run_attempt) != ours:
        return None
    try:
        found = Outcome.of_run(read_run(out))
    except HostileResultError as error:
        said = error.message
    else:
        if found.claimed == "pass":
            return None
        said = found.from_origin(OWN).line
    shown = f"an earlier step of this run wrote to {out} too, and it was no pass: {said}"
    return UsageError(shown[:_MOST_CHARS], hint="give each step that judges an `out` of its own")


def _identity(target: Target | None) -> dict[str, Any]:
    if target is None:
        return {}
    return {
        "repository": target.repository,
        "run_id": target.run_id,
        "run_attempt": target.run_attempt,
        "head_sha": target.head_sha or "",
        "pull": target.pull_number or 0,
    }


def _model(one: ModelOutcome, settings: Settings, names: Names) -> IndexedModel:
    own = one.settings
    digest = None
    if one.result is not None:
        digest = hashlib.sha256((own.out / RESULT_NAME).read_bytes()).hexdigest()
    unchanged = one.result is None and one.error is None
    files, modules = _listed(names.files, _MOST_NAMES), _listed(names.modules, _MOST_MODULES)
    whole = len(files) == len(names.files) and len(modules) == len(names.modules) and not names.doubt
    return IndexedModel(
        name=settings_name(own)[:_MOST_NAME_CHARS],
        path=(one.result.model.path if one.result is not None else own.model[0])[:_MOST_NAME_CHARS],
        folder="." if own.out == settings.out else own.out.name,
        status="judged" if one.result is not None else "unchanged" if unchanged else "unjudged",
        sha256=digest,
        reason="" if one.error is None else one.error.message[:_MOST_CHARS],
        hint="" if one.error is None else one.error.hint[:_MOST_CHARS],
        files=files if whole else (),
        modules=modules if whole else (),
    )


def _listed(names: Iterable[str], most: int) -> tuple[str, ...]:
    """The names in their order, or none where there are more, or longer ones, than an index holds."""
    found = tuple(sorted(names))
    return found if len(found) <= most and all(len(name) <= _MOST_NAME_CHARS for name in found) else ()
