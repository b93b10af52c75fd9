"""Where settings come from, the first wins: command-line flag, action input (`INPUT_*`), `PREFLIGHT_*` variable,
`preflight.toml` or `[tool.model-preflight]` of `pyproject.toml`, default.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from validator.errors import SettingsError
from validator.settings.anchoring import anchored, is_address
from validator.settings.checkout import checkout_of, refuse_outside
from validator.settings.table import (
    CONFIG_NAME,
    NOT_FROM_FILE,
    RENAMED,
    ContractSettings,
    FeatureSettings,
    ModelEntry,
    Settings,
    Waiver,
    choices,
    flag_of,
    group_of,
    is_file_only,
)
from validator.settings.values import split

ENV_PREFIX = "PREFLIGHT_"
_IS_VERSION = re.compile(r"3(\.\d+){0,2}\Z")
#: Settings by which a file lets further code run, or loosens what holds it.
_LETS_CODE_RUN = frozenset({"allow", "isolation", "python", "requirements", "trust_pickle", "wrapper"})
#: What an image in a registry begins with. (`oci:5000/x` is one on a host of that name.)
_REGISTRY = re.compile(r"oci(\+[a-z]+)?:(//|[0-9])")
#: Events that start the base branch's workflow, with its token and secrets, on whatever somebody else wrote.
_PRIVILEGED_EVENTS = frozenset({"pull_request_target", "workflow_run", "issue_comment", "issues"})


Notice = Callable[[str], None]


def _as_flag(name: str) -> str:
    return f"--{flag_of(name)}"


def _unheard(_notice: str) -> None:
    """For callers with nobody to show a notice to."""


def from_environ(
    environ: Mapping[str, str], notice: Notice = _unheard
) -> tuple[dict[str, Any], dict[str, str]]:
    """Values set by variables and action inputs, and where each came from. An empty input counts as unset.

    Raises SettingsError for a `PREFLIGHT_*` variable that is no setting.
    """
    values, sources = _as_given(environ)
    return _by_present_names(values, sources, notice), _by_present_names(sources, sources)


def _as_given(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values and their places by the names that were used. Raises as `from_environ` for an unknown variable."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    names = _variables()
    for key in sorted(key for key in environ if key.startswith(ENV_PREFIX)):
        if key not in names:
            raise SettingsError(f"the variable {key} is no setting", hint=_nearest(key, names))
        values[names[key]], sources[names[key]] = environ[key], key
    if environ.get("GITHUB_ACTIONS") == "true":
        for name in names.values():
            key = "INPUT_" + flag_of(name).upper()
            if environ.get(key, "").strip():
                values[name], sources[name] = environ[key].strip(), f"action input {flag_of(name)}"
    return values, sources


def _variables() -> dict[str, str]:
    """The settings by the names of their variables."""
    names = [*(name for name in Settings.model_fields if not is_file_only(name)), *RENAMED]
    return {ENV_PREFIX + name.upper(): name for name in names}


def _by_present_names(
    values: Mapping[str, Any], sources: Mapping[str, str], notice: Notice = _unheard
) -> dict[str, Any]:
    """The values of one source, those by a setting's earlier name under its present one.

    Raises SettingsError where one setting has both its names.
    """
    for old, new in RENAMED.items():
        if old in values and new in values:
            raise SettingsError(
                f"{sources.get(old, old)} and {sources.get(new, new)} are one setting",
                hint=f"give {new!r} alone: {old!r} is its earlier name",
            )
        if old in values:
            notice(f"{sources.get(old, old)}: this setting is called {new!r} now")
    return {RENAMED.get(name, name): value for name, value in values.items()}


def from_file(path: Path, notice: Notice = _unheard) -> dict[str, Any]:
    """The table in `preflight.toml`, or the `[tool.model-preflight]` of a `pyproject.toml`.

    Raises SettingsError when it cannot be read, is no TOML, or holds an unknown key.
    """
    return _present_table(path, _known_keys(path, _table(path), strict=True), notice)


def _present_table(path: Path, values: dict[str, Any], notice: Notice) -> dict[str, Any]:
    """A file's values by the settings' present names, those of each of several models too."""

    def renamed(table: Mapping[str, Any], place: str) -> dict[str, Any]:
        return _by_present_names(table, {name: f"{path.name}: {place}{name}" for name in table}, notice)

    found = renamed(values, "")
    if isinstance(found.get("models"), list):
        found["models"] = [
            renamed(entry, f"models.{place}.") if isinstance(entry, dict) else entry
            for place, entry in enumerate(found["models"])
        ]
    return found


def _table(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read: {error}", hint="check the path and its permissions"
        ) from error
    return _parsed(text, path)


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{path} is no valid TOML: {error}", hint="mend the line that is named"
        ) from error
    if path.name == "pyproject.toml":
        tools = table.get("tool", {})
        table = tools.get("model-preflight", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise SettingsError(
            f"{path} has no table at tool.model-preflight",
            hint="write [tool.model-preflight] on a line of its own",
        )
    return table


def _known_keys(path: Path, table: Mapping[str, Any], *, strict: bool) -> dict[str, Any]:
    """The settings in a file's table by name; what is none of them is refused, or left out."""
    names = {*Settings.model_fields, *RENAMED}
    known = {name.replace("_", "-") for name in names} | names
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if key in known and name not in NOT_FROM_FILE:
            found[name] = value
        elif strict and key in known:
            raise SettingsError(f"{path} may not set {key!r}", hint="give it as a flag or a variable")
        elif strict:
            raise SettingsError(
                f"{path} has an unknown key {key!r}", hint=_nearest(key, Settings.model_fields)
            )
    return found


