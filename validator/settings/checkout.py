"""Paths that a checked-out file names stay inside the checkout.

Whoever opens a pull request writes the configuration and makes the links in the checkout: neither may lead to a file
of the machine, whose content a message could show, nor let results be written elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from validator.errors import SettingsError, UsageError
from validator.paths import is_there
from validator.settings.values import split, split_requirements

#: Git's own folder lies in the checkout and is no part of it: its configuration may hold the job's token.
_GIT = frozenset({".git", "git~1"})


def checkout_of(environ: Mapping[str, str], folder: Path) -> Path | None:
    """The checkout of a CI job that started here; None on a machine of one's own."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return Path(environ.get("GITHUB_WORKSPACE") or folder)
    if environ.get("CI") == "true":
        return Path(environ.get("CI_PROJECT_DIR") or folder)
    return None


def why_outside(path: str | Path, checkout: Path) -> str:
    """Why what lies at the path is no part of the checkout, or nothing. Links are followed."""
    root = Path(os.path.realpath(checkout))
    try:
        real = Path(os.path.realpath(path))
    except (OSError, ValueError):
        return "is no path"
    if not real.is_relative_to(root):
        return "leads out of the checkout"
    # A file system that ignores case, or keeps short names, finds it under these as well.
    if not _GIT.isdisjoint(part.casefold() for part in real.relative_to(root).parts):
        return "lies in Git's own folder"
    return ""


def refuse_outside(values: Mapping[str, Any], file: Path, folder: Path, checkout: Path) -> None:
    """Raise SettingsError for a path among a file's values that is no part of the checkout, the file's own too."""
    if why_outside(file, checkout):
        raise SettingsError(
            f"{file} {why_outside(file, checkout)}", hint="put the configuration itself into the checkout"
        )
    for name, path in _paths(values, folder):
        reason = why_outside(folder / path, checkout)
        if reason:
            raise SettingsError(
                f"{file.name}: {name} = {str(path)[:200]!r} {reason}",
                hint=f"name a file of the checkout; another one can be given as the flag or action input {name!r}",
            )


def refuse_links(out: Path, checkout: Path) -> None:
    """Raise UsageError where a link on the way to the output folder would lead results elsewhere."""
    here = Path(os.path.abspath(out))  # noqa: PTH100 - resolving would follow the link that is looked for
    root = Path(os.path.abspath(checkout))  # noqa: PTH100
    if not here.is_relative_to(root):
        return
    for place in (here, *here.parents):
        if place == root:
            break
        if place.is_symlink():
            raise UsageError(
                f"the output folder {out} would be written through the link {place.relative_to(root)}",
                hint="remove the link from the checkout, or choose another folder with --out",
            )
    if here == root or why_outside(here, root):
        raise UsageError(
            f"the output folder {out} is the checkout itself, or Git's",
            hint="choose another folder with --out",
        )


def _paths(values: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    """Each path in a file's values, with the setting's name."""
    for name in ("data", "reference", "onnx", "out", "model"):
        found = split(values.get(name) or ())
        for path in found if isinstance(found, (list, tuple)) else ():
            yield name, str(path)
    baseline = values.get("baseline")
    # A Git reference is no path; what looks like a path is one, there or not.
    if isinstance(baseline, str) and (is_there(folder / baseline) or baseline.startswith((".", "/", "~"))):
        yield "baseline", baseline
    elif isinstance(baseline, str) and not baseline.startswith("oci://"):
        # The folder of an OCI layout: what precedes a tag or digest may be a link.
        bare = baseline.removeprefix("oci:")
        untagged = bare.rpartition("@")[0] or bare
        for path in (bare, untagged, untagged.rpartition(":")[0]):
            if path and (bare != baseline or is_there(folder / path)):
                yield "baseline", path
    wrapper = values.get("wrapper")
    if isinstance(wrapper, str):
        place, _, rest = wrapper.rpartition(":")
        if place == "mlflow" or place.endswith(".py"):
            yield "wrapper", rest if place == "mlflow" else place
    items = split_requirements(values.get("requirements") or ())
    for item in items if isinstance(items, (list, tuple)) else ():
        if is_there(folder / str(item)) or str(item).startswith((".", "/")):
            yield "requirements", str(item)
    entries = values.get("models")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, Mapping):
            yield from _paths(entry, folder)
