"""What loading a file would do, as the scanner understood it: a list of steps, in the order of the file.

The scanner writes it down while it follows a pickle, and the loader carries it out. The file's own bytes are read
once, by the scanner: nothing is left that a second reader could read in another way.
"""

from __future__ import annotations

from typing import Any

from validator.model.safety.symbols import Bag, Map, Nest

CALL = "call"
INLINE = "inline"
ITEMS = "items"
STATE = "state"

#: What holds other values.
_HOLDING = frozenset((list, Map, Bag, tuple, Nest))


class Program:
    """Steps over the symbols of `symbols.py`; each container and object is filled by steps of its own.

    A step is a tuple: (CALL, object, global, arguments, keywords, use), (INLINE, array, wrapper's state),
    (ITEMS, container, items, list or dict or set) or (STATE, object, state).
    """

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []
        self.result: Any = None
        # Containers that were looked at: what they held then is what they hold for good.
        self._settled: dict[int, Any] = {}

    def add(self, *step: Any) -> None:
        """Write down one step."""
        self.steps.append(step)

    def settle(self, value: Any) -> None:
        """From now on nothing may be added to this list or dictionary, nor to those in this tuple."""
        if type(value) not in _HOLDING:
            return
        waiting = [value]
        while waiting:
            item = waiting.pop()
            if type(item) not in _HOLDING:
                continue
            known = id(item) in self._settled
            self._settled[id(item)] = item
            if isinstance(item, tuple) and not known:
                waiting.extend(item)

    def is_settled(self, value: Any) -> bool:
        """Whether the container may not grow any more."""
        return id(value) in self._settled