def find_file(start: Path) -> Path | None:
    """`preflight.toml` in that folder, else its `pyproject.toml` if that has our table."""
    own = start / CONFIG_NAME
    if own.is_file():
        return own
    shared = start / "pyproject.toml"
    return shared if shared.is_file() and from_file(shared) else None


def resolve(
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    folder: Path,
    notice: Notice = _unheard,
    *,
    spelled: Callable[[str], str] = _as_flag,
) -> Settings:
    """Settings from all sources, in their order. `flags` holds only what was given on the command line, or by a
    caller in Python, who knows them as they are `spelled`.

    Without a file in `folder`, one beside the model is taken: then its relative paths count from there.
    `notice` is told of each setting that was given by an earlier name.
    Raises SettingsError naming the source of the first wrong value.
    """
    env_values, sources = from_environ(environ, notice)
    flag_names = {name: spelled(name) for name in flags}
    given = {**env_values, **_by_present_names(flags, flag_names, notice)}
    sources |= _by_present_names(flag_names, flag_names)
    path = _config_path(given, folder)
    file_values: dict[str, Any] = {}
    if path is not None:
        checkout = checkout_of(environ, folder)
        if checkout is not None:
            refuse_outside({}, path, folder, checkout)
        file_values = from_file(path, notice)
        _refuse_code(file_values, path, environ)
        file_values = anchored(file_values, path.parent, folder)
        if checkout is not None:
            refuse_outside(file_values, path, folder, checkout)
        sources = {name: f"{path.name}: {name}" for name in file_values} | sources
    try:
        return Settings.model_validate({**file_values, **given})
    except ValidationError as error:
        raise _explained(error, sources) from error


