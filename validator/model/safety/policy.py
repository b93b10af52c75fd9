"""The allowlist: which names a model file may ask for, and what it may do with each.

The tables are text files beside this module, one for each library, written from the library's own listing over its
supported versions and read by a person. A line is `USES MODULE NAME NAME...`; USES are, joined by `+`: `new`
(constructed without arguments and given a state), `value` (put somewhere as it is), `call=RULE` (called, the
arguments held to a rule of `rules.py`). `NAME@1.1-1.8` tells the library versions that have the name.
"""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from validator.errors import SettingsError
from validator.libraries.known import LIBRARIES, library_named
from validator.model.safety.symbols import Ref

ANY = "any"
NOWHERE = "nowhere"
_UFUNCS = "scipy.special"
#: A library without a table is one of whose names none are allowed.
TABLES = ("builtins", "numpy", "scipy", "pandas", *(library.name for library in LIBRARIES))
# Old and new homes of the same functions: numpy 2 renamed `core`, scipy and joblib moved modules.
_OWN_ROOTS = {
    *TABLES,
    "joblib",
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "pickle",
    "importlib",
    "runpy",
    "pip",
}
_PATTERN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_*?]\w*)*(\.\*)?\Z")


class Entry:
    """What one name is allowed, and in which versions of its library it exists."""

    __slots__ = ("first", "last", "rule", "uses")

    def __init__(self, uses: frozenset[str], rule: str, first: str, last: str) -> None:
        self.uses = uses
        self.rule = rule
        self.first = first
        self.last = last


@lru_cache(maxsize=1)
def table() -> dict[tuple[str, str], Entry]:
    """The whole allowlist by (module, name)."""
    entries: dict[tuple[str, str], Entry] = {}
    for name in TABLES:
        path = Path(__file__).with_name(f"{name}.txt")
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        for key, entry in _parse(text):
            known = entries.get(key, entry)
            entries[key] = Entry(known.uses | entry.uses, known.rule or entry.rule, entry.first, entry.last)
    return entries


def _parse(text: str) -> Iterator[tuple[tuple[str, str], Entry]]:
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        kinds, modules, *names = line.split()
        uses, rule = set(), ""
        for kind in kinds.split("+"):
            use, _, rule_name = kind.partition("=")
            uses.add(use)
            rule = rule_name or rule
        for module in modules.split(","):
            for spelled in names:
                name, _, versions = spelled.partition("@")
                first, _, last = versions.partition("-")
                yield (module, name), Entry(frozenset(uses), rule, first, last)


