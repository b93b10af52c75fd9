"""The ways in which a model and its sample come as files."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.zoo.data import Data

Saver = Callable[[Any, "Data", Path], Path]


def as_pickle(model: Any, data: Data, folder: Path) -> Path:
    return with_protocol(5)(model, data, folder)


def with_protocol(protocol: int) -> Saver:
    def save(model: Any, data: Data, folder: Path) -> Path:
        path = folder / "model.pkl"
        path.write_bytes(pickle.dumps(model, protocol=protocol))
        return path

    return save


def as_joblib(compress: Any) -> Saver:
    """`compress` is joblib's own argument: a level, a method, or both."""

    def save(model: Any, data: Data, folder: Path) -> Path:
        import joblib

        path = folder / "model.joblib"
        joblib.dump(model, path, compress=compress)
        return path

    return save


def as_cloudpickle(model: Any, data: Data, folder: Path) -> Path:
    """With the zoo's own functions inside the file, as it is for functions of a notebook."""
    import cloudpickle

    from tests.zoo import own_functions

    path = folder / "model.pkl"
    cloudpickle.register_pickle_by_value(own_functions)
    try:
        path.write_bytes(cloudpickle.dumps(model))
    finally:
        cloudpickle.unregister_pickle_by_value(own_functions)
    return path


def as_skops(model: Any, data: Data, folder: Path) -> Path:
    import skops.io

    path = folder / "model.skops"
    skops.io.dump(model, path)
    return path


def as_lightgbm_text(model: Any, data: Data, folder: Path) -> Path:
    path = folder / "model.txt"
    getattr(model, "booster_", model).save_model(path)
    return path


def as_lightgbm_part(start: int, count: int) -> Saver:
    """LightGBM's text of some iterations alone."""

    def save(model: Any, data: Data, folder: Path) -> Path:
        path = folder / "model.txt"
        getattr(model, "booster_", model).save_model(path, start_iteration=start, num_iteration=count)
        return path

    return save


def by_own_method(name: str, **options: Any) -> Saver:
    """`model.save_model(NAME)`, as XGBoost and CatBoost have it."""

    def save(model: Any, data: Data, folder: Path) -> Path:
        path = folder / name
        model.save_model(str(path), **options)
        return path

    return save


def in_mlflow_folder(flavour: str, key: str, inner: Saver) -> Saver:
    """The folder that MLflow's `log_model` writes, with the flavour's file inside."""

    def save(model: Any, data: Data, folder: Path) -> Path:
        whole = folder / "model"
        whole.mkdir()
        name = inner(model, data, whole).name
        (whole / "MLmodel").write_text(
            "artifact_path: model\n"
            "flavors:\n"
            "  python_function:\n"
            "    env:\n"
            "      conda: conda.yaml\n"
            "      virtualenv: python_env.yaml\n"
            f"    loader_module: mlflow.{flavour}\n"
            f"    model_path: {name}\n"
            "    python_version: 3.11.9\n"
            f"  {flavour}:\n"
            f"    {key}: {name}\n"
            "    code: null\n"
            "mlflow_version: 3.4.0\n"
            "model_size_bytes: 1\n"
        )
        return whole

    return save


def as_stock_onnx(model: Any, data: Data, folder: Path) -> Path:
    """What skl2onnx makes of it, for a model that comes as ONNX alone."""
    import numpy as np
    from skl2onnx import to_onnx

    path = folder / "model.onnx"
    proto = to_onnx(model, data.matrix[:1].astype(np.float32), options={"zipmap": False})
    path.write_bytes(proto.SerializeToString())
    return path


def write_sample(data: Data, folder: Path, kind: str) -> Path:
    """The features alone, as Parquet, CSV, or a bare matrix in NPZ."""
    path = folder / f"sample.{kind}"
    if kind == "csv":
        data.X.to_csv(path, index=False)
    elif kind == "npz":
        import numpy as np

        np.savez(path, X=data.matrix)
    else:
        data.X.to_parquet(path)
    return path
