"""Runs of objects of one shape, the trees of a forest say: the first is judged at length, the rest by their shape.

A forest of 20,000 trees spells the same few hundred instructions 20,000 times, with other numbers. What the machine
decides about an object follows from its instructions alone, so an object whose bytes are those of one that was judged
already, but for places where no rule looks, needs no second judgement. Those places are

- numbers that stand directly as attributes in the dictionary of a BUILD: `rules.py` and `values.py` look at the names
  and types there, and every spelling accepted here is an integer (or a float, where one stood);
- the bytes of an array or of a NumPy scalar: `rules_numpy.py` looks at their length, which is part of the shape.

Whatever else varies, sizes among it, is the `key`: an object with a key that was not judged yet takes the long way.
Nothing outside of such an object may be changed by it (its instructions fill only what they made themselves), and
nothing outside may name its inner parts: a stream that does so later is read anew, without this. An object that was
not in the model before, a name that is asked for, an array behind the stream or anything noted in the log makes no
shape. So the long way would have found the same, and tests/hostile/test_runs.py holds both to it on mutated files.

The objects are built by an unpickler from bytes that are written here, of instructions in `_COPIED` and `_SPELLED`
alone: none asks for a name, and what they refer to outside is handed in as objects. What varies between the objects
of a file reaches it as numbers and as contents of bytes only, behind a length that was matched.
"""

from __future__ import annotations

import io
import pickle
import re
import struct
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from validator.model.safety import opcodes
from validator.model.safety.opcodes import NAMES
from validator.model.safety.symbols import Obj, Ref

if TYPE_CHECKING:
    from validator.model.safety.findings import Log
    from validator.model.safety.machine import Machine

_MOST_SHAPES = 16
_MOST_TRIES = 64
_LONGEST = 1 << 16
"""bytes of instructions in a shape, and of an object that is worth one"""
_AT_ONCE = 1 << 20
"""bytes of the file that are built from in one go"""
_INT, _FLOAT, _BYTES = rb"(K.|M..|J....)", rb"(G.{8})", rb"(C.|B....)"
_SHORT = 34
"""bytes of an instruction that has its length in the shape"""
_FRAME = 9
"""bytes of the instruction that begins a frame"""
_BYTEARRAY = rb"(\x96.{8})"
_SPELLED = {
    "BININT1": _INT, "BININT2": _INT, "BININT": _INT, "BINFLOAT": _FLOAT,
    "SHORT_BINBYTES": _BYTES, "BINBYTES": _BYTES, "BYTEARRAY8": _BYTEARRAY,
}  # fmt: skip
_WITH_BYTES = frozenset(("SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PLAIN = frozenset((
    "NONE", "NEWTRUE", "NEWFALSE", "SHORT_BINUNICODE", "BINUNICODE", "EMPTY_TUPLE", "EMPTY_LIST", "LONG1",
))  # fmt: skip
_COPIED = _PLAIN | frozenset((
    "EMPTY_DICT", "MARK", "TUPLE", *_TUPLES, "SETITEM", "SETITEMS", "APPEND", "APPENDS", "REDUCE", "NEWOBJ", "BUILD",
))  # fmt: skip
_GETS = frozenset(("BINGET", "LONG_BINGET"))
Match = tuple[Any, bytes, int]


class ReadAgainError(Exception):
    """The stream names a part of an object that was known by its shape: it must be read without shapes."""


class _NoShapeError(Exception):
    """The object has something that is judged at length each time."""


class Edge:
    """Where an object may begin: the height of the stack and what the log held."""

    __slots__ = ("frame", "height", "memo", "noted", "position")

    def __init__(self, machine: Machine) -> None:
        self.height = len(machine.stack)
        self.position = machine.position
        self.memo = machine.entries()
        self.frame = machine.frame_end
        self.noted = _noted(machine.log)


def _noted(log: Log) -> tuple[int, ...]:
    return log.inline_arrays, len(log.embedded), len(log.keyed), len(log.findings)


