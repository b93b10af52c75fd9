"""A pickle machine whose objects are symbols: it follows every instruction and imports, calls and builds nothing.

It has the stack, marks and memo of the real one (pickle.py, PEP 307, 3154, 574), and refuses whatever no pickler
writes, so that nothing can be read here in one way and by the interpreter in another.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable
from typing import Any

from validator.model.safety import opcodes, rules
from validator.model.safety.findings import Log
from validator.model.safety.opcodes import CONSTANTS, NAMES, MalformedError
from validator.model.safety.policy import ANY, Policy
from validator.model.safety.report import Limits
from validator.model.safety.symbols import Bag, Map, Obj, Raw, Ref, make_tuple, preview, refs_in

ARRAY_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
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


class Machine:
    """Follows one pickle stream in `data` from `position` to its STOP."""

    def __init__(
        self, data: bytes, position: int, policy: Policy, log: Log, limits: Limits, level: int = 0
    ) -> None:
        self.data = data
        self.position = position
        self.policy = policy
        self.log = log
        self.limits = limits
        self.level = level
        self.start = position
        self.protocol = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.frame_end = 0
        self.opcode = ""
        self.offset = position

    def run(self) -> Any:
        """The symbol of the object that the stream makes. Raises MalformedError where it cannot be followed."""
        data, log, most = self.data, self.log, self.limits.opcodes
        while True:
            self.offset = self.position
            if self.position >= len(data):
                raise MalformedError("the stream ends before its STOP")
            code = data[self.position]
            step = _STEPS.get(code)
            if step is None:
                raise MalformedError(f"byte {code:#04x} is no pickle instruction")
            self.opcode = NAMES[code]
            start, end = opcodes.argument(data, self.position + 1, code)
            self.position = opcodes.after(end, code)
            if self.frame_end and self.position >= self.frame_end:
                self._leave_frame()
            log.opcodes += 1
            if log.opcodes > most:
                raise MalformedError(f"there are more than {most:,} instructions", "flood of instructions")
            if step is _stop:
                return self._finish()
            step(self, start, end)

    def refuse(self, name: str, use: str, reason: str, hint: str) -> None:
        """Note a finding at the present instruction."""
        self.log.add(name, use, self.offset, reason, hint, self.opcode)

    def pop(self) -> Any:
        if not self.stack:
            raise MalformedError("an instruction takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise MalformedError("an instruction looks at an empty stack")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise MalformedError("an instruction looks for a mark that is not there")
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def check_values(self, items: list[Any]) -> None:
        """Refuse each global among the items that may not stand as a plain value."""
        for item in items:
            for ref in refs_in(item):
                self.log.use(ref, "value")
                if not ref.uses & {"value", ANY}:
                    self.log.refuse_ref(ref, "value", "is put into the model as a value")

    def call(self, target: Any, arguments: tuple[Any, ...], use: str, keywords: Map | None = None) -> Any:
        """What calling (or constructing) `target` would give, after checking that it may be called so."""
        if type(target) is not Ref:
            self.refuse(
                f"{preview(target)}",
                use,
                "is called, though it is no class or function of the allowlist",
                _RESAVE,
            )
            return Obj("unknown", ANY, ANY)
        self.log.use(target, use)
        if ANY in target.uses:
            self.check_values(list(arguments))
            return Obj(target.path, ANY, ANY)
        try:
            return rules.call(self, target, arguments, use, keywords)
        except rules.RefusedError as error:
            self.log.refuse_ref(target, use, f"{error.reason}, given {preview(arguments)}", self.offset)
            return Obj(target.path, ANY, ANY)

    def build(self, target: Any, state: Any) -> Any:
        """What stands on the stack after BUILD; a joblib array wrapper gives way to its array."""
        if type(target) is Obj and target.build:
            try:
                return rules.build(self, target, state)
            except rules.RefusedError as error:
                self.refuse(target.path, "build", error.reason, error.hint)
                return target
        name = target.path if type(target) in (Obj, Ref) else preview(target)
        if type(target) is Ref:
            self.log.use(target, "build")
        self.refuse(name, "build", "is changed in place, which nothing honest does to it", _RESAVE)
        return target

    def find(self, module: str, name: str) -> Ref:
        """The global of that name, known to the log; the names of Python 2 are translated as pickle does."""
        if self.protocol < 3:
            if (module, name) in NAME_MAPPING:
                module, name = NAME_MAPPING[(module, name)]
            elif module in IMPORT_MAPPING:
                module = IMPORT_MAPPING[module]
        ref = Ref(module, name, self.offset, self.opcode)
        self.policy.permit(ref)
        self.log.found(ref)
        return ref

    def _leave_frame(self) -> None:
        if self.position > self.frame_end:
            raise MalformedError("an instruction reaches past the end of its frame")
        self.frame_end = 0

    def _finish(self) -> Any:
        result = self.pop()
        if self.stack or self.marks:
            raise MalformedError("values are left on the stack at the end: something was run and hidden")
        if self.frame_end:
            raise MalformedError("the stream ends inside a frame")
        self.check_values([result])
        return result


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


def _stop(_machine: Machine, _start: int, _end: int) -> None:
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
    "PROTO": _proto, "FRAME": _frame, "STOP": _stop, "GLOBAL": _global, "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce, "NEWOBJ": _newobj, "NEWOBJ_EX": _newobj_ex, "BUILD": _build, "MARK": _mark, "POP": _pop,
    "POP_MARK": _pop_mark, "DUP": _dup, "TUPLE": _tuple, "TUPLE1": _short_tuple(1), "TUPLE2": _short_tuple(2),
    "TUPLE3": _short_tuple(3), "LIST": _list, "APPEND": _append, "APPENDS": _appends, "DICT": _dict,
    "SETITEM": _setitem, "SETITEMS": _setitems, "ADDITEMS": _additems, "FROZENSET": _frozenset,
    "MEMOIZE": _memoize, "PUT": _put, "BINPUT": _put, "LONG_BINPUT": _put, "GET": _get, "BINGET": _get,
    "LONG_BINGET": _get,
}  # fmt: skip
_BY_NAME.update(dict.fromkeys(_NEVER, _never))
_BY_NAME.update({name: _constant(decode) for name, decode in CONSTANTS.items()})
_STEPS = {code: _BY_NAME[name] for code, name in NAMES.items()}
__all__ = ["ARRAY_WRAPPER", "Machine", "Raw"]
