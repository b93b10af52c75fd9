"""A column by whose values quality is told apart: its commonest values, or the quarters of a number's range."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Tuple

from validator.worker.quality.chunks import Chunks

#: Values shown apart; what is rarer is put together.
MOST_VALUES = 20
_MOST_KNOWN = 10_000
_OTHERS = "other values"


class SliceColumn:
    """One column, as codes where it holds text."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._chunks = Chunks()
        self._codes: Dict[Any, int] = {}

    def add(self, values: Any) -> None:
        """The next rows' values [n]: numbers, or objects that hold text and None."""
        import numpy as np

        if values.dtype != object:
            self._chunks.parts.append(np.array(values))
            return
        known = self._codes
        for value in set(values.tolist()):
            if len(known) < _MOST_KNOWN:
                known.setdefault(value, len(known))
        codes = [known.get(value, -1) for value in values.tolist()]
        self._chunks.parts.append(np.array(codes, dtype=np.int32))

    def groups(self) -> Iterator[Tuple[str, Any]]:
        """(`column=value`, the mask [N] of its rows), the commonest first; what is rarer at the end."""
        import numpy as np

        values = self._chunks.joined()
        if values is None:
            return
        if values.dtype.kind == "f" and len(np.unique(values[: 1 << 20])) > MOST_VALUES:
            yield from self._quarters(values)
            return
        found, counts = np.unique(values, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        names = {code: value for value, code in self._codes.items()}
        shown = [found[i] for i in order if not (self._codes and found[i] == -1)][:MOST_VALUES]
        rest = np.ones(len(values), dtype=bool)
        for value in shown:
            mask = (values == value) | ((values != values) & (value != value))
            rest &= ~mask
            text = names[int(value)] if self._codes else value
            yield f"{self.name}={'missing' if text is None or text != text else text}", mask
        if rest.any():
            yield f"{self.name}: {_OTHERS}", rest

    def _quarters(self, values: Any) -> Iterator[Tuple[str, Any]]:
        import numpy as np

        known = values[np.isfinite(values)]
        edges = np.unique(np.quantile(known, [0.0, 0.25, 0.5, 0.75, 1.0]))
        for i in range(len(edges) - 1):
            low, high = edges[i], edges[i + 1]
            last = i == len(edges) - 2
            mask = (values >= low) & ((values <= high) if last else (values < high))
            yield f"{self.name} {low:.4g} to {high:.4g}", mask
        rest = ~np.isfinite(values)
        if rest.any():
            yield f"{self.name}=missing", rest
