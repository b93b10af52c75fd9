"""What the stock converters (skl2onnx, onnxmltools, CatBoost's exporter) make of the same model on the same rows.

Runs in a process of its own that has the libraries imported and forks for each model, which has a time limit. Inputs
are float32, as those converters' users pass them, and so are the rows that the native model is asked.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_TIMEOUT_S = 90
_TOLERANCE = 1e-4
_ROWS = 4_000


Judge = Callable[[Any, Any, Path], str]


@contextmanager
def stock_converters() -> Iterator[Judge]:
    """A function of a model, its features and a folder that gives one cell of the table: `same`, how far off and how
    many labels flip, or the error.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.zoo.stock"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:

        def judge(model: Any, frame: Any, folder: Path) -> str:
            path = folder / "stock.pkl"
            try:
                path.write_bytes(pickle.dumps((model, frame)))
            except (pickle.PicklingError, AttributeError, TypeError) as error:
                return f"not tried: {type(error).__name__}"
            assert server.stdin is not None
            assert server.stdout is not None
            print(path, file=server.stdin, flush=True)
            return str(json.loads(server.stdout.readline()))

        yield judge


def serve() -> None:
    """Paths of pickled models on standard input, one answer a line on standard output."""
    import catboost  # noqa: F401 - imported once, before the forks
    import lightgbm  # noqa: F401
    import onnxmltools  # noqa: F401
    import onnxruntime  # noqa: F401
    import skl2onnx  # noqa: F401
    import xgboost  # noqa: F401

    for line in sys.stdin:
        print(json.dumps(_in_child(Path(line.strip()))), flush=True)


def _in_child(path: Path) -> str:
    answer = path.with_suffix(".answer")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            model, frame = pickle.loads(path.read_bytes())
            answer.write_text(_judge(model, rows_of(model, frame), path.with_suffix(".onnx")))
            code = 0
        finally:
            os._exit(code)
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return answer.read_text() if status == 0 else f"crash: status {status}"
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"not done after {_TIMEOUT_S} s"


def _judge(model: Any, frame: Any, path: Path) -> str:
    import numpy as np

    try:
        data = _convert(model, frame, path)
        label, numbers = _run(data, frame)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        return f"error: {type(error).__name__}: {first[:90]}"
    expected_label, expected = _native(model, frame)
    parts = []
    if expected is not None and numbers is not None:
        a, b = expected.reshape(len(expected), -1), numbers.reshape(len(numbers), -1)
        if a.shape != b.shape:
            return f"error: gives {list(b.shape)} where the model gives {list(a.shape)}"
        gap = np.nan_to_num(np.abs(a - b) / np.maximum(1.0, np.abs(a)), nan=np.inf).max(axis=1)
        off = int((gap > _TOLERANCE).sum())
        if off:
            parts.append(f"{off} of {len(a)} rows off, by up to {gap.max():.2g}")
    if expected_label is not None and label is not None:
        flips = int((expected_label.astype(str) != np.asarray(label).reshape(-1).astype(str)).sum())
        parts += [f"{flips} labels flip"] if flips else []
    return "; ".join(parts) or "same"


def _convert(model: Any, frame: Any, path: Path) -> bytes:
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    library, width = type(model).__module__.split(".")[0], frame.shape[1]
    numeric = all(dtype.kind in "fiub" for dtype in map(_numpy_dtype, frame.dtypes))
    single = [("features", FloatTensorType([None, width]))]
    if library == "catboost":
        model.save_model(str(path), format="onnx")
        return path.read_bytes()
    if library in ("lightgbm", "xgboost"):
        import onnxmltools
        from onnxmltools.convert.common.data_types import FloatTensorType as Floats

        single = [("features", Floats([None, width]))]
        convert = getattr(onnxmltools, f"convert_{library}")
        options = {"zipmap": False} if library == "lightgbm" else {}
        return bytes(convert(model, initial_types=single, **options).SerializeToString())
    from skl2onnx import convert_sklearn

    _register()
    columns = [
        (
            str(name),
            FloatTensorType([None, 1]) if _numpy_dtype(dtype).kind in "fiub" else StringTensorType([None, 1]),
        )
        for name, dtype in frame.dtypes.items()
    ]
    options = {id(model): {"zipmap": False}} if hasattr(model, "predict_proba") else {}
    proto = convert_sklearn(model, initial_types=single if numeric else columns, options=options)
    return bytes(proto.SerializeToString())


