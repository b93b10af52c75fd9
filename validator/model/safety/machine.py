"""A pickle machine whose objects are symbols: it follows every instruction and imports, calls and builds nothing.

It has the stack, marks and memo of the real one (pickle.py, PEP 307, 3154, 574), and refuses whatever no pickler
writes, so that nothing can be read here in one way and by the interpreter in another. What it understood it writes
into a `Program`: the loader carries that out, and never looks at the file.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any

from validator.model.safety import inline, opcodes, rules, steps
from validator.model.safety.findings import Log
from validator.model.safety.opcodes import NAMES, BrokenError, MalformedError
from validator.model.safety.policy import ANY, NOWHERE, Policy, leads_nowhere
from validator.model.safety.program import CALL, STATE
from validator.model.safety.report import Limits
from validator.model.safety.runs import Runs, Shape
from validator.model.safety.symbols import Bag, Map, Nest, Obj, Raw, Ref, may_be_called, preview, refs_in

ARRAY_WRAPPER = inline.WRAPPER
_GET, _NUMBER, _REMEMBER = (
    code for name in ("BINGET", "BININT1", "MEMOIZE") for code in NAMES if NAMES[code] == name
)
_LONGEST_PLAIN = 2
_MISSING = object()
# What the memo may give back without a further look: an array's wrapper may not be used twice.
_ANY_TIME = frozenset((Ref, str, Map, list, tuple, Nest, Bag, Raw, bytes, int, float, bool, type(None)))
_RESAVE = "Save the model again with a current pickle or joblib."


class Machine:
    """Follows one pickle stream in `data` from `position` to its STOP.

    `lenient` follows whatever the interpreter's unpickler would follow, however it is spelled, to see what such a
    reading does; without it, what no pickler writes is refused. `inline` takes joblib's arrays out of the stream as
    joblib does, and without `padded` as joblib before 1.2 does; a plain unpickler goes on with their bytes as
    instructions. Frames matter to every reading: joblib
    takes the arrays that are announced in one from behind it, and whoever reads from memory loses what an instruction
    leaves over at its end. `by_shape` takes objects of one shape after the first without a further look (`runs.py`).
    """

    def __init__(
        self, data: bytes, position: int, policy: Policy, log: Log, limits: Limits, level: int = 0,
        *, lenient: bool = False, inline: bool = True, padded: bool = True, by_shape: bool = False,
    ) -> None:  # fmt: skip
        self.data = data
        self.position = position
        self.policy = policy
        self.log = log
        self.limits = limits
        self.level = level
        self.lenient = lenient
        self.inline = inline
        self.padded = padded
        self.by_shape = by_shape
        self.runs = Runs() if by_shape else None
        self.steps = steps.LENIENT if lenient else steps.STEPS
        self.program = log.program
        self.start = position
        self.protocol = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.unnamed = 0  # entries of the memo that objects known by their shape would have made
        self.frame_end = 0
        self.plain_until = 0
        self.code = -1
        self.offset = position

    def run(self) -> Any:
        """The symbol of the object that the stream makes. Raises MalformedError where it cannot be followed."""
        data, memo = self.data, self.memo
        size, known, sizes = len(data), self.steps, opcodes.SIZES
        self._look_ahead(size)
        count = 0
        while True:
            count += 1
            offset = self.position
            # The three instructions that are most of a model, where nothing can be wrong with them.
            if offset < self.plain_until:
                code = data[offset]
                if code == _GET:
                    found = memo.get(data[offset + 1], _MISSING)
                    kind = type(found)
                    if kind in _ANY_TIME or (kind is Obj and found.path != ARRAY_WRAPPER):
                        self.stack.append(found)
                        self.position = offset + 2
                        continue
                elif code == _NUMBER:
                    self.stack.append(data[offset + 1])
                    self.position = offset + 2
                    continue
                elif code == _REMEMBER and self.stack:
                    entry = len(memo) + self.unnamed
                    if entry not in memo:
                        memo[entry] = self.stack[-1]
                        self.position = offset + 1
                        continue
            self.offset = offset
            if offset >= size:
                raise BrokenError("the stream ends before its STOP")
            code = self.code = data[offset]
            step = known.get(code)
            if step is None:
                raise BrokenError(f"byte {code:#04x} is no pickle instruction")
            length = sizes[code]
            if length >= 0 and offset + length < size:  # most instructions: a fixed length, and it is there
                start, end = offset + 1, offset + 1 + length
                self.position = end
            else:
                start, end = opcodes.argument(data, offset + 1, code)
                self.position = opcodes.after(end, code)
            if self.frame_end and self.position >= self.frame_end:
                self._leave_frame()
            self.count_instructions(count)
            count = 0
            if step is steps.stop:
                return self._finish()
            step(self, start, end)

    def count_instructions(self, count: int) -> None:
        """Instructions that were followed elsewhere. Raises MalformedError where there are too many."""
        self.log.opcodes += count
        if self.log.opcodes > self.limits.opcodes:
            raise MalformedError(
                f"there are more than {self.limits.opcodes:,} instructions", "flood of instructions"
            )

    def entries(self) -> int:
        """How many entries the memo has."""
        return len(self.memo) + self.unnamed

    def take(self, shape: Shape, code: bytes, stop: int) -> None:
        """Take an object of a shape that was judged, whose instructions end at `stop`."""
        self.position = stop
        self.count_instructions(shape.instructions)
        symbol = shape.another()
        entry = self.entries() + shape.result
        self.unnamed += shape.entries
        if shape.result >= 0:
            self.memo[entry] = symbol
            self.unnamed -= 1
        self.stack.append(symbol)
        self.program.repeat(shape, code, symbol)

    def enter_frame(self, end: int) -> None:
        """A frame begins, which must end there. No instruction may reach past it."""
        self.frame_end = end
        self._look_ahead(end)

    def _look_ahead(self, end: int) -> None:
        self.plain_until = end - _LONGEST_PLAIN

    @property
    def opcode(self) -> str:
        """The name of the present instruction, empty before the first."""
        return NAMES.get(self.code, "")

    def refuse(self, name: str, use: str, reason: str, hint: str) -> None:
        """Note a finding at the present instruction."""
        self.log.add(name, use, self.offset, reason, hint, self.opcode)

    def pop(self) -> Any:
        if not self.stack:
            raise BrokenError("an instruction takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Any:
        if not self.stack:
            raise BrokenError("an instruction looks at an empty stack")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        if not self.marks:
            raise BrokenError("an instruction looks for a mark that is not there")
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def check_values(self, items: list[Any]) -> None:
        """Refuse each global among the items that may not stand as a plain value."""
        before: Any = None
        for item in items:
            for ref in refs_in(item):
                self.log.use(ref, "value")
                named = "array" in ref.uses and type(before) is str and before == "subclass"
                if not named and not ref.uses & {"value", ANY}:
                    self.log.refuse_ref(ref, "value", "is put into the model as a value")
            before = item

    def call(self, target: Any, arguments: tuple[Any, ...], use: str, keywords: Map | None = None) -> Any:
        """What calling (or constructing) `target` would give, after checking that it may be called so."""
        made = self._called(target, arguments, use, keywords)
        if type(made) is Obj:
            self.program.settle(arguments)
            self.program.add(CALL, made, target, arguments, keywords, use)
        return made

    def _called(self, target: Any, arguments: tuple[Any, ...], use: str, keywords: Map | None) -> Any:
        if self.lenient and not may_be_called(target):
            raise BrokenError("something that cannot be called is called")
        if type(target) is not Ref:
            self.refuse(
                f"{preview(target)}",
                use,
                "is called, though it is no class or function of the allowlist",
                _RESAVE,
            )
            return Obj("unknown", ANY, ANY)
        if target.rule == NOWHERE:
            raise BrokenError(f"there is no {target.path}")
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
        if self.lenient and type(target) is Obj:
            target.build = target.again
        if type(target) is Obj and target.build:
            try:
                made = rules.build(self, target, state)
            except rules.RefusedError as error:
                self.refuse(target.path, "build", error.reason, error.hint)
                return target
            if made is target:
                self.program.settle(state)
                self.program.add(STATE, target, state)
            target.full = True
            return made
        if self.lenient and type(target) not in (Obj, Ref):
            return target  # it has no attributes: the interpreter raises, or does nothing
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
        if self.lenient and not ref.uses and leads_nowhere(ref):
            # Somewhere there may be such a module: the reading goes on until it is called.
            ref.rule = NOWHERE
        else:
            self.log.found(ref)
        return ref

    def _leave_frame(self) -> None:
        if self.position > self.frame_end:
            raise MalformedError("an instruction reaches past the end of its frame")
        self.frame_end = 0
        self._look_ahead(len(self.data))

    def _finish(self) -> Any:
        result = self.pop()
        if self.lenient:
            return result
        if self.stack or self.marks:
            raise MalformedError("values are left on the stack at the end: something was run and hidden")
        if self.frame_end:
            raise MalformedError("the stream ends inside a frame")
        self.check_values([result])
        return result
