"""Other servers of the same LightGBM model, for `benchmarks/serve.py`: MLServer, MLflow and BentoML, each from a
virtual environment of its own below one folder.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BENTO = """
import bentoml
import lightgbm
import numpy as np

@bentoml.service(workers=1)
class Bench:
    def __init__(self) -> None:
        self.model = lightgbm.Booster(model_file={model!r})

    @bentoml.api
    def predict(self, row: list[float]) -> list[float]:
        one = float(self.model.predict(np.array([row]), num_threads=1)[0])
        return [1 - one, one]
"""
_MLFLOW = """
import sys, lightgbm, mlflow.lightgbm
mlflow.lightgbm.save_model(lightgbm.Booster(model_file=sys.argv[1]), sys.argv[2])
"""


def targets(folder: Path, model: Any, scratch: Path, target: Any) -> list[Any]:
    """A target (of the given class) for each environment that is there."""
    import subprocess

    text = scratch / "model.txt"
    model.booster_.save_model(str(text))
    found = []
    python = {name: folder / name / "bin" / "python" for name in ("mlserver", "mlflow", "bento")}
    if python["mlserver"].exists():
        home = scratch / "mlserver"
        home.mkdir()
        told = {
            "name": "bench",
            "implementation": "mlserver_lightgbm.LightGBMModel",
            "parameters": {"uri": str(text)},
        }
        (home / "model-settings.json").write_text(json.dumps(told))

        def start(port: int, home: Path = home) -> list[str]:
            settings = {
                "http_port": port,
                "grpc_port": port + 1,
                "metrics_port": port + 2,
                "parallel_workers": 0,
            }
            (home / "settings.json").write_text(json.dumps({**settings, "debug": False}))
            return [str(python["mlserver"].with_name("mlserver")), "start", str(home)]

        own = _path(str(python["mlserver"].parent))
        found.append(target("MLServer", start, "/v2/models/bench/infer", _matrix, own))
    if python["mlflow"].exists():
        home = scratch / "mlflow"
        subprocess.run(
            [str(python["mlflow"]), "-c", _MLFLOW, str(text), str(home)], check=True, capture_output=True
        )
        command = [str(python["mlflow"].with_name("mlflow")), "models", "serve", "-m", str(home)]
        command += ["--env-manager", "local", "--workers", "1", "--host", "127.0.0.1", "--port"]
        path = str(python["mlflow"].parent)
        found.append(
            target(
                "mlflow models serve", lambda port: [*command, str(port)], "/invocations", _split, _path(path)
            )
        )
    if python["bento"].exists():
        home = scratch / "bento"
        home.mkdir()
        (home / "service.py").write_text(_BENTO.format(model=str(text)))
        bento = [
            str(python["bento"].with_name("bentoml")),
            "serve",
            "service:Bench",
            "--working-dir",
            str(home),
        ]
        found.append(
            target(
                "BentoML",
                lambda port: [*bento, "--host", "127.0.0.1", "--port", str(port)],
                "/predict",
                lambda row: {"row": list(row)},
                {
                    **_path(str(python["bento"].parent)),
                    "BENTOML_DO_NOT_TRACK": "True",
                    "BENTOML_HOME": str(home),
                },
            )
        )
    return found


def _path(folder: str) -> dict[str, str]:
    import os

    return {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": ""}


def _matrix(row: Sequence[float]) -> Any:
    return {"inputs": [{"name": "x", "datatype": "FP64", "shape": [1, len(row)], "data": list(row)}]}


def _split(row: Sequence[float]) -> Any:
    return {"inputs": [list(row)]}
