"""ONNX Runtime behind the contract: opening the session, and putting encoded columns into its inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from validator import onnx_runtime, row_order
from validator.serving.breach import Breach
from validator.serving.contract import Feature, ServedContract
from validator.serving.errors import FailedArtifactError, InferenceError, OptionError
from validator.serving.intake import MANY_ROWS
from validator.serving.numbers import encode_numbers
from validator.serving.texts import encode_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FEW_COLUMNS = 8
OUTPUTS = onnx_runtime.OUTPUTS


def open_session(onnx: bytes, *, threads: int, options: Any, providers: Sequence[str]) -> Any:
    """An `onnxruntime.InferenceSession`, quiet, without telemetry. Raises FailedArtifactError when it is refused.

    `options` and `threads` are those of `onnx_runtime.open_session`.
    """
    import onnxruntime

    _check_options(threads, providers, onnxruntime.get_available_providers())
    try:
        return onnx_runtime.open_session(onnx, threads=threads, options=options, providers=providers)
    except onnx_runtime.SessionError as error:
        raise FailedArtifactError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load model.onnx: {str(error)[:500]}",
            hint="install the version of onnxruntime that the manifest names, or validate the model again",
        ) from error


def _check_options(threads: int, providers: Sequence[str], available: Sequence[str]) -> None:
    if type(threads) is not int or threads < 0:
        raise OptionError(f"threads is {threads!r}", hint="give a whole number; 0 lets ONNX Runtime choose")
    if isinstance(providers, str) or not providers:
        raise OptionError(f"providers is {providers!r}", hint="give a list, such as ['CPUExecutionProvider']")
    lacking = [one for one in providers if (one if isinstance(one, str) else one[0]) not in available]
    if lacking:
        raise OptionError(f"this ONNX Runtime has no {lacking[0]!r}", hint=f"it has {', '.join(available)}")


def is_interruption(error: BaseException, session: Any) -> bool:
    """Whether something else than the session raised this, such as a signal handler that ends a task in time.

    Python runs such handlers between two instructions of whatever is under way: their exception has frames of its own
    below ours and ONNX Runtime's, and must reach the caller.
    """
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = "" if frame is None else str(frame.tb_frame.f_globals.get("__name__"))
    own = ("validator", "numpy", type(session).__module__.split(".")[0])
    return frame is not None and where.split(".")[0] not in own


@dataclass(frozen=True, kw_only=True)
class Input:
    """One of the session's inputs: [N, F] where it takes the whole matrix, [N, 1] where it takes one column."""

    name: str
    dtype: np.dtype[Any]