class Policy:
    """The allowlist plus the patterns by which a user vouches for classes of their own."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self.patterns = tuple(allow)
        for pattern in self.patterns:
            _check_pattern(pattern)

    def permit(self, ref: Ref) -> None:
        """Set the uses and the rule that the global has; none where it is not on the list."""
        # A ufunc knows no module: a pickler names the first loaded one that has it.
        borrowed = ref.module.startswith(("scipy.", "sklearn.")) and (_UFUNCS, ref.name) in table()
        if borrowed and (ref.module, ref.name) not in table():
            ref.module = _UFUNCS
        entry = table().get((ref.module, ref.name)) or table().get((_since_022(ref.module), ref.name))
        if entry is not None:
            ref.uses, ref.rule = entry.uses, entry.rule
        elif self.vouched(ref.module, ref.name):
            ref.uses = frozenset({ANY})

    def vouched(self, module: str, name: str) -> bool:
        """Whether a pattern of the user covers the name. A dotted name could reach what the module imported."""
        if not name.isidentifier() or name.startswith("__"):
            return False
        return any(fnmatchcase(f"{module}.{name}", pattern) for pattern in self.patterns)

    def hint(self, ref: Ref) -> str:
        """What somebody can do whose honest model asks for this name."""
        root = ref.module.partition(".")[0]
        if is_old_sklearn(ref.module):
            return old_sklearn(ref.module)
        if ref.module == "__main__":
            return (
                "It was defined in a notebook or script: move it into a module that is installed where the model "
                "runs, save the model again, and list it under `allow`."
            )
        if ref.module.startswith("scipy.stats"):
            return "Save the fitted model itself (`search.best_estimator_`), not the search with its distributions."
        if ref.module.startswith("joblib.memory"):
            return "Set `memory=None` before saving: a cache on another machine's disk is of no use here."
        if root in _OWN_ROOTS or root in _standard_library():
            return "No honest model needs this. Find out who made the file; do not load it elsewhere."
        return f'If this is your own code, vouch for it in the settings: allow = ["{ref.module}.{ref.name}"].'


# Where scikit-learn 0.22 put the modules whose name it did not merely prefix with an underscore.
_MOVED = {
    "sklearn.ensemble.gradient_boosting": "sklearn.ensemble._gb",
    "sklearn.tree.tree": "sklearn.tree._classes",
    "sklearn.feature_extraction.hashing": "sklearn.feature_extraction._hash",
    "sklearn.decomposition.online_lda": "sklearn.decomposition._lda",
    "sklearn.cluster.hierarchical": "sklearn.cluster._agglomerative",
    "sklearn.cluster.k_means_": "sklearn.cluster._kmeans",
}


def _since_022(module: str) -> str:
    """The place that a module of scikit-learn 0.21 has had since: `sklearn.ensemble.forest` is `…._forest`."""
    package, _, last = module.rpartition(".")
    if not package.startswith("sklearn.") or last.startswith("_"):
        return module
    return _MOVED.get(module, f"{package}._{last.rstrip('_')}")


def leads_nowhere(ref: Ref) -> bool:
    """Whether importing the name fails wherever this program runs, as far as can be known without importing it.

    joblib writes an array of objects as a pickle of its own, whose "the module of entry 7, `dtype`" a plain unpickler
    looks up in the outer memo: it is told to import `steps.dtype`, say, out of the names of a model's attributes.
    """
    if ref.name != "dtype" or not ref.module.isidentifier():
        return False
    loaded = sys.modules.get(ref.module)
    if loaded is not None:
        return ref.name not in vars(loaded)
    return ref.module not in _OWN_ROOTS | _standard_library() | _INSTALLED


def _installed() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules())


def is_old_sklearn(module: str) -> bool:
    """Whether scikit-learn moved this module: since 0.22 all that models come from begin with an underscore."""
    return module.startswith("sklearn.") and "._" not in module and module.count(".") > 1


def old_sklearn(module: str) -> str:
    """What to do about a name that today's scikit-learn has elsewhere or not at all."""
    return (
        f"{module} is of scikit-learn 0.21 or older. Give `python` and `requirements` of that time, so that the "
        "model is judged with the versions it was saved with, or train it anew with a current one."
    )


def versions_of(module: str, name: str) -> tuple[str, str, str]:
    """The distribution and the first and last of its versions that have an allowed name (empty: no bound)."""
    entry = table().get((module, name))
    root = module.partition(".")[0]
    if entry is None:
        return "", "", ""
    library = library_named(root)
    return library.distribution if library else root, entry.first, entry.last


def _standard_library() -> frozenset[str]:
    # Python 3.10 and later list their modules; 3.9 at least knows those that are built in or loaded.
    return getattr(sys, "stdlib_module_names", None) or frozenset(sys.builtin_module_names) | {
        name.partition(".")[0]
        for name, module in sys.modules.items()
        if "site-packages" not in (getattr(module, "__file__", "") or "site-packages")
    }


def _check_pattern(pattern: str) -> None:
    root = pattern.partition(".")[0]
    if not _PATTERN.match(pattern) or "." not in pattern or "*" in root or "?" in root:
        raise SettingsError(
            f"allow = [{pattern!r}] is no usable pattern",
            hint='name a class or a module of your own package: "mypackage.transformers.*"',
        )
    if root in _OWN_ROOTS or root in _standard_library() or root == "__main__":
        raise SettingsError(
            f"allow = [{pattern!r}] would allow names of {root}, which is not your own code",
            hint="only modules of your own package can be vouched for; for anything else there is --trust-pickle",
        )


# Read at import: a worker imports this package before it locks itself down, and can read no file afterwards.
table()
_INSTALLED = _installed()
