"""The instructions of a pickle, one function each, as the symbolic machine follows them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from validator.model.safety import opcodes
from validator.model.safety.opcodes import CONSTANTS, NAMES, MalformedError
from validator.model.safety.policy import ANY
from validator.model.safety.symbols import Bag, Map, Obj, make_tuple, preview

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
}
_RESAVE = "Save the model again with a current pickle or joblib."


def _proto(machine: Machine, start: int, _end: int) -> None:
    if machine.offset != machine.start:
        raise MalformedError("the protocol is declared again inside the stream")
    machine.protocol = machine.data[start]
    if machine.protocol > _HIGHEST_PROTOCOL:
        raise MalformedError(f"pickle protocol {machine.protocol} is unknown")


def _frame(machine: Machine, start: int, end: int) -> None:
    length = int.from_bytes(machine.data[start:end], "little")
    if machine.frame_end:
        raise MalformedError("a frame begins inside a frame")
    if end + length > len(machine.data):
        raise MalformedError("a frame reaches past the end of the file")
    machine.frame_end = end + length if length else 0


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
        raise MalformedError("the name of a global is not a plain text", "computed global")
    machine.stack.append(machine.find(module, name))


def _reduce(machine: Machine, _start: int, _end: int) -> None:
    arguments, target = machine.pop(), machine.pop()
    if not isinstance(arguments, tuple):
        raise MalformedError("the arguments of a call are no tuple")
    machine.stack.append(machine.call(target, arguments, "call"))


def _newobj(machine: Machine, _start: int, _end: int) -> None:
    arguments, target = machine.pop(), machine.pop()
    if not isinstance(arguments, tuple):
        raise MalformedError("the arguments of a call are no tuple")
    machine.stack.append(machine.call(target, arguments, "construct"))


def _newobj_ex(machine: Machine, _start: int, _end: int) -> None:
    keywords, arguments, target = machine.pop(), machine.pop(), machine.pop()
    if not isinstance(arguments, tuple) or type(keywords) is not Map:
        raise MalformedError("the arguments of a call are no tuple and dictionary")
    machine.stack.append(machine.call(target, arguments, "construct", keywords))


def _build(machine: Machine, _start: int, _end: int) -> None:
    state, target = machine.pop(), machine.pop()
    machine.stack.append(machine.build(target, state))


def _mark(machine: Machine, _start: int, _end: int) -> None:
    if len(machine.marks) >= machine.limits.depth * 5:
        raise MalformedError("marks are nested too deep", "deep nesting")
    machine.marks.append(machine.stack)
    machine.stack = []


def _pop(machine: Machine, _start: int, _end: int) -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.pop_mark()


def _pop_mark(machine: Machine, _start: int, _end: int) -> None:
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
            raise MalformedError("an instruction takes a value from an empty stack")
        del machine.stack[-count:]
        _put_tuple(machine, items)

    return step


def _list(machine: Machine, _start: int, _end: int) -> None:
    items = machine.pop_mark()
    machine.check_values(items)
    machine.stack.append(items)


def _extend(machine: Machine, items: list[Any]) -> None:
    machine.check_values(items)
    target = machine.top()
    if type(target) is list:
        target.extend(items)
    elif type(target) is not Obj or target.items not in ("list", ANY):
        machine.refuse(preview(target), "build", "gets items as if it were a list", _RESAVE)


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
        raise MalformedError("a dictionary has a key without a value")
    machine.check_values(items)
    target = machine.top()
    if type(target) is Map:
        target.flat.extend(items)
    elif type(target) is not Obj or target.items not in ("dict", ANY):
        machine.refuse(preview(target), "build", "gets items as if it were a dictionary", _RESAVE)


def _setitem(machine: Machine, _start: int, _end: int) -> None:
    value, key = machine.pop(), machine.pop()
    _update(machine, [key, value])


def _setitems(machine: Machine, _start: int, _end: int) -> None:
    _update(machine, machine.pop_mark())


def _additems(machine: Machine, _start: int, _end: int) -> None:
    machine.check_values(machine.pop_mark())
    if type(machine.top()) is not Bag:
        machine.refuse(preview(machine.top()), "build", "gets items as if it were a set", _RESAVE)


def _frozenset(machine: Machine, _start: int, _end: int) -> None:
    machine.check_values(machine.pop_mark())
    machine.stack.append(Bag())


def _remember(machine: Machine, index: int) -> None:
    # A pickler numbers its entries in turn; the real memo is an array as long as the highest number.
    if not 0 <= index <= machine.log.opcodes + 256:
        raise MalformedError(f"the memo is asked to hold entry {index:,}", "memo bomb")
    machine.memo[index] = machine.top()


def _memoize(machine: Machine, _start: int, _end: int) -> None:
    _remember(machine, len(machine.memo))


def _index(machine: Machine, start: int, end: int) -> int:
    if machine.opcode in ("PUT", "GET"):
        return opcodes.text_number(machine.data, start, end)
    return int.from_bytes(machine.data[start:end], "little")


def _put(machine: Machine, start: int, end: int) -> None:
    _remember(machine, _index(machine, start, end))


def _get(machine: Machine, start: int, end: int) -> None:
    index = _index(machine, start, end)
    if index not in machine.memo:
        raise MalformedError(f"memo entry {index:,} is used but never written")
    machine.stack.append(machine.memo[index])


_BY_NAME: dict[str, Callable[[Machine, int, int], None]] = {
    "PROTO": _proto, "FRAME": _frame, "STOP": stop, "GLOBAL": _global, "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce, "NEWOBJ": _newobj, "NEWOBJ_EX": _newobj_ex, "BUILD": _build, "MARK": _mark, "POP": _pop,
    "POP_MARK": _pop_mark, "DUP": _dup, "TUPLE": _tuple, "TUPLE1": _short_tuple(1), "TUPLE2": _short_tuple(2),
    "TUPLE3": _short_tuple(3), "LIST": _list, "APPEND": _append, "APPENDS": _appends, "DICT": _dict,
    "SETITEM": _setitem, "SETITEMS": _setitems, "ADDITEMS": _additems, "FROZENSET": _frozenset,
    "MEMOIZE": _memoize, "PUT": _put, "BINPUT": _put, "LONG_BINPUT": _put, "GET": _get, "BINGET": _get,
    "LONG_BINGET": _get,
}  # fmt: skip
_BY_NAME.update(dict.fromkeys(_NEVER, _never))
_BY_NAME.update({name: _constant(decode) for name, decode in CONSTANTS.items()})
STEPS = {code: _BY_NAME[name] for code, name in NAMES.items()}
