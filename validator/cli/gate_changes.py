"""What the configuration of a run allows that the base branch's does not, and what an organisation's policy forbids.

Whoever opens a pull request can write `preflight.toml`. So a report begins with what that file loosened, and a
policy, which only the workflow can name, holds bounds that no such file can pass.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from validator.baseline.git_objects import NewFileError, NotInGitError, pull_request_base, read_at
from validator.cli.targets import for_path, targets
from validator.errors import SettingsError, UsageError
from validator.gate.strictness import COMPARED, looser, other
from validator.settings.checkout import checkout_of, why_outside
from validator.settings.sources import config_path, from_environ, resolve_text
from validator.settings.table import CONFIG_NAME, Settings

_MOST_BYTES = 1 << 20
_OWN_KEYS = frozenset({"waiver_days", "unwaivable"})
_PULL_REQUESTS = frozenset({"pull_request", "pull_request_target", "merge_group"})


def changes(
    models: Sequence[Settings], flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> dict[str, tuple[str, ...]]:
    """By the path of each model: what judges it less strictly than before, and what else is another."""
    base, against = _base_settings(models, flags, environ, folder)
    gone = _gone(models, base)
    found: dict[str, tuple[str, ...]] = {}
    for one in models:
        path = one.model[0]
        before = for_path(base, path)
        lines = [*looser(one, before), *gone]
        if against.is_branch:
            lines += other(one, before)
        if lines and against.note:
            lines.append(against.note)
        found[path] = tuple(line[:300] for line in lines[:20])
    return found


def _places(
    models: Sequence[Settings], flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> list[Path]:
    """Where the base branch may have its configuration, in the order in which a run there would look for it.

    Not only the file that is in force now: a pull request can add one that goes before it, or delete that one.
    """
    asked = from_environ(environ)[0] | dict(flags)
    if asked.get("config"):
        found = config_path(flags, environ, folder)
        return [] if found is None else [found]
    folders = [folder, *((folder / one.model[0]).parent for one in models)]
    return list(dict.fromkeys(place / name for place in folders for name in (CONFIG_NAME, "pyproject.toml")))


class _Against:
    """What was compared with: the base branch's configuration, or the defaults and why."""

    def __init__(self, *, is_branch: bool, note: str = "") -> None:
        self.is_branch = is_branch
        self.note = note


def _base_settings(
    models: Sequence[Settings], flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> tuple[Settings, _Against]:
    branch = environ.get("GITHUB_BASE_REF", "")
    nothing = resolve_text("", folder / CONFIG_NAME, flags, environ, folder)
    if not branch:
        return nothing, _Against(is_branch=False)
    try:
        for path in _places(models, flags, environ, folder):
            text = _at_base(path, branch)
            if text is not None:
                return resolve_text(text, path, flags, environ, folder), _Against(is_branch=True)
    except (NotInGitError, SettingsError) as error:
        why = f"compared with the defaults, for the configuration of {branch} cannot be read: {error.message}"
        return nothing, _Against(is_branch=False, note=why)
    return nothing, _Against(is_branch=False)


def _at_base(path: Path, branch: str) -> str | None:
    """The file's text as the base branch has it, None where it has none (or, of pyproject.toml, none of ours)."""
    try:
        found = read_at(path, pull_request_base(path, branch))
    except NewFileError:
        return None
    content = found.files.get("", b"")[:_MOST_BYTES]
    try:
        text = content.decode("utf-8")
        is_ours = path.name != "pyproject.toml" or "model-preflight" in tomllib.loads(text).get("tool", {})
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(
            f"{path.name} is no valid TOML there", hint="mend it on the base branch"
        ) from error
    return text if is_ours else None


def _gone(models: Sequence[Settings], base: Settings) -> list[str]:
    """The models that the base branch's configuration names, that are there still, and that are not judged."""
    judged = {Path(one.model[0]) for one in models}
    named = [entry.model for entry in base.models]
    with suppress(UsageError):  # nothing is there of what it names
        named += [one.model[0] for one in targets(base)] if base.model else []
    missed = dict.fromkeys(path for path in named if Path(path) not in judged and Path(path).exists())
    return [f"{path[:200]} is judged no longer" for path in missed]


def hold_to_policy(
    settings: Settings, models: Sequence[Settings], environ: Mapping[str, str]
) -> list[Settings]:
    """The models' settings with the policy's own. Raises SettingsError where one allows more than the policy."""
    if settings.policy is None:
        return list(models)
    text, shown = _policy_text(settings.policy, environ)
    try:
        table = {key.replace("-", "_"): value for key, value in tomllib.loads(text).items()}
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the policy {shown} is no valid TOML: {error}", hint="mend the line") from error
    if unknown := sorted(table.keys() - COMPARED - _OWN_KEYS):
        raise SettingsError(
            f"the policy {shown} has no bound named {unknown[0]!r}",
            hint=f"bounds are: {', '.join(sorted(COMPARED | _OWN_KEYS))}",
        )
    # `trust_pickle = false` forbids what only a reason could allow.
    given = {key: value for key, value in table.items() if key != "unwaivable" and value is not False}
    bounds = resolve_text("", Path(shown), given, {}, Path())
    names = frozenset(table) & COMPARED
    unwaivable = tuple(str(pattern) for pattern in table.get("unwaivable", ()))
    for one in models:
        broken = looser(one, bounds, names)
        broken += [
            f"{waiver.check} may not be waived"
            for waiver in one.waivers
            if any(fnmatchcase(waiver.check, pattern) for pattern in unwaivable)
        ]
        if broken:
            raise SettingsError(
                f"{one.model[0]}: the configuration passes the policy {shown}: {'; '.join(broken)[:1000]}",
                hint="keep within the policy; only who sets the workflow's `policy` can widen it",
            )
    days = min(settings.waiver_days, bounds.waiver_days) if "waiver_days" in table else settings.waiver_days
    return [one.bounded(bounds.tolerance, waiver_days=days) for one in models]


def _policy_text(policy: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """The policy's lines and its name. A pull request can change a file of the checkout, so the base's is read."""
    if "\n" in policy or "=" in policy:
        return policy, "of the workflow"
    path = Path(policy)
    checkout = checkout_of(environ, Path.cwd())
    branch = environ.get("GITHUB_BASE_REF", "")
    if branch and environ.get("GITHUB_EVENT_NAME", "") in _PULL_REQUESTS and checkout is not None:
        named = Path(path.absolute())
        if named.is_relative_to(Path(checkout).absolute()) or not why_outside(path, checkout):
            return _policy_at_base(path, branch), policy
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise SettingsError(f"the policy {policy} is larger than a mebibyte", hint="check --policy")
        return path.read_text(encoding="utf-8"), policy
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the policy {policy} cannot be read: {error}", hint="check --policy") from error


def _policy_at_base(path: Path, branch: str) -> str:
    try:
        text = _at_base(path, branch)
    except NotInGitError as error:
        raise SettingsError(
            f"the policy {path} cannot be read as {branch} has it: {error.message}", hint=error.hint
        ) from error
    if text is None:
        raise SettingsError(
            f"{branch} has no policy at {path}",
            hint="merge the policy first, or keep it outside of the checkout",
        )
    return text
