"""The instructions of a pickle, one function each, as the symbolic machine follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from validator.model.safety import opcodes
from validator.model.safety.inline import WRAPPER
from validator.model.safety.opcodes import CONSTANTS, NAMES, BrokenError, MalformedError
from validator.model.safety.policy import ANY
from validator.model.safety.program import ITEMS
from validator.model.safety.runs import ReadAgainError
from validator.model.safety.symbols import (
    DICT_LIKE,
    Bag,
    Map,
    Obj,
    Raw,
    Ref,
    make_tuple,
    may_be_called,
    preview,
)

if TYPE_CHECKING:
    from validator.model.safety.machine import Machine

_HIGHEST_PROTOCOL = 5
_NEVER = {
    "PERSID": "asks the loading program for an object of its own",
    "BINPERSID": "asks the loading program for an object of its own",
    "EXT1": "asks for a class by its number in a registry of the process",
    "EXT2": "asks for a class by its number in a registry of the process",
    "EXT4": "asks for a class by its number in a registry of the process",
    "INST": "is how Python 2 made instances of classes that no longer exist",
    "OBJ": "is how Python 2 made instances of classes that no longer exist",
    "NEXT_BUFFER": "needs a buffer from outside the file",
    "READONLY_BUFFER": "needs a buffer from outside the file",
    "DUP": "is an instruction that no pickler writes",
}
_RESAVE = "Save the model again with a current pickle or joblib."
_GETS = frozenset(code for code, name in NAMES.items() if name in ("GET", "BINGET", "LONG_BINGET"))
_CONTAINERS = {list: "list", Map: "dict", Bag: "set"}


def _proto(machine: Machine, start: int, _end: int) -> None:
    if machine.offset != machine.start and not machine.lenient:
        raise MalformedError("the protocol is declared again inside the stream")
    machine.protocol = machine.data[start]
    if machine.protocol > _HIGHEST_PROTOCOL:
        raise BrokenError(f"pickle protocol {machine.protocol} is unknown")


def _frame(machine: Machine, start: int, end: int) -> None:
    length = int.from_bytes(machine.data[start:end], "little")
    if end + length > len(machine.data):
        if machine.lenient and machine.inline:
            raise MalformedError("a frame reaches past the end of the file, which joblib reads all the same")
        raise BrokenError("a frame reaches past the end of the file")
    if machine.frame_end:
        if not machine.lenient or end + length > machine.frame_end:
            raise MalformedError("a frame begins inside a frame")
        return
    if length:
        machine.enter_frame(end + length)


def stop(_machine: Machine, _start: int, _end: int) -> None:
    raise AssertionError("the loop ends at STOP")


def _never(machine: Machine, _start: int, _end: int) -> None:
    raise MalformedError(f"{machine.opcode} {_NEVER[machine.opcode]}", machine.opcode)


def _constant(decode: Callable[[bytes, int, int], Any]) -> Callable[[Machine, int, int], None]:
    def push(machine: Machine, start: int, end: int) -> None:
        machine.stack.append(decode(machine.data, start, end))

    return push


def _global(machine: Machine, start: int, end: int) -> None:
    machine.stack.append(machine.find(*opcodes.global_names(machine.data, start, end)))


def _stack_global(machine: Machine, _start: int, _end: int) -> None:
    name, module = machine.pop(), machine.pop()
    if type(name) is not str or type(module) is not str:
        if machine.lenient and not all(type(part) in (str, Raw) for part in (name, module)):
            raise BrokenError("the name of a global is no text")
        raise MalformedError("the name of a global is not a plain text", "computed global")
    machine.stack.append(machine.find(module, name))


def _reduce(machine: Machine, _start: int, _end: int) -> None:
    arguments, target = machine.pop(), machine.pop()
    machine.stack.append(machine.call(target, _arguments(machine, target, arguments), "call"))


def _arguments(machine: Machine, target: Any, arguments: Any) -> tuple[Any, ...]:
    """The arguments of a call. The interpreter's unpickler in Python takes a list as well as a tuple."""
    if isinstance(arguments, tuple):
        return arguments
    if machine.lenient and not may_be_called(target):
        raise BrokenError("something that cannot be called is called")
    if machine.lenient and type(arguments) is list:
        return tuple(arguments)
    raise MalformedError("the arguments of a call are no tuple")


def _newobj(machine: Machine, _start: int, _end: int) -> None:
    arguments, target = machine.pop(), machine.pop()
    machine.stack.append(machine.call(target, _arguments(machine, target, arguments), "construct"))


def _newobj_ex(machine: Machine, _start: int, _end: int) -> None:
    keywords, arguments, target = machine.pop(), machine.pop(), machine.pop()
    if not isinstance(arguments, tuple) or type(keywords) is not Map:
        is_mapping = type(keywords) is Map or (type(keywords) is Obj and keywords.items == "dict")
        if machine.lenient and (type(target) is not Ref or not is_mapping):
            raise BrokenError("something that is no class is constructed, or with other than keywords")
        raise MalformedError("the arguments of a call are no tuple and dictionary")
    machine.stack.append(machine.call(target, arguments, "construct", keywords))


