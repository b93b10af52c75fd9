"""`registry`: versions of a model, what was in production when, and how to get back to it."""

from __future__ import annotations

import argparse
import getpass
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator.cli import registry_view as view
from validator.cli.actions import add_actions, add_json
from validator.errors import Exit, UsageError

if TYPE_CHECKING:
    from validator.registry.promoting import Promoted, Why
    from validator.registry.reference import Reference
    from validator.registry.store import Repository

_ACTIONS = {
    "push": "store the artifact of a run that passed",
    "list": "the versions of a model, and which of them aliases name",
    "show": "one version in full",
    "pull": "write a version's artifact to a folder",
    "promote": "let an alias name a version: this is what is in production from now on",
    "rollback": "let an alias name again what it named before",
    "history": "what an alias named when, by whom, and why",
    "prune": "remove old versions; never one that an alias names",
}
EPILOG = """NAME is a model's name, kept in the folder registry/NAME; with --registry BASE
in BASE/NAME; or a whole reference: oci://HOST/REPOSITORY, or a folder's path.
Where one version is meant, :TAG or @sha256:... follows it.

exit codes:
  0  done
  1  refused: it did not pass, is not signed, is another model's, or somebody
     else moved the alias
  2  unable: bad usage, not there, damaged, or the registry does not answer
"""
#: Where models are kept when nothing else is said, and the variable that says it.
DEFAULT, VARIABLE = "registry", "MODEL_PREFLIGHT_REGISTRY"
_NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,79})((?::[^/@]+)?(?:@[^/]+)?)")
_AGE = re.compile(r"([0-9]{1,5})([dhw])")
_HOURS = {"h": 1, "d": 24, "w": 168}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions and their flags."""
    for name, sub in add_actions(parser, _ACTIONS, EPILOG):
        _ADD[name](sub)
        sub.add_argument(
            "--registry", metavar="BASE", help=f"folder or address of all models (default: {DEFAULT})"
        )
        sub.add_argument("--username", metavar="NAME", help="name at the registry (default: docker login's)")
        sub.add_argument(
            "--password-file", metavar="FILE", help="file with the password, or token, of that name"
        )
        sub.add_argument(
            "--token-file", metavar="FILE", help="file with a bearer token of the registry's own"
        )
        add_json(sub, "what was done or found as JSON")


def _add_push(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("artifact", metavar="ARTIFACT", help="the folder that a passing run wrote")
    sub.add_argument("name", nargs="?", metavar="NAME", help="where to (default: the model's own name)")
    _add_key(sub)


def _add_list(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "name", nargs="?", metavar="NAME", help="the model; without, those of the folder are named"
    )
    sub.add_argument(
        "--limit", type=_whole, default=20, metavar="N", help="newest versions to show (default: 20)"
    )
    sub.add_argument("--all", action="store_true", default=None, help="all versions, without their digests")


def _add_show(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the version (default: champion)")


def _add_pull(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the version (default: champion)")
    sub.add_argument(
        "-o", "--output", metavar="DIR", help="the folder to write (default: the version's name)"
    )
    _add_key(sub)


def _add_promote(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the model")
    sub.add_argument("version", metavar="VERSION", help="v_..., another alias, or sha256:...")
    _add_move(sub)


def _add_rollback(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the model")
    _add_move(sub)


def _add_move(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--to", dest="alias", default="champion", metavar="ALIAS", help="the alias (default: champion)"
    )
    sub.add_argument("--reason", metavar="TEXT", help="for the history")
    sub.add_argument(
        "--url", metavar="URL", help="for the history (default, in a GitHub job: the run's page)"
    )
    sub.add_argument(
        "--environment", metavar="NAME", help="of the GitHub deployment (default: production, or the alias)"
    )
    sub.add_argument("--no-deployment", action="store_true", default=None, help="make no GitHub deployment")
    _add_key(sub)


def _add_history(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the model")
    sub.add_argument(
        "--to", dest="alias", default="champion", metavar="ALIAS", help="the alias (default: champion)"
    )
    sub.add_argument(
        "--limit", type=_whole, default=20, metavar="N", help="newest entries to show (default: 20)"
    )


def _add_prune(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("name", metavar="NAME", help="the model")
    sub.add_argument(
        "--keep", type=_whole, default=20, metavar="N", help="newest versions that stay (default: 20)"
    )
    sub.add_argument(
        "--keep-promoted", type=_whole, default=5, metavar="N", help="last promotions that stay (default: 5)"
    )
    sub.add_argument("--older-than", metavar="AGE", help="younger versions stay: 90d, 12w, 36h")
    sub.add_argument("--yes", action="store_true", default=None, help="remove; without, it is only shown")


def _add_key(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--verify-key", metavar="FILE", type=Path, help="public key (PEM) that must have signed it"
    )


_ADD = {
    "push": _add_push, "list": _add_list, "show": _add_show, "pull": _add_pull, "promote": _add_promote,
    "rollback": _add_rollback, "history": _add_history, "prune": _add_prune,
}  # fmt: skip


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def run(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    """Do what was asked. Returns an exit code."""
    return _RUN[flags["action"]](flags, environ)


@contextmanager
def _opened(
    flags: Mapping[str, Any], environ: Mapping[str, str], place: Reference, *, writes: bool = False
) -> Iterator[Repository]:
    from validator.registry.opening import opened
    from validator.registry.remote.credentials import from_flags

    given = [flags.get(name) for name in ("username", "password_file", "token_file")]
    with opened(place, environ, credentials=from_flags(*given), writes=writes) as repository:
        yield repository


def place_of(text: str, base: str) -> Reference:
    """What NAME means. Raises UsageError for what is none."""
    from validator.registry.reference import Reference, looks_remote, parse

    match = _NAME.fullmatch(text)
    if match is None or looks_remote(text) or text.startswith("oci:"):
        return parse(text)
    name, wanted = match[1], parse(f"./x{match[2]}")
    if _is_remote(base):
        return parse(f"{base.rstrip('/')}/{name.lower()}{match[2]}")
    folder = Path(base.removeprefix("oci:")) / name
    return Reference(folder=folder, tag=wanted.tag, digest=wanted.digest)


def _is_remote(base: str) -> bool:
    """Whether models are kept in a registry rather than a folder. A folder that is there comes first."""
    from validator.registry.reference import looks_remote, parse

    if "://" in base:
        scheme, _, rest = base.partition("://")
        parse(f"{scheme}://{rest.strip('/')}/x")  # refuses what is no registry
        return True
    return not base.startswith("oci:") and not Path(base).is_dir() and looks_remote(f"{base.rstrip('/')}/x")


def _base(flags: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    return str(flags.get("registry") or environ.get(VARIABLE, "").strip() or DEFAULT)


def _place(flags: Mapping[str, Any], environ: Mapping[str, str], *, one: bool = False) -> Reference:
    """The repository that is meant; with `one` a version of it, the champion by default."""
    place = place_of(flags["name"], _base(flags, environ))
    if not one and place.wanted is not None:
        raise UsageError(
            f"{flags['name'][:200]} names one version",
            hint=f"give {place.address}: the command is about all of them",
        )
    return place


def _key(flags: Mapping[str, Any]) -> Path | None:
    """The public key's file. Raises UsageError where it cannot be read: that says nothing of a version."""
    key: Path | None = flags.get("verify_key")
    if key is None:
        return None
    try:
        with key.open("rb"):
            return key
    except OSError as error:
        raise UsageError(
            f"--verify-key: {key} cannot be read: {error.strerror}", hint="check the path"
        ) from error