class Piece:
    """A stretch of instructions up to a run of bytes, or to the end.

    `pattern` finds it, `form % groups` writes it anew, `key` picks what is judged out of its groups; `has_bytes` says
    that bytes follow, as many as the last group tells, and `judged` that these are part of the key.
    """

    __slots__ = ("form", "has_bytes", "judged", "key", "pattern")

    def __init__(
        self, spelled: bytes, form: bytes, keyed: list[int], *, has_bytes: bool, judged: bool
    ) -> None:
        self.pattern = re.compile(spelled, re.DOTALL)
        self.form = form
        self.key: Callable[[Any], Any] | None = itemgetter(*keyed) if keyed else None
        self.has_bytes = has_bytes
        self.judged = judged


class Shape:
    """The instructions of an object, and with which keys it was judged."""

    def __init__(self, machine: Machine, edge: Edge) -> None:
        self.depth = len(machine.marks)
        self.model = machine.stack[-1]
        if not _is_simple(self.model):
            raise _NoShapeError
        trace = _Trace(machine, edge)
        self.pieces = trace.pieces()
        self.instructions = trace.count
        self.entries = machine.entries() - edge.memo
        self.result = next(
            (at for at in range(self.entries) if machine.memo[edge.memo + at] is self.model), -1
        )
        self.outside: list[Any] = list(trace.outside.values())
        self.judged: set[Any] = set()

    def match(self, data: bytes, position: int, end: int) -> Match | None:
        """The key, what builds it, and the end of an object of this shape that starts there and ends before `end`."""
        key, code = [], []
        for piece in self.pieces:
            found = piece.pattern.match(data, position, end)
            if found is None:
                return None
            groups = found.groups()
            position = found.end()
            code.append(piece.form % groups)
            if piece.key is not None:
                key.append(piece.key(groups))
            if piece.has_bytes:
                start = position
                position += int.from_bytes(groups[-1][1:], "little")
                if position >= end:
                    return None
                code.append(data[start:position])
                if piece.judged:
                    key.append(code[-1])
        return (tuple(key), b"".join(code), position) if position < end else None

    def another(self) -> Any:
        """A symbol like that of the first object of this shape."""
        if type(self.model) is list:
            return list(self.model)  # whose items nothing can name
        return _another(self.model)


def _is_simple(symbol: Any) -> bool:
    if type(symbol) is list:
        return 0 < len(symbol) < 100 and all(type(item) is Obj and _is_simple(item) for item in symbol)
    return type(symbol) is Obj and symbol.detail is None and not symbol.build


def _another(model: Obj) -> Obj:
    made = Obj(model.path, model.build, model.items)
    made.full, made.again = model.full, model.again
    return made


class _Values(list[Any]):
    """The values of a dictionary, or of a tuple, on the stack of a trace; only what the object made itself."""

    __slots__ = ("is_tuple",)

    def __init__(self, items: list[Any], *, is_tuple: bool = False) -> None:
        super().__init__(items)
        self.is_tuple = is_tuple


