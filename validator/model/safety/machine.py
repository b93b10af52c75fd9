"""A pickle machine whose objects are symbols: it follows every instruction and imports, calls and builds nothing.

It has the stack, marks and memo of the real one (pickle.py, PEP 307, 3154, 574), and refuses whatever no pickler
writes, so that nothing can be read here in one way and by the interpreter in another.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from typing import Any

from validator.model.safety import inline, opcodes, rules, steps
from validator.model.safety.findings import Log
from validator.model.safety.opcodes import NAMES, MalformedError
from validator.model.safety.policy import ANY, Policy
from validator.model.safety.report import Limits
from validator.model.safety.symbols import Map, Obj, Ref, preview, refs_in

ARRAY_WRAPPER = inline.WRAPPER
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
            step = steps.STEPS.get(code)
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
            if step is steps.stop:
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