def _push(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.artifact.read import read_artifact
    from validator.artifact.write import safe_name
    from validator.registry.pushing import push

    folder = Path(flags["artifact"])
    name = flags.get("name") or safe_name(str(read_artifact(folder).manifest["model"].get("name", "")))
    place = _place({**flags, "name": name}, environ)
    with _opened(flags, environ, place, writes=True) as repository:
        view.pushed(push(repository, folder, verify_key=_key(flags)), repository.name, flags)
    return Exit.PASSED


def _list(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.listing import listing

    if flags.get("name") is None:
        return _models(_base(flags, environ), flags)
    with _opened(flags, environ, _place(flags, environ)) as repository:
        view.listed(
            listing(repository, limit=None if flags.get("all") else flags["limit"]), repository.name, flags
        )
    return Exit.PASSED


def _models(base: str, flags: Mapping[str, Any]) -> int:
    """The models of a folder. Registries have no list of them that everybody may read."""
    from validator.registry.listing import listing
    from validator.registry.opening import models_in

    if _is_remote(base):
        raise UsageError(
            f"{base[:200]} does not tell which models it has", hint="name one: registry list NAME"
        )
    view.models(
        [(repository.name, listing(repository, limit=0)) for repository in models_in(Path(base))], base, flags
    )
    return Exit.PASSED


def _show(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.listing import shown
    from validator.registry.opening import CHAMPION

    place = _place(flags, environ, one=True)
    with _opened(flags, environ, place) as repository:
        view.shown(shown(repository, place.wanted or CHAMPION), flags)
    return Exit.PASSED


def _pull(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.opening import CHAMPION
    from validator.registry.pulling import pull

    place = _place(flags, environ, one=True)
    target = Path(flags["output"]) if flags.get("output") else None
    with _opened(flags, environ, place) as repository:
        found = pull(repository, place.wanted or CHAMPION, target, verify_key=_key(flags))
    view.pulled(found, flags)
    return Exit.PASSED


def _promote(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.promoting import promote

    with _opened(flags, environ, _place(flags, environ), writes=True) as repository:
        done = promote(
            repository,
            flags["version"],
            _why(flags, environ),
            alias=flags["alias"],
            verify_key=_key(flags),
        )
        return _moved(done, repository, flags, environ)


def _rollback(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.promoting import rollback

    with _opened(flags, environ, _place(flags, environ), writes=True) as repository:
        done = rollback(repository, _why(flags, environ), alias=flags["alias"], verify_key=_key(flags))
        return _moved(done, repository, flags, environ)


def _moved(
    done: Promoted, repository: Repository, flags: Mapping[str, Any], environ: Mapping[str, str]
) -> int:
    from validator.cli.registry_github import tell_of_promotion

    view.moved(done, repository.name, flags)
    tell_of_promotion(done, flags, environ)
    return Exit.PASSED


def _why(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Why:
    from validator.registry.promoting import Why

    url = flags.get("url") or ""
    if url and not re.fullmatch(r"https?://[\x21-\x7e]{1,400}", url):
        raise UsageError(f"--url {url[:80]!r} is no address", hint="give one that begins with https://")
    return Why(
        by=environ.get("GITHUB_ACTOR") or _user(),
        reason=flags.get("reason") or "",
        url=url or _run_url(environ),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def _run_url(environ: Mapping[str, str]) -> str:
    parts = [environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")]
    return f"{parts[0]}/{parts[1]}/actions/runs/{parts[2]}" if all(parts) else ""


def _history(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.history import missing, record_tags, records, told
    from validator.registry.promoting import check_alias

    check_alias(flags["alias"])
    with _opened(flags, environ, _place(flags, environ)) as repository:
        tags = record_tags(repository.tags(), flags["alias"])
        newest = tags[len(tags) - min(len(tags), flags["limit"]) :]
        current = repository.find(flags["alias"])
        found = records(repository, newest)
        gone = missing(found, newest, tags)
        view.history(told(found, current), current, len(tags), gone, repository.name, flags)
    return Exit.PASSED


def _prune(flags: Mapping[str, Any], environ: Mapping[str, str]) -> int:
    from validator.registry.pruning import plan, remove

    before = _before(flags.get("older_than"))
    with _opened(flags, environ, _place(flags, environ), writes=bool(flags.get("yes"))) as repository:
        planned = plan(repository, keep=flags["keep"], keep_promoted=flags["keep_promoted"], before=before)
        gone = remove(repository, planned) if flags.get("yes") else None
        view.pruned(planned, gone, repository.name, flags)
    return Exit.PASSED


def _before(age: str | None) -> str | None:
    if age is None:
        return None
    match = _AGE.fullmatch(age)
    if match is None:
        raise UsageError(
            f"--older-than {age[:40]!r} is no age", hint="give a number and h, d or w, such as 90d"
        )
    return f"{datetime.now(UTC) - timedelta(hours=int(match[1]) * _HOURS[match[2]]):%Y-%m-%dT%H:%M:%SZ}"


_RUN = {
    "push": _push, "list": _list, "show": _show, "pull": _pull, "promote": _promote,
    "rollback": _rollback, "history": _history, "prune": _prune,
}  # fmt: skip
