"""Loading a pickle or joblib file after it was scanned: the second layer, which can import permitted names only.

joblib's own loader is not used: its arrays of objects go through a plain `pickle.load` in versions before 1.4, so
that no `find_class` of ours would see them. The inline arrays are read here instead.
"""

from __future__ import annotations

import importlib
import inspect
import io
import pickle
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from validator.errors import ModelError, UnsafeModelError
from validator.extras import OF_MODELS, install_line
from validator.model.formats import HEAD_BYTES, compression_of
from validator.model.safety.compression import CompressionError, inflate
from validator.model.safety.machine import ARRAY_WRAPPER
from validator.model.safety.pickles import scan_pickle
from validator.model.safety.policy import ANY, Policy
from validator.model.safety.report import DEFAULT_LIMITS, Limits, SafetyReport
from validator.model.safety.symbols import Ref

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WRAPPER_MODULE, _, _WRAPPER_NAME = ARRAY_WRAPPER.rpartition(".")


def load(
    data: bytes, *, allow: Iterable[str] = (), trust: bool = False, limits: Limits = DEFAULT_LIMITS
) -> Any:
    """The object in a pickle or joblib file, made with permitted names only.

    `allow` holds the user's patterns; `trust` skips both layers and runs whatever the file says (the caller answers
    for it, and for the process it happens in). Raises UnsafeModelError with the first findings where the scan refuses
    the file, ModelError where it is damaged or needs names that the installed libraries lack.
    """
    patterns = tuple(allow)
    if trust:
        policy: Policy | None = None
    else:
        policy = Policy(patterns)
        refuse_unsafe(scan_pickle(data, allow=patterns, limits=limits))
    try:
        stream = inflate(data, compression_of(data[:HEAD_BYTES]), limits)
    except CompressionError as error:
        raise ModelError(f"{error.name}: {error.reason}", hint=error.hint) from error
    # The interpreter's fast unpickler cannot stop for arrays that lie between its instructions.
    fast = b"joblib.numpy_pickle" not in stream
    unpickler = FastUnpickler(stream, policy) if fast else RestrictedUnpickler(stream, policy)
    try:
        return unpickler.load()
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
    ) as error:
        raise ModelError(
            f"the model cannot be unpickled: {type(error).__name__}: {error}",
            hint="It was damaged, or saved with versions of its libraries that the installed ones cannot read.",
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


def find_permitted(policy: Policy | None, module: str, name: str) -> Any:
    """The object of that name if the policy permits it (any, without a policy), from the installed libraries.

    Raises UnsafeModelError for names that are not permitted, ModelError for those that are not installed.
    """
    if (module, name) == (_WRAPPER_MODULE, _WRAPPER_NAME):
        return InlineArray
    if policy is None:
        return _look_up(*_translated(module, name), dotted=True)
    ref = Ref(module, name, 0, "")
    policy.permit(ref)
    if not ref.uses:
        ref = Ref(*_translated(module, name), 0, "")
        policy.permit(ref)
    if not ref.uses:
        raise UnsafeModelError(
            f"the model asks for {ref.path}, which is not permitted", hint=policy.hint(ref)
        )
    found = _look_up(ref.module, ref.name, dotted=False)
    if ANY in ref.uses:
        _refuse_borrowed(ref, found)
    if ref.name == "_ufunc_reconstruct":
        return lambda part, ufunc: find_permitted(policy, part, ufunc)
    return found


def _translated(module: str, name: str) -> tuple[str, str]:
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[(module, name)]
    return IMPORT_MAPPING.get(module, module), name


def _look_up(module: str, name: str, *, dotted: bool) -> Any:
    try:
        found: Any = importlib.import_module(_renamed(module))
        for part in name.split(".") if dotted else [name]:
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"the model needs {module}.{name}, which is not installed here: {error}",
            hint=_install(module),
        ) from error
    return found


def _install(module: str) -> str:
    if isinstance(module, str) and module.split(".", maxsplit=1)[0] in OF_MODELS:
        try:
            importlib.import_module(module.split(".", maxsplit=1)[0])
        except ImportError:
            return f"{install_line(module)} brings the library; `inspect` shows the version the model was saved with."
    return "Install the versions that the model was saved with (`inspect` shows them)."


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
            hint="Vouch for the classes and functions of your own package only.",
        )


class FastUnpickler(pickle.Unpickler):
    """The interpreter's unpickler, limited to permitted names."""

    def __init__(self, stream: bytes, policy: Policy | None) -> None:
        super().__init__(io.BytesIO(stream))
        self._policy = policy

    def find_class(self, module: str, name: str, /) -> Any:
        return find_permitted(self._policy, module, name)


class InlineArray:
    """What joblib's wrapper turns into while its attributes are read; the array follows in the stream."""


# The interpreter's own Python version, which joblib builds on too: the type stubs know little of it.
_PythonUnpickler: Any = pickle._Unpickler


class RestrictedUnpickler(_PythonUnpickler):  # type: ignore[misc]
    """The unpickler in Python, limited to permitted names, that reads joblib's inline arrays in passing."""

    def __init__(self, stream: bytes | io.BytesIO, policy: Policy | None) -> None:
        self._stream = stream if isinstance(stream, io.BytesIO) else io.BytesIO(stream)
        self._policy = policy
        super().__init__(self._stream)

    def find_class(self, module: str, name: str, /) -> Any:
        return find_permitted(self._policy, module, name)

    def _load_build(self) -> None:
        wrapper = self.stack[-2]
        if type(wrapper) is not InlineArray:
            super().load_build()
            return
        state = self.stack.pop()
        self.stack[-1] = self._read_array(state)

    dispatch: ClassVar[dict[int, Any]] = {**_PythonUnpickler.dispatch, pickle.BUILD[0]: _load_build}

    def _read_array(self, state: dict[str, Any]) -> NDArray[Any]:
        import numpy as np

        dtype, shape = state["dtype"], tuple(state["shape"])
        if dtype.hasobject:
            return np.asarray(type(self)(self._stream, self._policy).load())
        if state.get("numpy_array_alignment_bytes") is not None:
            self._stream.read(self._stream.read(1)[0])
        length = dtype.itemsize
        for size in shape:
            length *= size
        content = self._stream.read(length)
        if len(content) != length:
            raise pickle.UnpicklingError(f"an array of {length:,} bytes is cut off after {len(content):,}")
        flat = np.frombuffer(content, dtype=dtype) if length else np.empty(0, dtype)
        made = flat.reshape(shape[::-1]).T if state["order"] == "F" else flat.reshape(shape)
        # In the machine's own byte order, as pickle and joblib give them: compiled code knows no other.
        copied = made.astype(dtype.newbyteorder("="), order="F" if state["order"] == "F" else "C", copy=True)
        return copied.view(np.matrix) if state["subclass"] is np.matrix else copied
