"""What loading a file would do, as the scanner understood it: a list of steps, in the order of the file.

The scanner writes it down while it follows a pickle, and the loader carries it out. The file's own bytes are read
once, by the scanner: nothing is left that a second reader could read in another way.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from validator.model.safety.symbols import Bag, Map, Nest

CALL = "call"
INLINE = "inline"
ITEMS = "items"
STATE = "state"
REPEAT = "repeat"

#: What holds other values.
_HOLDING = frozenset((list, Map, Bag, tuple, Nest))
_TUPLES = frozenset((tuple, Nest))


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: millions of symbols are made, none is garbage, and every look at them costs."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Program:
    """Steps over the symbols of `symbols.py`; each container and object is filled by steps of its own.

    A step is a tuple: (CALL, object, global, arguments, keywords, use), (INLINE, array, wrapper's state),
    (ITEMS, container, items, list or dict or set), (STATE, object, state) or (REPEAT, shape, codes, objects).
    """

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.result: Any = None
        # Containers that were looked at: what they held then is what they hold for good.
        self._settled: dict[int, Any] = {}

    def add(self, *step: Any) -> None:
        """Write down one step."""
        self.steps.append(step)

    def repeat(self, shape: Any, code: bytes, target: Any) -> None:
        """Write down an object of a shape that was judged before."""
        last = self.steps[-1] if self.steps else ()
        if last and last[0] is REPEAT and last[1] is shape:
            last[2].append(code)
            last[3].append(target)
        else:
            self.steps.append((REPEAT, shape, [code], [target]))

    def settle(self, value: Any) -> None:
        """From now on nothing may be added to this list or dictionary, nor to those in this tuple."""
        waiting = [value]
        while waiting:
            item = waiting.pop()
            kind = type(item)
            if kind in _TUPLES:
                # A tuple itself cannot grow: only what it holds is of interest, and once.
                if id(item) not in self._settled and not _HOLDING.isdisjoint(map(type, item)):
                    self._settled[id(item)] = item
                    waiting.extend(item)
            elif kind in _HOLDING:
                self._settled[id(item)] = item

    def is_settled(self, value: Any) -> bool:
        """Whether the container may not grow any more."""
        return id(value) in self._settled
