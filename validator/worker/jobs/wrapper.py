"""The user's own wrapper, asked as its callers ask it."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from validator.libraries.frames import frame_or_columns, mappings
from validator.outputs import Outputs, concatenate, same
from validator.sandbox import wire
from validator.sandbox.inside.child import describe_error
from validator.sandbox.packing import unpack_table
from validator.table import Table
from validator.worker.sabotage import LAST, SPOILT, models_in, sabotaged
from validator.worker.serving import Answer, ServingJob
from validator.worker.wrapper import Methods, absent, find, loaders, present, start
from validator.worker.wrapper_answers import AnswerError, Reader, aligned, labels_of
from validator.worker.wrapper_calls import adapted, context_of, settled
from validator.worker.wrapper_hints import hinted
from validator.worker.wrapper_reuse import relabelled, reused

#: Role of the method, the bound method, and what it is given.
Given = Tuple[str, Any, Any]


class WrapperModel:
    """A wrapper behind the interface of every served model. One row goes through its method for one row."""

    def __init__(self, wrapper: Any, names: Methods, reader: Reader, path: str = "") -> None:
        self.wrapper = wrapper
        self.names = names
        self.methods = present(wrapper, names)
        self._reader = reader
        single = getattr(wrapper, self.methods["single"]) if "single" in self.methods else None
        self._calls = {
            role: adapted(getattr(wrapper, name), role, context=context_of(path), single=single)
            for role, name in self.methods.items()
        }

    def inputs(self, table: Table) -> Given:
        """The method that production would call for so many rows, and what it would pass."""
        order = ("single", "predict", "batch") if len(table) == 1 else ("predict", "batch", "single")
        return self.inputs_by(next(role for role in order if role in self.methods), table)

    def inputs_by(self, method: str, table: Table) -> Given:
        """What the method for `predict`, `single` or `batch` is given for these rows."""
        bound = self._calls[method]
        if method == "predict":
            return method, bound, frame_or_columns(table)
        rows = mappings(table)
        return method, bound, rows if method == "batch" or len(rows) != 1 else rows[0]

    def cut(self, table: Table, rows: int, starts: Sequence[int]) -> List[Given]:
        """The inputs of so many rows from each of `starts` on."""
        return [self.inputs(table.take(slice(at, at + rows))) for at in starts]

    def from_array(self, array: Any) -> Given:
        """A bare array to the method for tables, or for one row where there is no other."""
        role = next(role for role in ("predict", "batch", "single") if role in self.methods)
        return role, self._calls[role], array

    def call(self, given: Given) -> Any:
        role, method, argument = given
        if role == "single" and isinstance(argument, list):
            return [method(row) for row in argument]
        return method(argument)

    def predict(self, given: Given) -> Outputs:
        with hinted():
            answer = self.call(given)
        return self.read(given, answer)

    def read(self, given: Given, answer: Any) -> Outputs:
        """What the method's answer holds. Raises AnswerError for what is no answer."""
        role, _, argument = given
        if role != "single":
            return self._reader.read(aligned(answer, labels_of(argument)))
        rows = answer if isinstance(argument, list) else [answer]
        return concatenate([self._reader.read(row, single=True) for row in rows])


