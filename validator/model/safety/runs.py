"""Runs of objects of one shape, the trees of a forest say: the first is judged at length, the rest by their shape.

A forest of 20,000 trees spells the same few hundred instructions 20,000 times, with other numbers. What the machine
decides about an object follows from its instructions alone, so an object whose bytes are those of one that was judged
already, but for places where no rule looks, needs no second judgement. Those places are

- numbers that stand directly as attributes in the dictionary of a BUILD: `rules.py` and `values.py` look at the names
  and types there, and every spelling accepted here is an integer (or a float, where one stood);
- the bytes of an array or of a NumPy scalar: `rules_numpy.py` looks at their length, which is part of the key.

Whatever else varies, sizes among it, is the `key`: an object with a key that was not judged yet takes the long way.
Nothing outside of such an object may be changed by it (its instructions fill only what they made themselves), and
nothing outside may name its inner parts: a stream that does so later is read anew, without this. An object of a class
that somebody vouches for, a name that is asked for, bytes elsewhere, an array behind the stream or anything noted in
the log makes no shape; nor does a call whose rule gives anything but what the function itself gives (`_CALLED`).
So the long way would have found the same, and tests/hostile/test_runs.py holds both to it on mutated files.

The objects are built by an unpickler from bytes that are written here, of instructions in `_PLAIN`, `_ACTS` and
`_SPELLED` alone: none asks for a name, and what they refer to outside is handed in as objects. What varies between
the objects of a file reaches it as numbers and as contents of bytes only, behind a length that was matched.
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
_MOST_INSTRUCTIONS = 1_000
_LONGEST = 1 << 16
"""bytes of an object that is worth a shape"""
_AT_ONCE = 1 << 20
"""bytes of the file that are built from in one go"""
_FRAME = 9
"""bytes of the instruction that begins a frame"""
_INT, _BYTES = rb"(K.|M..|J....)", rb"(C.|B....)"
_SPELLED = {
    "BININT1": _INT, "BININT2": _INT, "BININT": _INT, "BINFLOAT": rb"(G.{8})",
    "SHORT_BINBYTES": _BYTES, "BINBYTES": _BYTES, "BYTEARRAY8": rb"(\x96.{8})",
}  # fmt: skip
_WITH_BYTES = frozenset(("SHORT_BINBYTES", "BINBYTES", "BYTEARRAY8"))
_PLAIN = frozenset(("NONE", "NEWTRUE", "NEWFALSE", "SHORT_BINUNICODE", "BINUNICODE", "EMPTY_TUPLE", "LONG1"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_ACTS = frozenset(("EMPTY_DICT", "MARK", "TUPLE", *_TUPLES, "SETITEMS", "REDUCE", "NEWOBJ", "BUILD"))
_GETS = frozenset(("BINGET", "LONG_BINGET"))
# The rules of functions that the loader calls as the file does, and where each has bytes at which no rule looks.
_CALLED = {"reconstruct": -1, "dtype": -1, "native": -1, "frombuffer": 0, "scalar": 1}
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
    that bytes follow, as many as the last group tells.
    """

    __slots__ = ("form", "has_bytes", "key", "pattern")

    def __init__(self, spelled: bytes, form: bytes, keyed: list[int], *, has_bytes: bool) -> None:
        self.pattern = re.compile(spelled, re.DOTALL)
        self.form = form
        self.key: Callable[[Any], Any] | None = itemgetter(*keyed) if keyed else None
        self.has_bytes = has_bytes


class Shape:
    """The instructions of an object, and with which keys it was judged."""

    def __init__(self, machine: Machine, edge: Edge) -> None:
        self.depth = len(machine.marks)
        self.model = model = machine.stack[-1]
        trace = _Trace(machine, edge)
        self.pieces = trace.pieces()
        self.instructions = len(trace.spelled)
        self.entries = machine.entries() - edge.memo
        # Entries of parts that were known by their own shapes are not there.
        places = (at for at in range(self.entries) if machine.memo.get(edge.memo + at) is model)
        self.result = next(places, -1)
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
        return (tuple(key), b"".join(code), position) if position < end else None

    def another(self) -> Obj:
        """A symbol like that of the first object of this shape."""
        made = Obj(self.model.path, "", self.model.items)
        made.full, made.again = True, self.model.again
        return made


