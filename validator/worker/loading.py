"""From a model file's bytes to the live native model, each format through its own library."""

from __future__ import annotations

import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Dict, Sequence

from validator.errors import ModelError

_PICKLES = ("pickle", "joblib")


def load_model(data: bytes, format: str, allow: Sequence[str], trusted: bool) -> Any:
    """Raises UnsafeModelError for a refused pickle, ModelError for a format without a native model.

    Pickles go through the restricted unpickler unless `trusted`.
    """
    if format in _PICKLES:
        return _load_pickle(data, allow, trusted)
    if format == "lightgbm-text":
        return _load_lightgbm(data)
    if format in ("xgboost-json", "xgboost-ubj"):
        import xgboost

        return xgboost.Booster(model_file=bytearray(data))
    if format in ("catboost-cbm", "catboost-json"):
        return _load_catboost(data, format.partition("-")[2])
    if format == "skops":
        return _load_skops(data, allow)
    raise ModelError(f"a {format} file holds no native model", hint="give the file that training saved")


def _load_pickle(data: bytes, allow: Sequence[str], trusted: bool) -> Any:
    if trusted:
        import io

        import joblib

        return joblib.load(io.BytesIO(data))
    from validator.model.safety import load

    return load(data, allow=tuple(allow))


def _load_lightgbm(data: bytes) -> Any:
    import lightgbm

    try:
        return lightgbm.Booster(model_str=bytes(data).decode("utf-8"), params={"verbosity": -1})
    except lightgbm.basic.LightGBMError as error:
        raise ModelError(
            f"LightGBM cannot load the model: {error}", hint="save it again; is the file whole?"
        ) from error


def _load_catboost(data: bytes, format: str) -> Any:
    """As the wrapper whose `predict` and classes its users know: the file does not say which one wrote it."""
    import catboost

    with tempfile.TemporaryDirectory() if format == "json" else nullcontext("") as folder:
        source: Dict[str, Any] = {"blob": bytes(data)}
        if folder:  # CatBoost takes JSON from a path alone
            path = Path(folder) / "model"
            path.write_bytes(data)
            source = {"fname": str(path)}
        model = catboost.CatBoost().load_model(format=format, **source)
        wrapper = catboost.CatBoostClassifier() if len(model.classes_) else catboost.CatBoostRegressor()
        return wrapper.load_model(format=format, **source)


def _load_skops(data: bytes, allow: Sequence[str]) -> Any:
    """With the types that our own scan lets pass: skops knows fewer of scikit-learn's than that."""
    import skops.io

    from validator.model.safety import scan

    asked = skops.io.get_untrusted_types(data=data)
    known = {entry.name for entry in scan(bytes(data), "skops", allow=tuple(allow)).imports if entry.allowed}
    refused = [name for name in asked if name not in known]
    if refused:
        raise ModelError(
            f"the skops file asks for types that nobody vouched for: {', '.join(refused[:5])}",
            hint="name them under `allow` if they are yours",
        )
    return skops.io.loads(data, trusted=asked)


def load_path(path: str, format: str) -> Any:
    """Load a file by its path, as its library does it. For what happens when there is no such file."""
    if format == "lightgbm-text":
        import lightgbm

        return lightgbm.Booster(model_file=path)
    if format in ("xgboost-json", "xgboost-ubj"):
        import xgboost

        return xgboost.Booster(model_file=path)
    with Path(path).open("rb") as file:
        return load_model(file.read(), format, (), False)
