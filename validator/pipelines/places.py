"""Where fitted estimators keep other fitted estimators, to look at those or to put others there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from validator.python39 import dataclass


@dataclass(frozen=True)
class Place:
    """`name` is the attribute that holds it."""

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], None]


_SINGLE = (
    "estimator_",
    "base_estimator_",
    "final_estimator_",
    "best_estimator_",
    "regressor_",
)
_LISTS = ("estimators_", "calibrated_classifiers_")
_NAMED = ("steps", "transformers_", "transformer_list", "named_estimators_")


def places_in(step: Any) -> Iterator[Place]:
    """Where a fitted estimator keeps other fitted estimators."""
    for name in _SINGLE:
        inner = getattr(step, "__dict__", {}).get(name)  # some releases have a property of that name, too
        if hasattr(inner, "get_params"):
            yield Place(name, lambda inner=inner: inner, lambda new, name=name: setattr(step, name, new))  # type: ignore[misc]
    inner = getattr(step, "estimator", None)
    if type(step).__name__ == "_CalibratedClassifier" and hasattr(inner, "get_params"):
        yield Place("estimator", lambda: inner, lambda new: setattr(step, "estimator", new))
    for name in _LISTS:
        held = getattr(step, name, None)
        if isinstance(held, list):
            yield from (_in_list(name, held, i) for i, item in enumerate(held) if hasattr(item, "__dict__"))
    for name in _NAMED:
        held = getattr(step, name, None)
        if isinstance(held, list):
            yield from (
                _in_tuple(name, held, i) for i, item in enumerate(held) if hasattr(item[1], "get_params")
            )


def _in_list(name: str, held: list[Any], index: int) -> Place:
    return Place(name, lambda: held[index], lambda new: held.__setitem__(index, new))


def _in_tuple(name: str, held: list[Any], index: int) -> Place:
    def put(new: Any) -> None:
        called, _, *rest = held[index]
        held[index] = (called, new, *rest)

    return Place(name, lambda: held[index][1], put)


def fitted_inside(model: Any) -> Iterator[tuple[str, Any]]:
    """The fitted models that a model keeps, each with the name of the attribute that holds it."""
    return ((place.name, place.get()) for place in places_in(model))


def inner_models(model: Any) -> Iterator[Any]:
    """A fitted model and all that it holds, itself first."""
    yield model
    for place in places_in(model):
        yield from inner_models(place.get())