class _Trace:
    """Follows the instructions of an object once more, to tell which numbers and bytes no rule looks at.

    On its stack an integer stands for the instruction that pushed a number or bytes, a Ref for itself, and anything
    without interest is None. Raises _NoShapeError for what is outside of `_COPIED`, and for what reaches outside.
    """

    def __init__(self, machine: Machine, edge: Edge) -> None:
        self.machine = machine
        self.base = edge.memo
        self.count = 0
        self.outside: dict[int, Any] = {}
        self.free: set[int] = set()
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.spelled: list[tuple[str, int, int]] = []
        position, end = edge.position, machine.position
        while position < end:
            code = machine.data[position]
            start, stop = opcodes.argument(machine.data, position + 1, code)
            self._follow(NAMES[code], start, stop)
            self.spelled.append((NAMES[code], position, stop))
            position = stop
            self.count += 1
        if position != end or len(self.stack) != 1 or self.marks:
            raise _NoShapeError

    def _follow(self, name: str, start: int, stop: int) -> None:
        stack = self.stack
        if name in _SPELLED:
            stack.append(len(self.spelled))
        elif name == "MEMOIZE":
            stack.append(self._pop())
        elif name in _GETS:
            stack.append(self._get(int.from_bytes(self.machine.data[start:stop], "little")))
        elif name == "EMPTY_DICT":
            stack.append(_Values([]))
        elif name in _PLAIN:
            stack.append("own" if name == "EMPTY_LIST" else None)
        elif name == "MARK":
            self.marks.append(stack)
            self.stack = []
        elif name in _COPIED:
            self._act(name)
        else:
            raise _NoShapeError

    def _act(self, name: str) -> None:
        if name == "TUPLE":
            made = self._marked()
            self.stack.append(_Values(made, is_tuple=True))
        elif name in _TUPLES:
            items = [self._pop() for _ in range(_TUPLES[name])]
            self.stack.append(_Values(items[::-1], is_tuple=True))
        elif name in ("SETITEM", "SETITEMS"):
            items = [self._pop(), self._pop()][::-1] if name == "SETITEM" else self._marked()
            target = self._own()
            if isinstance(target, _Values):
                target.extend(items[1::2])
        elif name in ("APPEND", "APPENDS"):
            self._pop() if name == "APPEND" else self._marked()
            self._own()
        else:
            self._make(name)

    def _make(self, name: str) -> None:
        given = self._pop()
        if name == "BUILD":
            target = self._own()
            if isinstance(given, _Values) and not given.is_tuple:
                self.free.update(item for item in given if type(item) is int)
            elif isinstance(given, _Values) and target == "array":
                self.free.update(item for item in given[-1:] if type(item) is int and self._holds_bytes(item))
            return
        function = self._pop()
        rule = function.rule if name == "REDUCE" and type(function) is Ref else ""
        at = {"frombuffer": 0, "scalar": 1}.get(rule)
        if at is not None and isinstance(given, _Values) and len(given) > at:
            self.free.update(
                item for item in given[at : at + 1] if type(item) is int and self._holds_bytes(item)
            )
        self.stack.append("array" if rule == "reconstruct" else "own")

    def _holds_bytes(self, item: int) -> bool:
        return self.spelled[item][0] in _WITH_BYTES

    def _pop(self) -> Any:
        if not self.stack:
            raise _NoShapeError
        return self.stack.pop()

    def _marked(self) -> list[Any]:
        if not self.marks:
            raise _NoShapeError
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _own(self) -> Any:
        """What is filled: something that the object made itself."""
        target = self.stack[-1] if self.stack else None
        if target not in ("own", "array") and not isinstance(target, _Values):
            raise _NoShapeError
        return target

    def _get(self, index: int) -> Any:
        if index >= self.base:
            raise _NoShapeError  # what no rule looks at in one place may be looked at in another
        symbol = self.outside[index] = self.machine.memo[index]
        return symbol if type(symbol) is Ref else None

    def pieces(self) -> list[Piece]:
        """The instructions, up to each run of bytes, as patterns and as forms of what is written anew."""
        at = {index: place for place, index in enumerate(self.outside)}
        data, made = self.machine.data, []
        spelled, form, keyed, groups = b"", b"", [], 0
        for number, (name, start, stop) in enumerate(self.spelled):
            if name in _SPELLED:
                is_free, has_bytes = number in self.free, name in _WITH_BYTES
                is_short = name == "SHORT_BINBYTES" and stop - start <= _SHORT
                if is_short:
                    spelled += b"(" + re.escape(data[start : start + 2]) + b".{%d})" % (stop - start - 2)
                    has_bytes = False
                else:
                    spelled += _SPELLED[name]
                form += b"%b"
                if has_bytes or not is_free:
                    keyed.append(groups)
                groups += 1
                if has_bytes:
                    made.append(Piece(spelled, form, keyed, has_bytes=True, judged=not is_free))
                    spelled, form, keyed, groups = b"", b"", [], 0
                continue
            spelled += re.escape(data[start:stop])
            if name in _GETS:
                index = int.from_bytes(data[start + 1 : stop], "little")
                form += _escaped(b"j" + struct.pack("<I", at[index]))
            elif name != "MEMOIZE":
                form += _escaped(data[start:stop])
        made.append(Piece(spelled, form, keyed, has_bytes=False, judged=False))
        return made


def _escaped(code: bytes) -> bytes:
    return code.replace(b"%", b"%%")


