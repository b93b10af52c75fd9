"""What stands on the symbolic stack in place of real objects.

Numbers, short texts and short bytes stand for themselves, Python lists for lists and tuples for tuples; the rest
is one of the classes here. Nothing here is ever hashed or compared by what a file says, so nothing can run.
"""

from __future__ import annotations

from typing import Any

#: Classes of dictionaries; of some the keys are attributes as well.
DICT_LIKE = frozenset({
    "sklearn.utils.Bunch", "sklearn.utils._bunch.Bunch", "sklearn.utils._encode._nandict",
    "sklearn.covariance._graph_lasso._DictWithDeprecatedKeys",
})  # fmt: skip


class Ref:
    """A global that the file asks for: a class, function or constant of a module."""

    __slots__ = ("module", "name", "offset", "opcode", "reported", "rule", "uses")

    def __init__(self, module: str, name: str, offset: int, opcode: str) -> None:
        self.module = module
        self.name = name
        self.offset = offset
        self.opcode = opcode
        self.uses: frozenset[str] = frozenset()
        self.rule = ""
        self.reported = False

    @property
    def path(self) -> str:
        return f"{self.module}.{self.name}"


class Raw:
    """A long text or run of bytes, as the place where it lies in the stream."""

    __slots__ = ("end", "kind", "source", "start")

    def __init__(self, source: bytes, start: int, end: int, kind: str) -> None:
        self.source = source
        self.start = start
        self.end = end
        self.kind = kind

    def __len__(self) -> int:
        return self.end - self.start

    def content(self) -> bytes:
        """The bytes themselves (of a text, its UTF-8 form)."""
        return self.source[self.start : self.end]


class Obj:
    """An instance that a call made: its class path, how a BUILD may fill it, and which items it takes.

    `build` names a rule of `rules.py` (empty: no BUILD at all); `items` is `list`, `dict`, or empty. `detail` is what
    a rule wants to know of it later; `full` says that its state was set, after which nothing may be added; `again` is
    the rule of a second BUILD, which an unpickler carries out though no pickler writes it.
    """

    __slots__ = ("again", "build", "detail", "full", "items", "path")

    def __init__(self, path: str, build: str = "", items: str = "", detail: Any = None) -> None:
        self.path = path
        self.build = build
        self.items = items
        self.detail = detail
        self.full = False
        self.again = build


class Map:
    """A dictionary: keys and values in turn, in the order of writing."""

    __slots__ = ("flat",)

    def __init__(self, flat: list[Any]) -> None:
        self.flat = flat

    def pairs(self) -> list[tuple[Any, Any]]:
        return list(zip(self.flat[::2], self.flat[1::2]))  # noqa: B905 - Python 3.9

    def get(self, key: str) -> Any:
        """The last value written under a text key, or None."""
        found = None
        for name, value in self.pairs():
            if type(name) is str and name == key:
                found = value
        return found


class Bag:
    """A set or frozenset, and what is in it."""

    __slots__ = ("items", "kind")

    def __init__(self, kind: str, items: list[Any]) -> None:
        self.kind = kind
        self.items = items


class Nest(tuple[Any, ...]):
    """A tuple that holds tuples or globals: `depth` levels of tuples, `refs` the globals anywhere in it."""

    depth: int
    refs: tuple[Ref, ...]


_DEEP = frozenset((Ref, Nest, tuple))


def make_tuple(items: list[Any], most: int) -> tuple[Any, ...] | None:
    """A symbolic tuple of the items; None if it is nested more than `most` deep."""
    if _DEEP.isdisjoint(map(type, items)):
        return tuple(items)
    depth, refs = 1, []
    for item in items:
        kind = type(item)
        if kind is Ref:
            refs.append(item)
        elif kind is Nest:
            depth = max(depth, item.depth + 1)
            refs.extend(item.refs)
        elif kind is tuple:
            depth = max(depth, 2)
    if depth > most or len(refs) > most:
        return None
    nest = Nest(items)
    nest.depth, nest.refs = depth, tuple(refs)
    return nest


def refs_in(value: Any) -> tuple[Ref, ...]:
    """The globals that a value brings into whatever takes it (lists and dictionaries checked theirs already)."""
    kind = type(value)
    if kind is Ref:
        return (value,)
    return value.refs if kind is Nest else ()


_NEVER_CALLED = (
    "numpy.", "joblib.", "builtins.", "collections.", "datetime.", "decimal.", "pandas.", "scipy.sparse.",
)  # fmt: skip


def may_be_called(value: Any) -> bool:
    """Whether the real object may be a class, a function, or an instance that can be called."""
    return type(value) is Ref or (type(value) is Obj and not value.path.startswith(_NEVER_CALLED))


def class_of(value: Any) -> str:
    """The path of the class that the real object would have, as far as it is known."""
    if isinstance(value, Obj):
        return value.path
    if isinstance(value, Raw):
        return f"builtins.{value.kind}"
    if isinstance(value, Map):
        return "builtins.dict"
    if isinstance(value, Bag):
        return f"builtins.{value.kind}"
    if isinstance(value, tuple):
        return "builtins.tuple"
    return f"builtins.{type(value).__name__}"


def preview(value: Any, *, longest: int = 60) -> str:
    """A short printable picture of an argument, for the report."""
    if isinstance(value, Ref):
        text = value.path
    elif isinstance(value, (Obj, Raw, Map, Bag)):
        text = f"<{class_of(value)}>"
    elif isinstance(value, tuple) and not isinstance(value, Nest):
        text = "(" + ", ".join(preview(item, longest=20) for item in value[:4]) + ")"
    elif isinstance(value, (list, tuple)):
        text = f"<{class_of(value)} of {len(value)}>"
    else:
        text = repr(value) if not isinstance(value, str) or len(value) < 1000 else repr(value[:1000])
    text = "".join(character if character.isprintable() else "?" for character in text)
    return text if len(text) <= longest else text[: longest - 1] + "…"