def config_path(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Path | None:
    """The configuration file that `resolve` would read, if there is one."""
    return _config_path({**from_environ(environ)[0], **flags}, folder)


def resolve_text(
    text: str, path: Path, flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> Settings:
    """As `resolve`, with `text` as the content of the configuration file at `path`. Raises SettingsError."""
    given = {**from_environ(environ)[0], **_by_present_names(flags, {})}
    values = _present_table(path, _known_keys(path, _parsed(text, path), strict=False), _unheard)
    try:
        return Settings.model_validate({**anchored(values, path.parent, folder), **given})
    except ValidationError as error:
        raise _explained(error, {name: f"{path.name}: {name}" for name in values}) from error


def salvage(flags: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> Settings:
    """What telling of a failure needs, where settings cannot be read: the group "GitHub" and the output folder.

    Each is taken from where `resolve` would take it, one that is wrong itself left at its default.
    """
    names = _variables()
    known = {key: value for key, value in environ.items() if key in names or not key.startswith(ENV_PREFIX)}
    values = {**_as_given(known)[0], **flags}
    found: dict[str, Any] = {}
    for name, value in ({**_salvaged_file(values, environ, folder), **values}).items():
        if name not in RENAMED and (group_of(name) == "GitHub" or name == "out"):
            with suppress(ValidationError):
                Settings.model_validate({name: value})
                found[name] = value
    return Settings.model_validate(found)


def _salvaged_file(given: Mapping[str, Any], environ: Mapping[str, str], folder: Path) -> dict[str, Any]:
    """A file's values, none where one of its paths is what is wrong."""
    try:
        path = _config_path(given, folder)
        values = {} if path is None else _known_keys(path, _table(path), strict=False)
        checkout = checkout_of(environ, folder)
        if path is not None and checkout is not None:
            refuse_outside({"out": values.get("out")}, path, folder, checkout)
    except SettingsError:
        return {}
    return values


def _refuse_code(values: Mapping[str, Any], path: Path, environ: Mapping[str, str]) -> None:
    """Raise SettingsError for what a file of a pull request may not decide.

    In a job of whatever CI, `python` from a file is a version only: a path could lead to a program in the
    same pull request, and an interpreter is no worker that could be locked down; nor does a file name the servers
    that the job talks to. Where the job holds the base branch's token, nothing that lets further code run may come
    from a file.
    """
    is_github = environ.get("GITHUB_ACTIONS") == "true"
    if not is_github and checkout_of(environ, path.parent) is None:
        return
    event = environ.get("GITHUB_EVENT_NAME", "")
    entries = values.get("models")
    tables = [
        values,
        *(entry for entry in (entries if isinstance(entries, list) else ()) if isinstance(entry, dict)),
    ]
    for table in tables:
        models = split(table.get("model") or ())
        for model in models if isinstance(models, (list, tuple)) else ():
            if is_github and is_address(str(model)):
                raise SettingsError(
                    f"{path} may not name {model!r:.200} in a GitHub job, which would write a verdict to MLflow",
                    hint="give it as the action input 'model' in the workflow",
                )
        named = sorted(name for name in table if name.replace("-", "_") in _LETS_CODE_RUN)
        if named and is_github and event in _PRIVILEGED_EVENTS:
            raise SettingsError(
                f"{path} may not set {named[0]!r} in a {event} run, which holds the base branch's token while "
                "somebody else may have written that file",
                hint=f"give it as the action input {flag_of(named[0])!r} in the workflow",
            )
        baseline = table.get("baseline")
        if isinstance(baseline, str) and _REGISTRY.match(baseline):
            raise SettingsError(
                f"{path} may not name a registry as 'baseline' in a CI job: a pull request would say whom the "
                "job talks to",
                hint="give it as a flag, or as the action input 'baseline' in the workflow",
            )
        python = table.get("python")
        if isinstance(python, str) and not _IS_VERSION.match(python):
            raise SettingsError(
                f"{path} may set 'python' to a version only, such as 3.9, in a CI job: got {python!r:.200}",
                hint="give a path as a flag, or as the action input 'python' in the workflow",
            )


def _config_path(given: Mapping[str, Any], folder: Path) -> Path | None:
    if given.get("config"):
        path = folder / str(given["config"])
        if not path.is_file():
            raise SettingsError(
                f"the configuration file {given['config']} does not exist", hint="check --config"
            )
        return path
    found = find_file(folder)
    models = split(given.get("model") or ())
    if found is None and isinstance(models, (list, tuple)) and len(models) == 1:
        beside = (folder / models[0]).parent
        found = find_file(beside) if beside.is_dir() else None
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"known names: {', '.join(names)}"


def _explained(error: ValidationError, sources: Mapping[str, str]) -> SettingsError:
    """The first complaint of pydantic, in our words, with the place that the value came from."""
    first = error.errors()[0]
    location = first["loc"]
    source = sources.get(str(location[0]), str(location[0])) if location else "settings"
    inner = ".".join(str(part) for part in location[1:] if not str(part).startswith("function-"))
    where = f"{source}: {inner}" if inner else source
    shown = "" if location and location[0] == "github_token" else f", got {first['input']!r:.200}"
    if first["type"] == "extra_forbidden":
        return SettingsError(
            f"{where} is no known key", hint=_nearest(str(location[-1]), _siblings(location))
        )
    hint = "see `model-preflight validate --help`"
    if location and choices(str(location[0])):
        hint = "one of: " + ", ".join(dict.fromkeys(choices(str(location[0]))))
    elif first["type"] == "tuple_type" and location[-1] in ("models", "waivers", "features"):
        hint = f"begin each with two brackets: [[{'.'.join(map(str, location))}]]"
    return SettingsError(f"{where}: {first['msg'][0].lower()}{first['msg'][1:]}{shown}", hint=hint)


def _siblings(location: tuple[int | str, ...]) -> Iterable[str]:
    tables: dict[str, type[BaseModel]] = {
        "contract": ContractSettings,
        "features": FeatureSettings,
        "waivers": Waiver,
        "models": ModelEntry,
    }
    for part in reversed(location[:-1]):
        if part in tables:
            return tables[str(part)].model_fields
    return Settings.model_fields
