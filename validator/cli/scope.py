"""What a run on GitHub is to judge, and which files of the repository decide it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from validator.environments.requirements import files_read
from validator.errors import PublishError, UsageError
from validator.github.checkout import Checkout, DoubtError, open_checkout
from validator.github.deciding import Deciding, Names
from validator.github.event import Target
from validator.registry.reference import looks_remote, parse
from validator.settings.table import CONFIG_NAME, Settings

if TYPE_CHECKING:
    from validator.github.publication import PublishContext

_PROJECT_NAME = "pyproject.toml"
_MOST_RESULT_BYTES = 1 << 24


@dataclass(frozen=True, kw_only=True)
class Scope:
    """`judged` are the models to judge; `names`, for each model of the run in its order, what decides its verdict.

    `rules` are the names of the configuration in force, `doubt` why they are not known; `reason` says why
    models are judged that the change may not touch.
    """

    judged: tuple[Settings, ...]
    names: tuple[Names, ...]
    rules: Names = field(default_factory=Names)
    doubt: str = ""
    reason: str = ""


def everything(models: Sequence[Settings]) -> Scope:
    """The scope of a run outside of GitHub: all models, and nobody asks which files decide."""
    return Scope(judged=tuple(models), names=(Names(),) * len(models))


def scope_of(models: Sequence[Settings], settings: Settings, target: Target, around: PublishContext) -> Scope:
    """What is to be judged: all models, or with `only_changed` those that the change touches; all where in doubt."""
    doubt = ""
    names = [Names()] * len(models)
    rules = Names()
    try:
        with open_checkout(target, around.environ) as checkout:
            rules = Deciding(checkout=checkout, content=False).names(config_paths(settings))
            if merged := checkout.merged_in(rules.files):
                rules |= Names(doubt=f"the pull request changes {merged}")
            if settings.only_changed:
                names = _names_of(models, settings, checkout)
                known = Scope(judged=tuple(models), names=tuple(names), rules=rules)
                return _narrowed(known, settings, target, around, checkout)
    except DoubtError as error:
        doubt = str(error)
        names = [Names(doubt=doubt)] * len(models)
    return Scope(judged=tuple(models), names=tuple(names), rules=rules, doubt=doubt, reason=doubt)


def _narrowed(
    scope: Scope, settings: Settings, target: Target, around: PublishContext, checkout: Checkout
) -> Scope:
    """The scope without the models that the change does not touch."""
    from validator.github.changed import WatchedModel, as_merged, changed_files, touched, why_again
    from validator.github.publication import open_api
    from validator.github.status import context_for

    watched = [
        (WatchedModel(path=one.model[0], names=names), one)
        for one, names in zip(scope.judged, scope.names, strict=True)
    ]
    context = context_for(settings.status_context, settings.instance_key)
    try:
        with open_api(target, settings, around) as api:
            changed = as_merged(changed_files(api, target), checkout)
            reason = changed.reason
            met = touched([model for model, _ in watched], changed)
            if len(met) < len(watched) and (reason := why_again(api, target, context)):
                met = tuple(model for model, _ in watched)
    except PublishError as error:
        return _replaced(scope, scope.judged, error.message)
    chosen = tuple(one for model, one in watched if any(model is other for other in met))
    return _replaced(scope, chosen, reason or next((names.doubt for names in scope.names if names.doubt), ""))


def _replaced(scope: Scope, judged: tuple[Settings, ...], reason: str) -> Scope:
    return Scope(judged=judged, names=scope.names, rules=scope.rules, doubt=scope.doubt, reason=reason)


def _names_of(models: Sequence[Settings], settings: Settings, checkout: Checkout) -> list[Names]:
    deciding = Deciding(checkout=checkout)
    shared = deciding.names([*config_paths(settings), *_of_policy(settings.policy)])
    found = []
    for one in models:
        paths, modules = deciding_paths(one)
        found.append(shared | deciding.names(paths, modules) | Names(doubt=doubt_of_baseline(one.baseline)))
    return found


def config_paths(settings: Settings) -> list[str]:
    """Where the configuration in force lies or might lie: one that takes precedence may be added or taken away."""
    if settings.config:
        return [settings.config]
    beside = {str(Path(path).parent) for path in settings.model}
    return [
        str(Path(folder, name)) for folder in (".", *sorted(beside)) for name in (CONFIG_NAME, _PROJECT_NAME)
    ]


def deciding_paths(one: Settings) -> tuple[list[str], list[str]]:
    """The paths of what decides one model's verdict, there or not, and the folders whose Python modules do."""
    model = one.model[0]
    paths = [model, *filter(None, (one.data, one.reference, one.onnx, one.config))]
    paths += map(str, files_read(one.requirements))
    paths += _of_baseline(one.baseline)
    paths += [one.python] if one.python and "/" in one.python else []
    for name in (pattern.partition(".")[0] for pattern in one.allow):
        paths += [str(Path(folder, leaf)) for folder in (".", "src") for leaf in (name, f"{name}.py")]
    wrapper, modules = _of_wrapper(one.wrapper, model) if one.wrapper else ([], [])
    return [*paths, *wrapper], modules


