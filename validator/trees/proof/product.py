"""Where two trees look different: do they answer differently, and for which input?

Both are walked at once over boxes of inputs, and a branch that no input can take is left out. So the answer is
exact: either no input of the domain tells the trees apart, or a box of inputs that does is found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from validator.trees.proof.canonical import Domain, SetStore, Walk
from validator.trees.proof.region import Region, split, whole

LeavesDiffer = Callable[[int, int], bool]
"""Of a native leaf and an ONNX leaf."""


@dataclass(frozen=True, kw_only=True)
class Witness:
    """A box of inputs for which a native tree ends in one leaf, the ONNX tree in another that differs."""

    region: Region
    native_leaf: int
    onnx_leaf: int


class BudgetExceededError(Exception):
    """Deciding would take more steps than allowed."""


@dataclass(kw_only=True)
class Product:
    """Walks pairs of subtrees until `steps_left` is spent."""

    native: Walk
    onnx: Walk
    store: SetStore
    domain: Domain
    steps_left: int = 400_000

    def difference(self, native: int, onnx: int, region: Region, differ: LeavesDiffer) -> Witness | None:
        """A witness that two subtrees differ within a region, or None where they answer alike.

        Raises BudgetExceededError.
        """
        stack = [(native, onnx, region)]
        while stack:
            a, b, region = stack.pop()
            self.steps_left -= 1
            if self.steps_left < 0:
                raise BudgetExceededError
            if a < 0 and b < 0:
                if differ(~a, ~b):
                    return Witness(region=region, native_leaf=~a, onnx_leaf=~b)
            elif a >= 0:
                for below, part in self._branches(self.native, a, region):
                    stack.append((below, b, part))
            else:
                for below, part in self._branches(self.onnx, b, region):
                    stack.append((a, below, part))
        return None

    def _branches(self, walk: Walk, node: int, region: Region) -> list[tuple[int, Region]]:
        feature = int(walk.feature[node])
        values = region[feature] if feature in region else whole(self.domain, feature)
        parts = split(walk, self.store, node, values, float32=bool(self.domain.float32[feature]))
        children = (int(walk.first[node]), int(walk.second[node]))
        return [
            (child, {**region, feature: part}) for child, part in zip(children, parts, strict=True) if part
        ]
