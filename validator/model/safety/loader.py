"""Loading a pickle or joblib file: the scanner's program is carried out, with permitted names only.

No unpickler is used, neither Python's nor joblib's: the file is read once, by the scanner, and objects are made from
what it understood. So no difference between two readers can hide an instruction.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from validator.errors import ModelError, UnsafeModelError
from validator.extras import OF_MODELS, install_line
from validator.model.safety.pickles import read_pickle
from validator.model.safety.policy import ANY, TABLES, Policy, is_old_sklearn, old_sklearn
from validator.model.safety.program import CALL, INLINE, ITEMS, REPEAT, STATE, Program, uncollected
from validator.model.safety.report import DEFAULT_LIMITS, Limits, SafetyReport
from validator.model.safety.runs import Shape, build
from validator.model.safety.symbols import Bag, Map, Obj, Raw, Ref

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))


def load(data: bytes, *, allow: Iterable[str] = (), limits: Limits = DEFAULT_LIMITS) -> Any:
    """The object in a pickle or joblib file, made with permitted names only.

    `allow` holds the user's patterns. Raises UnsafeModelError with the first findings where the scan refuses the
    file, ModelError where it is damaged or needs names that the installed libraries lack.
    """
    patterns = tuple(allow)
    reading = read_pickle(data, allow=patterns, limits=limits)
    refuse_unsafe(reading.report)
    try:
        with uncollected():
            return _Maker(Policy(patterns)).run(reading.program)
    except (EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
            pickle.UnpicklingError) as error:  # fmt: skip
        raise ModelError(
            f"the model cannot be unpickled: {type(error).__name__}: {error}",
            hint="it was damaged, or saved with versions of its libraries that the installed ones cannot read",
        ) from error


def refuse_unsafe(report: SafetyReport) -> None:
    """Raise UnsafeModelError unless the report is clean."""
    if report.ok:
        return
    shown = "; ".join(map(str, report.findings[:5])) or "the scan did not end"
    more = f" (and {len(report.findings) - 5} more)" if len(report.findings) > 5 else ""
    hint = report.findings[0].hint if report.findings else "Scan the file again."
    raise UnsafeModelError(
        f"loading this file would run code that nobody vouched for: {shown}{more}", hint=hint
    )


def find_permitted(policy: Policy, module: str, name: str) -> Any:
    """The object of that name if the policy permits it, from the installed libraries.

    Raises UnsafeModelError for names that are not permitted, ModelError for those that are not installed.
    """
    ref = Ref(module, name, 0, "")
    policy.permit(ref)
    if not ref.uses:
        raise UnsafeModelError(
            f"the model asks for {ref.path}, which is not permitted", hint=policy.hint(ref)
        )
    found = _look_up(ref.module, ref.name)
    if ANY in ref.uses:
        _refuse_borrowed(ref, found)
    return found


def _look_up(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(_renamed(module)), name)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the model needs {module}.{name}, which is not installed here: {error}",
            hint=_install(module),
        ) from error


def _install(module: str) -> str:
    root = module.partition(".")[0]
    if root in OF_MODELS:
        try:
            importlib.import_module(root)
        except ImportError:
            return f"{install_line(module)} brings the library; `inspect` shows the version the model was saved with."
    if is_old_sklearn(module):
        return old_sklearn(module)
    return (
        "Install the versions that the model was saved with (`inspect` shows them), or give `requirements`."
    )


def _renamed(module: str) -> str:
    """The module's name in the installed libraries.

    NumPy 2 calls `numpy.core` `numpy._core`, and warns about the old name. scikit-learn 1.5 to 1.8 write their loss
    module as a bare `_loss`, which would otherwise be looked for along the whole path, a checkout included.
    """
    if module == "_loss":
        return "sklearn._loss._loss"
    if not module.startswith(("numpy.core", "numpy._core")):
        return module
    import numpy as np

    old, new = (
        ("numpy.core", "numpy._core")
        if int(np.__version__.split(".")[0]) >= 2
        else ("numpy._core", "numpy.core")
    )
    return module.replace(old, new, 1)


def _refuse_borrowed(ref: Ref, found: Any) -> None:
    """A pattern vouches for what its module defines, not for what that module imported from elsewhere."""
    home = getattr(found, "__module__", "") or ""
    own = inspect.isclass(found) or inspect.isfunction(found)
    if not own or home.partition(".")[0] != ref.module.partition(".")[0]:
        raise UnsafeModelError(
            f"{ref.path} is not defined in {ref.module} (it comes from {home or 'elsewhere'})",
            hint="vouch for the classes and functions of your own package only",
        )


class _Maker:
    """Carries out a program: symbols in, real objects out."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # By the identity of the symbol; the program keeps the symbols alive.
        self._made: dict[int, Any] = {}

    def run(self, program: Program) -> Any:
        """The object that the program makes."""
        steps: dict[str, Callable[..., None]] = {
            CALL: self._call, INLINE: self._inline, ITEMS: self._items, STATE: self._state,
            REPEAT: self._repeat,
        }  # fmt: skip
        for kind, target, *rest in program.steps:
            steps[kind](target, *rest)
        return self._value(program.result)

    def _value(self, symbol: Any) -> Any:
        """The real object of a symbol; a list, dictionary or set that is met first is still empty."""
        kind = type(symbol)
        if kind in _PLAIN:
            return symbol
        key = id(symbol)
        if key in self._made:
            return self._made[key]
        made: Any
        if kind is list:
            made = []
        elif kind is Map:
            made = {}
        elif kind is Bag:
            made = set() if symbol.kind == "set" else frozenset(self._values(symbol.items))
        elif isinstance(symbol, tuple):
            made = tuple(self._values(symbol))
        elif kind is Raw:
            made = _text_or_bytes(symbol)
        elif kind is Ref:
            made = find_permitted(self._policy, symbol.module, symbol.name)
        else:
            raise UnsafeModelError(
                "the model uses an object before it is made", hint="the file was made to mislead"
            )
        self._made[key] = made
        return made

    def _values(self, symbols: Iterable[Any]) -> list[Any]:
        value = self._value
        return [symbol if type(symbol) in _PLAIN else value(symbol) for symbol in symbols]

    def _call(self, target: Obj, ref: Ref, arguments: tuple[Any, ...], keywords: Any, use: str) -> None:
        function = self._value(ref)
        given = self._values(arguments)
        named = {} if keywords is None else {key: self._value(value) for key, value in keywords.pairs()}
        if use == "construct":
            self._made[id(target)] = function.__new__(function, *given, **named)
        else:
            self._made[id(target)] = function(*given, **named)

    def _items(self, target: Any, items: tuple[Any, ...], kind: str) -> None:
        found = self._value(target)
        real = self._values(items)
        if kind == "set":
            found.update(real)
        elif kind == "dict":
            for key, value in zip(real[::2], real[1::2]):  # noqa: B905 - Python 3.9
                found[key] = value
        else:
            found.extend(real)

    def _state(self, target: Obj, state: Any) -> None:
        """As `pickle._Unpickler.load_build`."""
        found, given = self._value(target), self._value(state)
        _refuse_shadows(target, found, given)
        setter = getattr(found, "__setstate__", None)
        if setter is not None:
            setter(given)
            return
        slots = None
        if type(given) is tuple and len(given) == 2:
            given, slots = given
        if given:
            attributes = found.__dict__
            for key, value in given.items():
                attributes[sys.intern(key)] = value
        for key, value in (slots or {}).items():
            setattr(found, key, value)

    def _repeat(self, shape: Shape, codes: list[bytes], targets: list[Any]) -> None:
        self._made.update(zip(map(id, targets), build(codes, self._values(shape.outside))))  # noqa: B905 - Python 3.9

    def _inline(self, target: Obj, state: Map) -> None:
        """joblib's array, from the bytes that the scanner counted off. As `NumpyArrayWrapper.read_array`."""
        import numpy as np

        shape, known, raw = target.detail
        dtype = self._value(state.get("dtype"))
        if dtype.hasobject or dtype.itemsize != known.itemsize:
            raise UnsafeModelError(
                f"an array's type {dtype} is not the one that was scanned",
                hint="the file was made to mislead",
            )
        count = len(raw) // dtype.itemsize if dtype.itemsize else 0
        flat: NDArray[Any] = np.empty(0, dtype)
        if count:
            flat = np.frombuffer(raw.source, dtype=dtype, count=count, offset=raw.start)
        by_column = state.get("order") == "F"
        made = flat.reshape(shape[::-1]).T if by_column else flat.reshape(shape)
        # In the machine's own byte order, as pickle and joblib give them: compiled code knows no other.
        copied = made.astype(dtype.newbyteorder("="), order="F" if by_column else "C", copy=True)
        is_matrix = self._value(state.get("subclass")) is np.matrix
        self._made[id(target)] = copied.view(np.matrix) if is_matrix else copied


def _refuse_shadows(target: Obj, found: Any, given: Any) -> None:
    """A function among the attributes must not take the place of a method of a library's class."""
    if target.path.partition(".")[0] not in TABLES:
        return
    parts = given if isinstance(given, tuple) and len(given) == 2 else (given,)
    for part in parts:
        for key, value in part.items() if isinstance(part, dict) else ():
            if callable(value) and _is_method(type(found), key):
                raise UnsafeModelError(
                    f"{target.path} gets an attribute {key!r} that stands in the place of its method",
                    hint="find out who made the file; do not load it elsewhere",
                )


def _is_method(kind: type, name: str) -> bool:
    """Whether the class has a function there, or what gives one: a class method, or one that depends on the model."""
    method = inspect.getattr_static(kind, name, None)
    if inspect.isdatadescriptor(method) and not inspect.isroutine(method):
        return False  # a property: no attribute stands before it
    return callable(method) or hasattr(type(method), "__get__")


def _text_or_bytes(raw: Raw) -> Any:
    content = raw.content()
    if raw.kind == "str":
        return content.decode("utf-8", "surrogatepass")
    return bytearray(content) if raw.kind == "bytearray" else content