def _of_baseline(baseline: str | None) -> Iterator[str]:
    """The base version's path, which may be a Git reference too, and the artifact that a result there names.

    Of a layout of images the whole folder, whatever tag or digest follows its name.
    """
    if baseline is None or baseline == "none":
        return
    bare = baseline.removeprefix("oci:")
    untagged = bare.rpartition("@")[0] or bare
    yield from filter(None, dict.fromkeys((baseline, bare, untagged, untagged.rpartition(":")[0])))
    for place in (Path(baseline), Path(baseline, "result.json")):
        if place.is_file() and place.suffix == ".json" and place.stat().st_size <= _MOST_RESULT_BYTES:
            yield str(place.parent / "artifact")
            try:
                found = json.loads(place.read_bytes())
            except (ValueError, RecursionError):
                continue
            artifact = found.get("artifact") if isinstance(found, Mapping) else None
            if isinstance(artifact, Mapping) and isinstance(artifact.get("path"), str):
                yield artifact["path"]


def doubt_of_baseline(baseline: str | None) -> str:
    """Why no commit tells which version a registry's name means, or nothing: a digest always means the same."""
    if baseline is None or not baseline.startswith("oci") or not looks_remote(baseline):
        return ""
    try:
        fixed = parse(baseline).digest is not None
    except UsageError:
        fixed = False
    return "" if fixed else f"what {baseline} means may change without a commit"


def _of_policy(policy: str | None) -> list[str]:
    """The policy's file; none where its lines themselves are given."""
    return [policy] if policy and "\n" not in policy and "=" not in policy else []


def _of_wrapper(target: str, model: str) -> tuple[list[str], list[str]]:
    """What the wrapper's code is read from: modules, packages and links beside it, and the folders they lie in."""
    place, _, rest = target.rpartition(":")
    if place == "mlflow":
        around = next((one for one in Path(model).parents if (one / "MLmodel").is_file()), Path(model).parent)
        return [rest or str(around)], []
    if place.endswith(".py"):
        root = Path(place).resolve().parent
        while (root / "__init__.py").is_file() and root.parent != root:
            root = root.parent
        return [place, *_beside(root)], [str(root)]
    top = place.partition(".")[0]
    paths: list[str] = []
    modules: list[str] = []
    for folder in (Path(), Path("src")):
        own = [folder / top, folder / f"{top}.py"]
        paths += map(str, own)
        if any(one.exists() for one in own):
            paths += _beside(folder)
            modules.append(str(folder))
    return paths, modules


def _beside(folder: Path) -> list[str]:
    """Modules, packages and links in a folder."""
    if not folder.is_dir():
        return []
    return [
        str(entry)
        for entry in sorted(folder.iterdir())
        if entry.suffix == ".py" or entry.is_symlink() or (entry / "__init__.py").is_file()
    ]