def _build(machine: Machine, _start: int, _end: int) -> None:
    state, target = machine.pop(), machine.pop()
    machine.stack.append(machine.build(target, state))
    if machine.runs is not None:
        machine.runs.end(machine)


def _mark(machine: Machine, _start: int, _end: int) -> None:
    if len(machine.marks) >= machine.limits.depth * 5:
        raise MalformedError("marks are nested too deep", "deep nesting")
    machine.marks.append(machine.stack)
    machine.stack = []
    if machine.runs is not None:
        machine.runs.begin(machine)


def _discarded(machine: Machine) -> None:
    """A pickler takes values away again in one case: a tuple that holds itself, which it then gets from its memo."""
    following = machine.data[machine.position : machine.position + 1]
    again = machine.opcode == "POP" and following == b"0"
    if not machine.lenient and not again and (not following or following[0] not in _GETS):
        raise MalformedError("a value is made and thrown away", "hidden value")


def _pop(machine: Machine, _start: int, _end: int) -> None:
    _discarded(machine)
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine, _start: int, _end: int) -> None:
    _discarded(machine)
    machine.pop_mark()


def _dup(machine: Machine, _start: int, _end: int) -> None:
    machine.stack.append(machine.top())


def _put_tuple(machine: Machine, items: list[Any]) -> None:
    made = make_tuple(items, machine.limits.depth)
    if made is None:
        raise MalformedError(f"tuples are nested more than {machine.limits.depth} deep", "deep nesting")
    machine.stack.append(made)


def _tuple(machine: Machine, _start: int, _end: int) -> None:
    _put_tuple(machine, machine.pop_mark())


def _short_tuple(count: int) -> Callable[[Machine, int, int], None]:
    def step(machine: Machine, _start: int, _end: int) -> None:
        items = machine.stack[-count:]
        if len(items) < count:
            raise BrokenError("an instruction takes a value from an empty stack")
        del machine.stack[-count:]
        _put_tuple(machine, items)

    return step


def _list(machine: Machine, _start: int, _end: int) -> None:
    items = machine.pop_mark()
    machine.stack.append([])
    _extend(machine, items)


def _grow(machine: Machine, kind: str, items: list[Any]) -> None:
    """Add items to the list, dictionary, set or object on the stack, and write the step down."""
    machine.check_values(items)
    target = machine.top()
    if machine.lenient and not items:
        return  # the interpreter does not even look at what would get them
    inner = target.flat if type(target) is Map else target.items if type(target) is Bag else target
    if _CONTAINERS.get(type(target)) == kind:
        if machine.program.is_settled(target):
            raise MalformedError(f"a {kind} is changed after it was used", "late change")
        inner.extend(items)
    elif type(target) is Obj and target.items in (kind, ANY) and kind != "set":
        if target.full:
            raise MalformedError("an object gets items after its state", "late change")
        if kind == "dict" and target.path in DICT_LIKE:
            machine.log.items(target.path, items, machine.offset)
    elif not machine.lenient or type(target) is Ref:
        machine.refuse(preview(target), "build", f"gets items as if it were a {kind}", _RESAVE)
        return
    elif type(target) is not Obj:
        raise BrokenError("something that takes no items gets some")
    if items:
        machine.program.add(ITEMS, target, tuple(items), kind)


def _extend(machine: Machine, items: list[Any]) -> None:
    _grow(machine, "list", items)


def _append(machine: Machine, _start: int, _end: int) -> None:
    item = machine.pop()
    _extend(machine, [item])


def _appends(machine: Machine, _start: int, _end: int) -> None:
    _extend(machine, machine.pop_mark())


def _dict(machine: Machine, _start: int, _end: int) -> None:
    items = machine.pop_mark()
    machine.stack.append(Map([]))
    _update(machine, items)


def _update(machine: Machine, items: list[Any]) -> None:
    if len(items) % 2:
        raise BrokenError("a dictionary has a key without a value")
    _grow(machine, "dict", items)


def _setitem(machine: Machine, _start: int, _end: int) -> None:
    value, key = machine.pop(), machine.pop()
    _update(machine, [key, value])


def _setitems(machine: Machine, _start: int, _end: int) -> None:
    _update(machine, machine.pop_mark())


def _additems(machine: Machine, _start: int, _end: int) -> None:
    _grow(machine, "set", machine.pop_mark())


def _frozenset(machine: Machine, _start: int, _end: int) -> None:
    items = machine.pop_mark()
    machine.check_values(items)
    machine.stack.append(Bag("frozenset", items))


def _remember(machine: Machine, index: int) -> None:
    # A pickler numbers its entries in turn; the real memo is an array as long as the highest number.
    if index < 0:
        raise BrokenError("the memo has no entries below 0")
    if not machine.lenient and index > machine.log.opcodes + 256:
        raise MalformedError(f"the memo is asked to hold entry {index:,}", "memo bomb")
    if index in machine.memo and not machine.lenient:
        raise MalformedError(f"memo entry {index:,} is written twice", "memo")
    machine.memo[index] = machine.top()