class _Values(list[Any]):
    """The values of a dictionary, or of a tuple, on the stack of a trace; only what the object made itself."""

    __slots__ = ("is_tuple",)

    def __init__(self, items: list[Any], *, is_tuple: bool) -> None:
        super().__init__(items)
        self.is_tuple = is_tuple


class _Trace:
    """Follows the instructions of an object once more, to tell which numbers and bytes no rule looks at.

    On its stack an integer stands for the instruction that pushed a number or bytes, a Ref for itself, a text for an
    object that was made, and anything without interest is None. Raises _NoShapeError for any other instruction, and
    for what reaches outside.
    """

    def __init__(self, machine: Machine, edge: Edge) -> None:
        self.machine = machine
        self.base = edge.memo
        self.outside: dict[int, Any] = {}
        self.free: set[int] = set()
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.spelled: list[tuple[str, int, int]] = []
        position, end = edge.position, machine.position
        while position < end and len(self.spelled) < _MOST_INSTRUCTIONS:
            code = machine.data[position]
            start, stop = opcodes.argument(machine.data, position + 1, code)
            self._follow(NAMES[code], start, stop)
            self.spelled.append((NAMES[code], position, stop))
            position = stop
        if position != end or len(self.stack) != 1 or self.marks:
            raise _NoShapeError

    def _follow(self, name: str, start: int, stop: int) -> None:
        if name in _SPELLED:
            self.stack.append(len(self.spelled))
        elif name in _GETS:
            self.stack.append(self._get(int.from_bytes(self.machine.data[start:stop], "little")))
        elif name in _PLAIN:
            self.stack.append(None)
        elif name == "MEMOIZE":
            self.stack.append(self._pop())
        elif name == "EMPTY_DICT":
            self.stack.append(_Values([], is_tuple=False))
        elif name == "MARK":
            self.marks.append(self.stack)
            self.stack = []
        elif name in _ACTS:
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
        elif name == "SETITEMS":
            items = self._marked()
            target = self._pop()
            if type(target) is not _Values or target.is_tuple:
                raise _NoShapeError
            self.stack.append(_Values(target + items[1::2], is_tuple=False))
        elif name == "BUILD":
            given, target = self._pop(), self._pop()
            self._build(target, given)
            self.stack.append(target)
        else:
            given, function = self._pop(), self._pop()
            self.stack.append(self._made(function, given, is_call=name == "REDUCE"))

    def _build(self, target: Any, given: Any) -> None:
        """A state that is a dictionary or a tuple, and for every unpickler the same: none is empty, none a pair."""
        if type(target) is not str or type(given) is not _Values or not given:
            raise _NoShapeError
        if not given.is_tuple:
            self.free.update(item for item in given if type(item) is int and not self._holds_bytes(item))
        elif len(given) == 2:
            raise _NoShapeError
        elif target == "reconstruct" and self._holds_bytes(given[-1]):
            self.free.add(given[-1])

    def _made(self, function: Any, given: Any, *, is_call: bool) -> str:
        """The rule by which something was made; with those in `_CALLED`, the loader calls as an unpickler does."""
        if type(function) is not Ref:
            raise _NoShapeError
        if not is_call:
            if "new" not in function.uses or function.rule == "record":
                raise _NoShapeError
            return "new"
        at = _CALLED.get(function.rule)
        if at is None:
            raise _NoShapeError
        if at >= 0 and type(given) is _Values and len(given) > at and self._holds_bytes(given[at]):
            self.free.add(given[at])
        return function.rule

    def _holds_bytes(self, item: Any) -> bool:
        return type(item) is int and self.spelled[item][0] in _WITH_BYTES

    def _pop(self) -> Any:
        if not self.stack:
            raise _NoShapeError
        return self.stack.pop()

    def _marked(self) -> list[Any]:
        if not self.marks:
            raise _NoShapeError
        items, self.stack = self.stack, self.marks.pop()
        return items

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
                has_bytes = name in _WITH_BYTES
                if has_bytes and number not in self.free:
                    raise _NoShapeError
                spelled, form = spelled + _SPELLED[name], form + b"%b"
                if has_bytes or number not in self.free:
                    keyed.append(groups)
                groups += 1
                if has_bytes:
                    made.append(Piece(spelled, form, keyed, has_bytes=True))
                    spelled, form, keyed, groups = b"", b"", [], 0
                continue
            code = data[start:stop]
            spelled += re.escape(code)
            if name in _GETS:
                code = b"j" + struct.pack("<I", at[int.from_bytes(code[1:], "little")])
            if name != "MEMOIZE":
                form += code.replace(b"%", b"%%")
        return [*made, Piece(spelled, form, keyed, has_bytes=False)]