def _register() -> None:
    """As skl2onnx's documentation says, for boosters in pipelines."""
    from skl2onnx import update_registered_converter
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes

    options = {"nocl": [True, False], "zipmap": [True, False, "columns"]}
    if "lightgbm" in sys.modules:
        from lightgbm import LGBMClassifier
        from onnxmltools.convert.lightgbm.operator_converters.LightGbm import convert_lightgbm

        shapes = calculate_linear_classifier_output_shapes
        update_registered_converter(LGBMClassifier, "LightGbm", shapes, convert_lightgbm, options=options)
    if "xgboost" in sys.modules:
        from onnxmltools.convert.xgboost.operator_converters.XGBoost import convert_xgboost
        from xgboost import XGBClassifier

        shapes = calculate_linear_classifier_output_shapes
        update_registered_converter(XGBClassifier, "XGBoost", shapes, convert_xgboost, options=options)


def _numpy_dtype(dtype: Any) -> Any:
    import numpy as np

    return dtype if isinstance(dtype, np.dtype) else np.dtype(object)


def _run(data: bytes, frame: Any) -> tuple[Any, Any]:
    """Labels, and probabilities or predictions."""
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    if len(inputs) == 1 and frame.shape[1] != 1:
        feed = {inputs[0].name: frame.to_numpy(np.float32)}
    else:
        feed = {
            item.name: frame[item.name]
            .to_numpy(np.float32 if item.type == "tensor(float)" else object)
            .reshape(-1, 1)
            for item in inputs
        }
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, feed), strict=True))
    label = next((found[name] for name in ("label", "output_label") if name in found), None)
    rest = [value for value in found.values() if value is not label]
    numbers = rest[0] if rest else label
    if isinstance(numbers, list):
        numbers = np.array([list(row.values()) for row in numbers])
    return label if rest else None, np.asarray(numbers)


def _native(model: Any, frame: Any) -> tuple[Any, Any]:
    import numpy as np

    from validator.libraries.adapter import Adapter
    from validator.table import Column, Table

    columns = []
    for name, series in frame.items():
        if _numpy_dtype(series.dtype).kind in "fiub":
            columns.append(Column(str(name), series.to_numpy(np.float32).astype(np.float64)))
        elif hasattr(series, "cat"):
            columns.append(
                Column(str(name), series.cat.codes.to_numpy(np.int32), series.cat.categories.to_numpy(object))
            )
        else:
            columns.append(Column(str(name), series.to_numpy(object)))
    adapter = Adapter(model)
    outputs = adapter.predict(adapter.inputs(Table.of(columns)))
    return outputs.label, outputs.numeric[1] if outputs.present.keys() - {"label"} else None


def rows_of(model: Any, frame: Any) -> Any:
    """The sample and, for trees over numbers, rows at their own thresholds."""
    import numpy as np
    import pandas as pd

    from validator.errors import ConversionError
    from validator.libraries.export import export
    from validator.libraries.read import read
    from validator.trees.rows.boundary import boundary_rows

    if not all(_numpy_dtype(dtype).kind in "fiub" for dtype in frame.dtypes):
        return frame
    try:
        header, arrays = export(model)
        ensemble = read(header, arrays)
    except (ConversionError, AttributeError):
        return frame
    if ensemble is None:
        return frame
    edges = boundary_rows(ensemble, frame.to_numpy(np.float64), input_dtype="float32", limit=_ROWS)
    edges = edges[np.isfinite(edges).all(axis=1) | np.isnan(edges).any(axis=1)]
    edges = edges[~np.isinf(edges).any(axis=1)]
    return pd.concat(
        [frame.astype(np.float64), pd.DataFrame(edges, columns=frame.columns)], ignore_index=True
    )


if __name__ == "__main__":
    serve()
