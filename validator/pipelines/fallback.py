"""Everything that is not a tree ensemble, through skl2onnx: in double where ONNX Runtime can, else in float.

The result is not exact: its parity is measured. Trees inside are still converted exactly.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from validator.errors import ConversionError, PreflightError
from validator.libraries.convert import ConvertedModel
from validator.pipelines import column_names, hazards
from validator.pipelines.places import inner_models
from validator.trees.onnx_wire import MOST_BYTES

_NUMERIC = ("float", "int", "uint", "bool")
LOCALE = b"C.UTF-8"
_OPSET, _ML_OPSET = 21, 3
_HINT = (
    "build the model of estimators that skl2onnx knows, or give an ONNX file made by other means with --onnx"
)
_SMALLER = "train a smaller model: fewer rows inside (neighbours, support vectors), words or components"
_UNKNOWN_CLASS = re.compile(r"<class '([\w.]+)'>.*no corresponding\s+converter", re.DOTALL)

_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)")


class TooLargeError(Exception):
    """The graph's numbers come to more than a file can hold."""


def convert_estimator(
    model: Any,
    columns: Sequence[tuple[str, str]],
    *,
    input_dtype: str = "auto",
    metadata: Mapping[str, str] | None = None,
) -> ConvertedModel:
    """Convert a fitted scikit-learn model or pipeline.

    `columns` are the names and dtypes (as `Column.dtype` names them) of the table that the model takes. `input_dtype`
    is that of numeric inputs; "auto" takes float64 where every operator has it. Raises ConversionError, saying what
    is in the way, when neither works.
    """
    repaired, found = hazards.examine(model)
    column_names.choose_by_name(repaired)
    names = column_names.neutral(columns)
    column_names.rename_chosen(repaired, names)
    failure: Exception | None = None
    for dtype in ("float64", "float32") if input_dtype == "auto" else (input_dtype,):
        try:
            data = _convert(repaired, columns, dtype, metadata or {}, names)
        except PreflightError:
            raise
        # Converters of every origin fail in their own ways; the next type may work, and the last failure is told.
        except Exception as error:
            failure = error
            continue
        reason = "" if failure is None else f"in float32, since {_refused_in_double(failure)}"
        return ConvertedModel(data=data, input_dtype=dtype, method="skl2onnx", hazards=found, reason=reason)
    hint = _SMALLER if isinstance(failure, TooLargeError) else _HINT
    raise ConversionError(_explained(failure, type(model).__name__), hint=hint) from failure


def _explained(failure: Exception | None, model: str) -> str:
    unknown = _UNKNOWN_CLASS.search(str(failure))
    if isinstance(failure, TooLargeError):
        return f"the ONNX file of the {model} {failure}"
    if unknown:
        return f"skl2onnx has no converter for {unknown[1]}"
    return f"skl2onnx cannot convert the {model}: {str(failure).strip()[:500]}"


def _refused_in_double(failure: Exception) -> str:
    operator = _NO_KERNEL.search(str(failure))
    if isinstance(failure, TooLargeError):
        return f"in double it {failure}"
    if operator:
        return f"ONNX Runtime has no {operator[1]} in double"
    return f"in double there is an error: {' '.join(str(failure).split())[:200]}"


def is_numeric(dtype: str) -> bool:
    """Whether a column of this dtype goes into the one input `features`."""
    return dtype.startswith(_NUMERIC)


def _convert(
    model: Any,
    columns: Sequence[tuple[str, str]],
    dtype: str,
    metadata: Mapping[str, str],
    names: Mapping[str, str],
) -> bytes:
    """`names` are neutral ones of the columns, by which the model already chooses them."""
    from skl2onnx import __max_supported_opset__, convert_sklearn

    from validator.pipelines import pipeline_steps, signature

    columns = [(names.get(name, name), kind) for name, kind in columns]
    together = all(is_numeric(kind) for _, kind in columns)
    split = together and _selects_by_name(model)
    with warnings.catch_warnings(), pipeline_steps.registered(dtype):
        warnings.simplefilter("ignore")
        proto = convert_sklearn(
            model,
            name="model",
            initial_types=_initial_types(columns, dtype, together=together and not split),
            target_opset={"": min(_OPSET, __max_supported_opset__), "ai.onnx.ml": _ML_OPSET},
            options=_options(model),
        )
    _refuse_beyond_limit(proto)
    signature.tidy(proto, model, dtype=dtype, join=[name for name, _ in columns] if split else None)
    column_names.restore(proto.graph, names)
    signature.label(proto, metadata)
    _set_locale(proto)
    data: bytes = proto.SerializeToString(deterministic=True)
    _open(data)
    return data


def _refuse_beyond_limit(proto: Any) -> None:
    """Raises TooLargeError before protobuf fails to write what it could not read again."""
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    if size > MOST_BYTES:
        raise TooLargeError(f"would take {size / 2**30:.1f} GiB, and ONNX ends at 2 GiB")


def _set_locale(proto: Any) -> None:
    """Lower-case in the locale that glibc brings along: the operator's own default, en_US, slim images lack."""
    for node in proto.graph.node:
        if node.op_type == "StringNormalizer":
            kept = [attribute for attribute in node.attribute if attribute.name != "locale"]
            del node.attribute[:]
            node.attribute.extend(kept)
            node.attribute.add(name="locale", s=LOCALE, type=3)  # AttributeProto.STRING


def _options(model: Any) -> dict[int, dict[str, Any]]:
    """An empty entry per step: without one skl2onnx asks for ZipMap even from steps that do not know it."""
    inner = getattr(model, "best_estimator_", None)
    steps = [step for _, step in getattr(model, "steps", ()) if hasattr(step, "get_params")]
    found: dict[int, dict[str, Any]] = {id(step): {} for step in steps}
    return found if inner is None else {**found, **_options(inner)}


def _open(data: bytes) -> None:
    """Fail here, where another type may be tried, on operators that ONNX Runtime does not have in this one.

    In the environment that a model was trained in there need be no ONNX Runtime: then whoever asked looks.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError:
        return

    onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])


def _initial_types(
    columns: Sequence[tuple[str, str]], dtype: str, *, together: bool
) -> list[tuple[str, Any]]:
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType

    number = DoubleTensorType if dtype == "float64" else FloatTensorType
    if together:
        return [("features", number([None, len(columns)]))]
    return [
        (name, number([None, 1]) if is_numeric(kind) else StringTensorType([None, 1]))
        for name, kind in columns
    ]


def _selects_by_name(model: Any) -> bool:
    """Whether a ColumnTransformer in the model picks its columns by name, which needs one input each."""
    return any(
        isinstance(chosen, str) or (not isinstance(chosen, slice) and any(isinstance(c, str) for c in chosen))
        for inner in inner_models(model)
        for _, _, chosen in getattr(inner, "transformers_", None) or ()
    )