class WrapperJob(ServingJob):
    """Operations `load`, `learn`, `load_broken`, what a service owes besides, and those of every serving job."""

    def __init__(
        self,
        task: str,
        classes: Sequence[Any] = (),
        module: str = "",
        attribute: str = "",
        file: Optional[str] = None,
        methods: Optional[Dict[str, str]] = None,
        folder: str = "",
        inside: str = "",
    ) -> None:
        super().__init__()
        self._reader = Reader(task, classes)
        self._code = (module, attribute, file)
        self._names = Methods(**methods) if methods else Methods()
        self._mlflow = (folder, inside)
        self._held: Optional[WrapperModel] = None

    @property
    def _wrapped(self) -> WrapperModel:
        if self._held is None:
            raise RuntimeError("no wrapper is loaded")
        return self._held

    def load(self, arrays: wire.Arrays, file_name: str) -> Answer:
        """The model's bytes in, for a file of that name; what the wrapper is, and how long it took to load, out."""
        path = Path(file_name).resolve()
        path.write_bytes(bytes(arrays[0]))
        found = self._found()
        started = time.perf_counter()
        with hinted():
            made = start(found, str(path), self._names)
        elapsed = (time.perf_counter() - started) * 1000
        wrapper, names = made.wrapper, made.names
        self._model = self._held = model = WrapperModel(wrapper, names, self._reader, str(path))
        return {
            "load_ms": elapsed,
            "wrapper": f"{type(wrapper).__module__}.{type(wrapper).__qualname__}",
            "methods": model.methods,
            "absent": absent(wrapper, names),
            "mlflow": bool(self._mlflow[0]),
            "has_path": made.has_path,
            "loaders": [] if made.has_path else loaders(wrapper, names)[:20],
        }, []

    def learn(self, arrays: wire.Arrays, table: Any) -> Answer:
        """What kind of answers the wrapper gives, from those to many rows. Raises what the wrapper raises."""
        model = self._wrapped
        given = model.inputs(unpack_table(table, arrays))
        self._reader.learn(aligned(model.call(given), labels_of(given[2])))
        return {}, []

    def load_broken(self, arrays: wire.Arrays, file_name: str, table: Any, row: int) -> Answer:
        """The same with a broken file, none where `row` arrays are all there are; then one row is asked for.

        What the wrapper's metadata then tells comes out. Raises what the wrapper raises.
        """
        path = Path(file_name).resolve()
        if len(arrays) > row:
            path.write_bytes(bytes(arrays[row]))
        made = start(self._found(), str(path), self._names)
        model = WrapperModel(made.wrapper, made.names, self._reader, str(path))
        model.predict(model.inputs(unpack_table(table, arrays[:row])))
        return {"metadata": _texts(_asked(made.wrapper, made.names.metadata))}, []

    def tell(self, arrays: wire.Arrays) -> Answer:
        """What the wrapper's metadata tells, as texts; None where it has none."""
        return {"metadata": _texts(_asked(self._wrapped.wrapper, self._names.metadata))}, []

    def track(self, arrays: wire.Arrays, table: Any) -> Answer:
        """One call to each method on these rows, and the wrapper's latency figures before and after."""
        model = self._wrapped
        rows = unpack_table(table, arrays)
        figures = _figures(_asked(model.wrapper, self._names.latency))
        tracked, growth = figures is not None, {}
        for method in model.methods:
            model.predict(model.inputs_by(method, rows))
            before, figures = figures, _figures(_asked(model.wrapper, self._names.latency))
            growth[method] = [before, figures]
        return {"tracked": tracked, "growth": growth}, []

    def sabotage(self, arrays: wire.Arrays, table: Any) -> Answer:
        """Each method's reaction to a model that answers nonsense: the error, or whether its answer is sound."""
        model = self._wrapped
        rows = unpack_table(table, arrays)
        models = models_in(model.wrapper)
        trials = []
        for method in model.methods:
            clean = model.predict(model.inputs_by(method, rows))
            for what, value in {**SPOILT, LAST: SPOILT["NaN"]}.items():
                if what == LAST and method == "single":
                    continue
                with sabotaged(models, value, last=what == LAST) as spoiler:
                    trial = {"method": method, "what": what, **_trial(model, method, rows, clean)}
                if spoiler.applied or what == "NaN":
                    trials.append(trial)
        return {"models": sorted({type(held).__name__ for held in models})[:20], "trials": trials}, []

    def reuse(self, arrays: wire.Arrays, table: Any) -> Answer:
        """Each method with one object twice: is it changed, answered alike, and does the first answer stay?"""
        model = self._wrapped
        rows = unpack_table(table, arrays)
        trials = [reused(model, method, rows) for method in model.methods]
        return {"trials": trials, "labels": relabelled(model, rows)}, []

    def _found(self) -> Any:
        if self._mlflow[0]:
            from validator.worker.pyfunc import Pyfunc

            return Pyfunc(*self._mlflow)
        return find(*self._code)