class Runs:
    """The shapes that one stream has shown so far, and where its objects begin."""

    def __init__(self) -> None:
        self.shapes: list[Shape] = []
        self.edges: dict[int, Edge] = {}
        self.waiting: dict[int, tuple[int, Shape, Any]] = {}
        self._tries = 0
        self._looks = 0

    def begin(self, machine: Machine) -> None:
        """A list of items begins, or an item has ended: here an object may begin."""
        depth = len(machine.marks)
        if self.shapes:
            self._follow(machine, depth)
        self.edges[depth] = Edge(machine)

    def end(self, machine: Machine) -> None:
        """An object has got its state: if it began at an edge, it shows a shape."""
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
        model = machine.stack[-1]
        is_plain = type(model) is Obj and model.detail is None and not model.build
        if not is_plain or machine.position - edge.position > _LONGEST:
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
        is_run = False
        while True:
            position = machine.position
            end = min(machine.frame_end or len(machine.data), position + _LONGEST)
            found = self._find(machine.data, position, end, depth)
            if found is None:
                if not is_run or not self._across(machine, depth):
                    return
                continue
            shape, (key, code, stop) = found
            if machine.log.opcodes + shape.instructions > machine.limits.opcodes:
                return  # the long way tells at which of them there are too many
            if key not in shape.judged:
                self.waiting[depth] = (stop, shape, key)
                return
            machine.take(shape, code, stop)
            is_run = True

    def _find(self, data: bytes, position: int, end: int, depth: int) -> tuple[Shape, Match] | None:
        for place, shape in enumerate(self.shapes):
            found = shape.match(data, position, end) if shape.depth == depth else None
            if found is not None:
                self.shapes.insert(0, self.shapes.pop(place))  # most likely the next one has it, too
                return shape, found
        return None

    def _across(self, machine: Machine, depth: int) -> bool:
        """Take an object that begins in one frame and ends in the next, for a pickler cuts them by size."""
        data, first, behind = machine.data, machine.frame_end - machine.position, machine.frame_end + _FRAME
        if not 0 < first < _LONGEST or data[behind - _FRAME : behind - _FRAME + 1] != b"\x95":
            return False
        # Each look copies up to 128 KiB: in honest files there is one to a frame of 64 KiB.
        if self._looks * 8_192 > machine.position + _LONGEST or all(
            one.depth != depth for one in self.shapes
        ):
            return False
        self._looks += 1
        end = behind + int.from_bytes(data[behind - 8 : behind], "little")
        joined = data[machine.position : machine.frame_end] + data[behind : min(end, behind + _LONGEST)]
        found = self._find(joined, 0, len(joined), depth)
        if found is None or end > len(data):
            return False
        shape, (key, code, stop) = found
        if machine.log.opcodes + shape.instructions + 1 > machine.limits.opcodes:
            return False
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