def _memoize(machine: Machine, _start: int, _end: int) -> None:
    _remember(machine, machine.entries())


_LINES = frozenset(b"pg")
"""PUT and GET, whose index is a line of text"""


def _index(machine: Machine, start: int, end: int) -> int:
    if machine.code in _LINES:
        return _line_number(machine, start, end)
    return int.from_bytes(machine.data[start:end], "little")


def _put(machine: Machine, start: int, end: int) -> None:
    if machine.unnamed:
        raise ReadAgainError
    machine.runs = None  # it counts the memo's entries, which follow each other only without explicit places
    _remember(machine, _index(machine, start, end))


def _get(machine: Machine, start: int, end: int) -> None:
    index = _index(machine, start, end)
    if index not in machine.memo:
        if machine.unnamed:
            raise ReadAgainError
        raise BrokenError(f"memo entry {index:,} is used but never written")
    found = machine.memo[index]
    if type(found) is Obj and found.path == WRAPPER and not machine.lenient:
        raise MalformedError("an array's wrapper is used again instead of its array", "array wrapper")
    machine.stack.append(found)


def _line_number(machine: Machine, start: int, end: int) -> int:
    if not machine.lenient:
        return opcodes.text_number(machine.data, start, end)
    try:
        return int(machine.data[start:end])
    except ValueError as error:
        raise BrokenError("a memo entry has no number") from error


_BY_NAME: dict[str, Callable[[Machine, int, int], None]] = {
    "PROTO": _proto, "FRAME": _frame, "STOP": stop, "GLOBAL": _global, "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce, "NEWOBJ": _newobj, "NEWOBJ_EX": _newobj_ex, "BUILD": _build, "MARK": _mark, "POP": _pop,
    "POP_MARK": _pop_mark, "TUPLE": _tuple, "TUPLE1": _short_tuple(1), "TUPLE2": _short_tuple(2),
    "TUPLE3": _short_tuple(3), "LIST": _list, "APPEND": _append, "APPENDS": _appends, "DICT": _dict,
    "SETITEM": _setitem, "SETITEMS": _setitems, "ADDITEMS": _additems, "FROZENSET": _frozenset,
    "MEMOIZE": _memoize, "PUT": _put, "BINPUT": _put, "LONG_BINPUT": _put, "GET": _get, "BINGET": _get,
    "LONG_BINGET": _get,
}  # fmt: skip
_BY_NAME.update(dict.fromkeys(_NEVER, _never))
_BY_NAME.update({name: _constant(decode) for name, decode in CONSTANTS.items()})
STEPS = {code: _BY_NAME[name] for code, name in NAMES.items()}


def _fails(machine: Machine, _start: int, _end: int) -> None:
    """Without a registry, buffers or a `persistent_load` of the program's own the interpreter raises here."""
    raise BrokenError(f"{machine.opcode} {_NEVER[machine.opcode]}")


def _any_global(machine: Machine, start: int, end: int) -> None:
    machine.stack.append(machine.find(*opcodes.any_names(machine.data, start, end)))


def _inst(machine: Machine, start: int, end: int) -> None:
    arguments = machine.pop_mark()
    target = machine.find(*opcodes.any_names(machine.data, start, end))
    machine.stack.append(machine.call(target, tuple(arguments), "call"))


def _obj(machine: Machine, _start: int, _end: int) -> None:
    items = machine.pop_mark()
    if not items:
        raise BrokenError("an instance is made of nothing")
    machine.stack.append(machine.call(items[0], tuple(items[1:]), "call"))


def _number(machine: Machine, start: int, end: int) -> None:
    """A number in any spelling; one that only the interpreter understands is a number that nothing else accepts."""
    try:
        _constant(CONSTANTS[machine.opcode])(machine, start, end)
    except MalformedError:
        machine.stack.append(Obj("builtins.int"))


def _any_text(machine: Machine, start: int, end: int) -> None:
    if machine.opcode == "UNICODE":
        machine.stack.append(opcodes.unescaped(machine.data, start, end))
        return
    content = machine.data[start:end]
    content = opcodes.unquoted(machine.data, start, end) if machine.opcode == "STRING" else content
    machine.stack.append(content.decode("latin-1"))


def _nothing(_machine: Machine, _start: int, _end: int) -> None:
    pass


_LENIENT = {
    **_BY_NAME, **dict.fromkeys(_NEVER, _fails), "DUP": _dup, "GLOBAL": _any_global, "INST": _inst, "OBJ": _obj,
    "READONLY_BUFFER": _nothing,
    **dict.fromkeys(("INT", "LONG", "LONG1", "LONG4", "FLOAT"), _number),
    **dict.fromkeys(("UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"), _any_text),
}  # fmt: skip
LENIENT = {code: _LENIENT[name] for code, name in NAMES.items()}