def _trial(model: WrapperModel, method: str, rows: Table, clean: Outputs) -> Dict[str, Any]:
    given = model.inputs_by(method, rows)
    try:
        raw = model.call(given)
    except Exception as error:  # the wrapper may refuse with whatever it likes
        return {"error": describe_error(error)["type"], "message": str(error)[:300]}
    try:
        answer = model.read(given, raw)
    except AnswerError as error:  # not the wrapper's error, but ours: it answered something
        return {"error": None, "message": str(error)[:300], "stated": _states(raw)}
    stated = _states(raw) or _states(_asked(model.wrapper, model.names.metadata))
    return {"error": None, "unmoved": same(answer, clean), "sound": _is_sound(answer), "stated": stated}


#: By these a wrapper says that an answer is not its model's.
_STATING = frozenset({"fallback", "is_fallback", "flagged", "is_flagged", "on_invalid"})


def _states(answer: Any) -> bool:
    """Whether an answer, or a wrapper's metadata, says of itself that it is a fallback or not valid."""
    if isinstance(answer, (list, tuple)):
        return any(_states(item) for item in answer)
    held = answer if isinstance(answer, dict) else getattr(answer, "__dict__", None) or _slots(answer)
    if not isinstance(held, dict):
        return False
    valid = held.get("valid", held.get("is_valid", True))
    return not _all(valid) or any(_some(held[name]) for name in _STATING & held.keys())


def _slots(value: Any) -> Dict[str, Any]:
    return {name: getattr(value, name, None) for name in getattr(type(value), "__slots__", ())}


def _all(value: Any) -> bool:
    import numpy as np

    return bool(np.all(np.asarray(value, dtype=object).astype(bool)))


def _some(value: Any) -> bool:
    import numpy as np

    return value is not None and bool(np.any(np.asarray(value, dtype=object).astype(bool)))


def _is_sound(answer: Outputs) -> bool:
    """Finite, and probabilities where they belong."""
    probabilities = answer.probabilities
    in_range = probabilities is None or bool(((probabilities >= 0) & (probabilities <= 1)).all())
    return answer.is_finite and in_range


def _asked(wrapper: Any, name: str) -> Any:
    """What a method without arguments, or an attribute, of that name holds; None where there is none."""
    found = getattr(wrapper, name, None) if name else None
    return settled(found()) if callable(found) else found


def _texts(value: Any, depth: int = 3) -> Optional[Dict[str, str]]:
    """A mapping, or an object's attributes, as texts by name; what is nested under its path."""
    if value is None:
        return None
    if not isinstance(value, dict):
        value = vars(value) if hasattr(value, "__dict__") else {"": value}
    texts: Dict[str, str] = {}
    for name, held in list(value.items())[:100]:
        if isinstance(held, dict) and depth > 1:
            texts.update({f"{name}.{inner}": text for inner, text in (_texts(held, depth - 1) or {}).items()})
        else:
            texts[str(name)[:100]] = str(held)[:500]
    return texts


def _figures(stats: Any) -> Optional[Dict[str, float]]:
    """The numbers among latency figures, by name."""
    if stats is None:
        return None
    if not isinstance(stats, dict):
        slots = getattr(type(stats), "__slots__", ())
        stats = getattr(stats, "__dict__", None) or {name: getattr(stats, name, None) for name in slots}
    return {
        str(name)[:100]: float(value)
        for name, value in list(stats.items())[:100]
        if isinstance(value, (int, float)) and math.isfinite(value)
    }
