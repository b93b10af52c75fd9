"""Which names in the repository decide a verdict: the one answer for `only-changed` and for the trust in a
fork's result.

A path that a run reads may lead through symbolic links and submodules. Each name on that way decides: the
link's own, its target's, and whatever lies above or below one of them. Names are those that Git and GitHub use,
relative to the top of the repository. What decides and is no part of the judged commit (made by an earlier
step, taken from elsewhere, not what the commit holds) cannot be seen in a list of changed names: then there is
a doubt, and in doubt a model is judged.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from validator.github.checkout import Checkout, DoubtError

#: A change of these can change what is judged or how, whatever the model: by name, and by folder.
GOVERNING_NAMES = frozenset({"preflight.toml", "pyproject.toml", "action.yml", "action.yaml"})
GOVERNING_FOLDERS = (".github/",)
#: These decide which bytes a checkout puts under a name.
CHECKOUT_NAMES = frozenset({".gitattributes", ".gitmodules", ".lfsconfig"})
_MOST_HOPS = 40
_MOST_ENTRIES = 20_000
#: What running Python leaves in a folder.
_LEFT_BEHIND = frozenset({"__pycache__"})


@dataclass(frozen=True, kw_only=True)
class Names:
    """`files` decide themselves, with what lies above and below; of `modules`, folders, every Python file does.

    `doubt` says why that may not be all of it; it is empty where it is.
    """

    files: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    doubt: str = ""

    def __or__(self, other: Names) -> Names:
        return Names(
            files=self.files | other.files,
            modules=self.modules | other.modules,
            doubt=self.doubt or other.doubt,
        )

    def meets(self, changed: Iterable[str]) -> str:
        """The first changed name that may decide, or nothing."""
        return next((name for name in sorted(changed) if self._decides(name)), "")

    def _decides(self, name: str) -> bool:
        above = {str(parent) for parent in PurePosixPath(name).parents} | {name}
        if self.files & above or any(one.startswith(f"{name}/") for one in self.files | self.modules):
            return True
        return bool(self.modules & above) and (name in self.modules or name.endswith((".py", ".pyi", ".pth")))


def is_governing(name: str) -> bool:
    """Whether the file decides what is judged and by which rules: a workflow, an action, our settings."""
    return (
        name.startswith(GOVERNING_FOLDERS) or PurePosixPath(name).name in GOVERNING_NAMES or name == ".github"
    )


def is_of_checkout(name: str) -> bool:
    """Whether the file decides what a checkout makes of other files."""
    return PurePosixPath(name).name in CHECKOUT_NAMES


@dataclass(kw_only=True)
class Deciding:
    """Finds the names of what a run reads, in one checkout. `content` false: whatever their content, names alone."""

    checkout: Checkout
    content: bool = True
    _seen: dict[str, Names] = field(default_factory=dict)

    def names(self, paths: Iterable[str], modules: Iterable[str] = ()) -> Names:
        """The names of all the paths, which need not exist, and of folders of Python modules."""
        found = Names()
        for path in paths:
            found |= self._of(path)
        for folder in modules:
            found |= self._of_modules(folder)
        return found

    def _of_modules(self, folder: str) -> Names:
        try:
            way = list(self._way(folder))
        except DoubtError as error:
            return Names(doubt=str(error))
        return Names(files=frozenset(way[:-1]), modules=frozenset(way[-1:]))

    def _of(self, path: str) -> Names:
        if path not in self._seen:
            self._seen[path] = self._look(path)
        return self._seen[path]

    def _look(self, path: str) -> Names:
        """The names on the way to the path, and to what the links below it lead to; the doubt about their content."""
        files: set[str] = set()
        try:
            waiting = [path]
            done: set[str] = set()
            while waiting:
                way = list(self._way(waiting.pop()))
                files.update(way)
                if not way or way[-1] in done:
                    continue
                done.add(way[-1])
                for inside, is_link in self._below(way[-1]):
                    if is_link:
                        waiting.append(str(self.checkout.top / inside))
                    else:
                        self._check(inside)
        except DoubtError as error:
            return Names(files=frozenset(files), doubt=str(error))
        return Names(files=frozenset(files))

    def _check(self, name: str) -> None:
        if self.content:
            self.checkout.check(name)

    def _way(self, path: str) -> Iterator[str]:
        """Names of the links on the way to a path, in their order, and last of what it leads to."""
        waiting = list(reversed(Path(self.checkout.here, path).parts[1:]))
        place, hops = Path("/"), 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                place = place.parent
                continue
            step = place / part
            if not self.checkout.holds(step) or not step.is_symlink():
                place = step
                continue
            hops += 1
            if hops > _MOST_HOPS:
                raise DoubtError(f"{path} leads through more than {_MOST_HOPS} links")
            name = self.checkout.name_of(step)
            self._check(name)
            yield name
            target = step.readlink()
            place = Path("/") if target.is_absolute() else place
            waiting.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
        if self.checkout.holds(place) or os.path.lexists(
            place
        ):  # what is nowhere, and outside, decides nothing
            yield self.checkout.name_of(place)

    def _below(self, name: str) -> Iterator[tuple[str, bool]]:
        """Files and links at or below a name, and whether each is a link; nothing where there is nothing."""
        whole = self.checkout.top / name
        if not whole.is_dir():
            if whole.exists():
                yield name, False
            elif self.content and self.checkout.has(name):
                raise DoubtError(f"{name} is in the commit, but not in the checkout")
            return
        count = 0
        for folder, folders, files in os.walk(whole):
            folders[:] = [one for one in folders if one not in _LEFT_BEHIND and one != ".git"]
            for one in [*files, *(one for one in folders if Path(folder, one).is_symlink())]:
                count += 1
                if count > _MOST_ENTRIES:
                    raise DoubtError(f"{name} holds more than {_MOST_ENTRIES} files")
                if one != ".git":
                    yield self.checkout.name_of(Path(folder, one)), Path(folder, one).is_symlink()