class OnnxModel:
    """A session that takes the contract's features."""

    def __init__(self, session: Any, contract: ServedContract) -> None:
        self.session = session
        inputs = session.get_inputs()
        self.is_matrix = len(inputs) == 1 and _takes_matrix(inputs[0], contract)
        self.inputs = {item.name: Input(name=item.name, dtype=_dtype(item)) for item in inputs}
        given = [item.name for item in session.get_outputs()]
        self.outputs = _outputs(given, contract)
        if not self.outputs:
            raise _unfit(f"its outputs are {', '.join(given[:5])}")
        self._output_names = list(self.outputs.values())
        self._order = row_order.features_of(session) if self.is_matrix else ()
        if not self.is_matrix and self.inputs.keys() != set(contract.names):
            raise _unfit(f"its inputs are {', '.join(list(self.inputs)[:12])}, not the contract's features")
        self._encoders = [
            (
                feature,
                encode_texts if feature.kind in ("string", "category") else encode_numbers,
                next(iter(self.inputs.values())).dtype if self.is_matrix else self.inputs[feature.name].dtype,
            )
            for feature in contract.features
        ]
        self._together = _Together(self._encoders)

    def encode(self, columns: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], list[Breach]]:
        """Every feature's values [N] in its input's type, and what is wrong in them."""
        encoded: dict[str, NDArray[Any]] = {}
        breaches: list[Breach] = []
        sound = self._together.sound(columns)
        for feature, encode, dtype in self._encoders:
            if (plain := sound.get(feature.name)) is not None:
                encoded[feature.name] = plain
                continue
            encoded[feature.name], found = encode(feature, columns[feature.name], dtype)
            breaches += found
        return encoded, breaches

    def feed(self, encoded: Mapping[str, NDArray[Any]], rows: NDArray[Any] | None) -> dict[str, NDArray[Any]]:
        """The session's inputs from encoded columns; only those `rows` [N] where a mask is given."""
        taken = encoded if rows is None else {name: column[rows] for name, column in encoded.items()}
        if not self.is_matrix:
            return {name: taken[name].reshape(-1, 1) for name in self.inputs}
        (only,) = self.inputs.values()
        columns = list(taken.values())
        matrix = np.empty((len(columns[0]), len(columns)), dtype=only.dtype)
        for i, column in enumerate(columns):
            matrix[:, i] = column
        return {only.name: matrix}

    def run(self, feed: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
        """Outputs by our names, as the runtime gives them. Raises InferenceError."""
        try:
            if self._order:
                ((name, rows),) = feed.items()
                answers = row_order.run_sorted(
                    lambda given: self.session.run(self._output_names, {name: given}), rows, self._order
                )
            else:
                answers = self.session.run(self._output_names, feed)
        except Exception as error:  # the runtime's exceptions have no common base but this
            if is_interruption(error, self.session):
                raise
            raise InferenceError(
                f"ONNX Runtime broke off the call: {str(error)[:500]}",
                hint="the input fits the contract; validate the model again, with rows like this one in its sample",
            ) from error
        return dict(zip(self.outputs, answers, strict=True))


class _Together:
    """Finds the columns that need no look of their own, all at once: it is the looking that costs, column by column.

    Such a column is an array of its input's own float type, or the float of a single row, in which every value is
    finite and within its limits.
    """

    def __init__(self, encoders: Sequence[tuple[Feature, Any, np.dtype[Any]]]) -> None:
        numbers = [(one, dtype) for one, _, dtype in encoders if one.kind == "float" and dtype.kind == "f"]
        self._dtype = numbers[0][1] if numbers else np.dtype(np.float64)
        features = [one for one, dtype in numbers if dtype == self._dtype]
        self._limits = {
            one.name: (
                -np.inf if one.minimum is None else one.minimum,
                np.inf if one.maximum is None else one.maximum,
            )
            for one in features
        }
        self._has_limits = any(one.has_limits for one in features)

    def sound(self, columns: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Copies [N] of such columns, by name; none where there are few, or too long to be worth a copy."""
        if len(self._limits) < _FEW_COLUMNS:
            return {}
        held: dict[str, Any] = {
            name: values
            for name in self._limits
            if type(values := columns[name]) is np.ndarray and values.dtype == self._dtype
        }
        if not held and self._dtype == np.float64:
            held = {
                name: values
                for name in self._limits
                if type(values := columns[name]) is list and len(values) == 1 and type(values[0]) is float
            }
        if len(held) < _FEW_COLUMNS or len(next(iter(held.values()))) > MANY_ROWS:
            return {}
        block = np.array(list(held.values()), dtype=self._dtype)
        good = np.isfinite(block).all(axis=1)
        if self._has_limits:
            low, high = np.array([self._limits[name] for name in held]).T
            good &= ((block >= low[:, np.newaxis]) & (block <= high[:, np.newaxis])).all(axis=1)
        return {name: row for name, row, is_good in zip(held, block, good.tolist(), strict=True) if is_good}


def _outputs(given: Sequence[str], contract: ServedContract) -> dict[str, str]:
    """The session's names of its outputs, by ours."""
    try:
        names = onnx_runtime.output_names(given, contract.onnx_outputs)
    except onnx_runtime.SessionError as error:
        raise _unfit(str(error)) from error
    return {ours: theirs for ours, theirs in zip(names, given, strict=True) if ours in OUTPUTS}


def _takes_matrix(item: Any, contract: ServedContract) -> bool:
    """One [N, F] input; with one feature, an input of its name counts as that column, which is the same."""
    if len(item.shape) != 2:
        raise _unfit(f"its input {item.name} has rank {len(item.shape)}, not 2")
    width = item.shape[1]
    if isinstance(width, int) and width != len(contract.features):
        raise _unfit(
            f"its input {item.name} takes {width} features, the contract names {len(contract.features)}"
        )
    return True


def _dtype(item: Any) -> np.dtype[Any]:
    if item.type not in onnx_runtime.DTYPES:
        raise _unfit(f"its input {item.name} is a {item.type}")
    return np.dtype(onnx_runtime.DTYPES[item.type])


def _unfit(what: str) -> FailedArtifactError:
    return FailedArtifactError(
        f"model.onnx does not fit its contract: {what}",
        hint="validate the model again; the artifact's files do not belong together",
    )