class Runs:
    """The shapes that one stream has shown so far, and where its objects begin."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.edges: dict[int, Edge] = {}
        self.waiting: dict[int, tuple[int, Shape, Any]] = {}
        self._tries = 0

    def begin(self, machine: Machine) -> None:
        """A list of items begins, or an item has ended: here an object may begin."""
        depth = len(machine.marks)
        if self.shapes:
            self._follow(machine, depth)
        self.edges[depth] = Edge(machine)

    def end(self, machine: Machine) -> None:
        """An object has got its state, or a list its items: if it began at an edge, it shows a shape."""
        depth = len(machine.marks)
        edge = self.edges.get(depth)
        if edge is None or len(machine.stack) != edge.height + 1 or machine.log.findings:
            return
        end, shape, key = self.waiting.pop(depth, (-1, None, None))
        if shape is not None and end == machine.position:
            shape.judged.add(key)
        elif len(self.shapes) < _MOST_SHAPES and self._tries < _MOST_TRIES:
            self._learn(machine, edge)
        self.begin(machine)

    def _learn(self, machine: Machine, edge: Edge) -> None:
        if edge.frame != machine.frame_end or edge.noted != _noted(machine.log):
            return
        if machine.position - edge.position > _LONGEST:
            return
        self._tries += 1
        try:
            shape = Shape(machine, edge)
        except _NoShapeError:
            return
        found = shape.match(machine.data, edge.position, machine.position + 1)
        if found is not None and found[2] == machine.position:
            shape.judged.add(found[0])
            self.shapes.append(shape)

    def _follow(self, machine: Machine, depth: int) -> None:
        """Take all the objects of known shapes that follow here."""
        data = machine.data
        shape: Shape | None = None
        while True:
            position = machine.position
            end = min(machine.frame_end or len(data), position + _LONGEST)
            found = None if shape is None else shape.match(data, position, end)
            if shape is None or found is None:
                shape, found = self._find(data, position, end, depth)
            if shape is None or found is None:
                if not self._across(machine, depth):
                    return
                continue
            key, code, stop = found
            if key not in shape.judged:
                self.waiting[depth] = (stop, shape, key)
                return
            machine.take(shape, code, stop)

    def _find(self, data: bytes, position: int, end: int, depth: int) -> tuple[Shape | None, Match | None]:
        for shape in self.shapes:
            found = shape.match(data, position, end) if shape.depth == depth else None
            if found is not None:
                return shape, found
        return None, None

    def _across(self, machine: Machine, depth: int) -> bool:
        """Take an object that begins in one frame and ends in the next, for a pickler cuts them by size."""
        data, first, behind = machine.data, machine.frame_end - machine.position, machine.frame_end + _FRAME
        if not 0 < first < _LONGEST or data[behind - _FRAME : behind - _FRAME + 1] != b"\x95":
            return False
        end = behind + int.from_bytes(data[behind - 8 : behind], "little")
        joined = data[machine.position : machine.frame_end] + data[behind : min(end, behind + _LONGEST)]
        shape, found = self._find(joined, 0, len(joined), depth)
        if shape is None or found is None or end > len(data):
            return False
        key, code, stop = found
        if key not in shape.judged or stop <= first or not _one_begins(joined, first):
            return False
        machine.count_instructions(1)
        machine.enter_frame(end)
        machine.take(shape, code, behind + stop - first)
        return True


def _one_begins(data: bytes, place: int) -> bool:
    """Whether an instruction begins at that place."""
    position = 0
    while position < place:
        position = opcodes.argument(data, position + 1, data[position])[1]
    return position == place


class _Builder(pickle.Unpickler):
    """Builds from bytes that were written here: whatever they refer to is handed in."""

    def __init__(self, code: bytes, outside: list[Any]) -> None:
        super().__init__(io.BytesIO(code))
        self._outside = outside

    def persistent_load(self, pid: Any) -> Any:
        return self._outside[pid]

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is asked for where nothing may be")


def build(codes: list[bytes], outside: list[Any]) -> Iterator[Any]:
    """The objects of one shape that `match` gave the codes of; `outside` holds those of `Shape.outside`, in turn."""
    # Each of them is fetched once, put into the memo, and taken off the stack again.
    start = b"".join(
        b"J" + struct.pack("<i", at) + b"Qr" + struct.pack("<I", at) + b"0" for at in range(len(outside))
    )
    for some in _batches(codes):
        written = b"".join((start, b"](", *some, b"e."))
        yield from _Builder(b"\x80\x04\x95" + struct.pack("<Q", len(written)) + written, outside).load()


def _batches(codes: list[bytes]) -> Iterator[list[bytes]]:
    """A megabyte at once."""
    some: list[bytes] = []
    size = 0
    for code in codes:
        some.append(code)
        size += len(code)
        if size > _AT_ONCE:
            yield some
            some, size = [], 0
    if some:
        yield some
