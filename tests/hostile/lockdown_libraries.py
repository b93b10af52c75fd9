"""Honest work under lockdown: `python lockdown_libraries.py lazy|preloaded NAME...`, a JSON line for each name.

`lazy` imports the library after the process was locked down, `preloaded` before the fork.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.update(
    OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="2", ORT_DISABLE_TELEMETRY="1", JOBLIB_MULTIPROCESSING="0"
)

from validator.sandbox.lockdown import LockdownPolicy, apply


def _data() -> tuple[Any, Any]:
    import numpy as np

    x = np.random.default_rng(7).normal(size=(400, 5))
    return x, (x[:, 0] + x[:, 1] > 0).astype(int)


def use_numpy() -> Any:
    import numpy as np

    x, _ = _data()
    np.save("x.npy", x)
    mapped = np.load("x.npy", mmap_mode="r")
    return float(np.linalg.norm(np.linalg.inv(mapped.T @ mapped))) > 0


def use_pandas() -> Any:
    import pandas as pd

    frame = pd.DataFrame(_data()[0], columns=list("abcde"))
    frame["when"] = pd.date_range("2025-01-01", periods=len(frame), tz="Europe/Berlin")
    frame["text"] = "x"
    frame.to_csv("frame.csv")
    return len(pd.read_csv("frame.csv", parse_dates=["when"]).groupby("text").mean(numeric_only=True)) == 1


def use_pyarrow() -> Any:
    import pyarrow as pa
    from pyarrow import csv, parquet

    table = pa.table({"a": list(range(1000)), "b": ["x"] * 1000})
    parquet.write_table(table, "table.parquet")
    csv.write_csv(table, "table.csv")
    read = parquet.read_table("table.parquet", use_threads=True, memory_map=True)
    return read.num_rows == csv.read_csv("table.csv").num_rows == 1000


def use_sklearn() -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier

    x, y = _data()
    forest = RandomForestClassifier(8, n_jobs=2).fit(x, y)
    boosted = HistGradientBoostingClassifier(max_iter=5).fit(x, y)
    return len(forest.predict(x)) == len(boosted.predict(x)) == 400


def use_joblib() -> Any:
    import joblib

    joblib.dump(_data(), "data.joblib", compress=3)
    parts = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(sum)(range(9)) for _ in range(4))
    return len(joblib.load("data.joblib")) == 2 and parts == [36] * 4


def use_lightgbm() -> Any:
    import lightgbm

    x, y = _data()
    booster = lightgbm.train(
        {"objective": "binary", "num_threads": 2, "verbose": -1}, lightgbm.Dataset(x, y), num_boost_round=5
    )
    booster.save_model("model.txt")
    return len(lightgbm.Booster(model_file="model.txt").predict(x)) == 400


def use_xgboost() -> Any:
    import xgboost

    x, y = _data()
    booster = xgboost.train(
        {"nthread": 2, "objective": "binary:logistic"}, xgboost.DMatrix(x, y), num_boost_round=5
    )
    booster.save_model("model.ubj")
    return len(xgboost.Booster(model_file="model.ubj").inplace_predict(x)) == 400


def use_catboost() -> Any:
    import catboost

    x, y = _data()
    model = catboost.CatBoostClassifier(
        iterations=5, thread_count=2, verbose=0, allow_writing_files=False
    ).fit(x, y)
    model.save_model("model.cbm")
    return len(catboost.CatBoostClassifier().load_model("model.cbm").predict(x, thread_count=2)) == 400


def use_onnx() -> Any:
    import numpy as np
    import onnx
    from onnx import TensorProto, checker, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "graph",
        [value("x", TensorProto.DOUBLE, [None, 5])],
        [value("y", TensorProto.DOUBLE, [None, 3])],
        [onnx.numpy_helper.from_array(np.ones((5, 3)), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    checker.check_model(model, full_check=True)
    onnx.save(model, "model.onnx")
    return True


def use_onnxruntime() -> Any:
    import onnxruntime

    use_onnx()
    x, _ = _data()
    for threads in (0, 1, 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession("model.onnx", options, providers=["CPUExecutionProvider"])
        if session.run(None, {"x": x})[0].shape != (400, 3):
            return False
    return True


def use_skl2onnx() -> Any:
    import skl2onnx
    from sklearn.linear_model import LogisticRegression

    x, y = _data()
    return len(skl2onnx.to_onnx(LogisticRegression().fit(x, y), x[:1]).SerializeToString()) > 0


def use_standard_library() -> Any:
    """Modules that open files or ask the system as they are imported or first used."""
    import ctypes
    import decimal
    import getpass
    import locale
    import platform
    import sqlite3
    import ssl
    import uuid
    import zoneinfo

    callback = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)
    used = (
        decimal.Decimal(1),
        locale.getlocale(),
        platform.platform(),
        uuid.uuid4(),
        ssl.create_default_context,
    )
    tempfile.TemporaryFile(dir=".").close()
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    return (
        bool(used and getpass and zone)
        and callback() == 7
        and sqlite3.connect("db").execute("select 1").fetchall()
    )


def _child(name: str, scratch: str, channel: int) -> None:
    """Never returns."""
    code = 1
    try:
        report = apply(LockdownPolicy(scratch=scratch, keep_fds=(channel,), parent_pid=os.getppid()))
        os.environ.update(TMPDIR=".", HOME=scratch)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            done = bool(globals()[f"use_{name}"]())
        said = sorted({f"{w.category.__name__}: {w.message}"[:200] for w in caught if "joblib" in w.filename})
        answer = {"contained": report.contained, "done": done, "warnings": said}
        os.write(channel, json.dumps(answer).encode())
        code = 0
    except BaseException as error:
        os.write(channel, json.dumps({"error": f"{type(error).__name__}: {error}"[:2000]}).encode())
    finally:
        os._exit(code)


def main(mode: str, names: list[str]) -> None:
    if mode == "preloaded":
        for name in names:
            if name != "standard_library":
                importlib.import_module(name)
    for name in names:
        with tempfile.TemporaryDirectory(prefix="preflight-") as folder:
            Path(folder).chmod(0o711)
            scratch = Path(folder) / "scratch"
            scratch.mkdir()
            reader, writer = os.pipe()
            pid = os.fork()
            if pid == 0:
                _child(name, str(scratch), writer)
            os.close(writer)
            with os.fdopen(reader, "rb") as channel:
                said = channel.read().decode()
            _, status = os.waitpid(pid, 0)
        print(json.dumps({"library": name, "status": status, **json.loads(said or "{}")}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
