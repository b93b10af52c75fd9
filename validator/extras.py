"""The extras of the distribution: which of them brings a module that is not installed here."""

from __future__ import annotations

#: Modules that have an extra of their own. Whatever else is missing belongs to the gate.
_OF_MODULE = {
    "catboost": "catboost",
    "mlflow": "mlflow",
    "model_signing": "signing",
    "OpenSSL": "signing",
    "skops": "skops",
    "httptools": "serve",
    "httpx": "registry",
    "orjson": "serve",
    "prometheus_client": "serve",
    "starlette": "serve",
    "uv": "environments",
    "uvicorn": "serve",
    "uvloop": "serve",
    "xgboost": "xgboost",
    "yaml": "monitor",
}
#: Libraries of models: without one of these a model cannot be loaded, whatever else is installed.
OF_MODELS = frozenset({"catboost", "lightgbm", "skops", "xgboost"})


def install_line(module: str) -> str:
    """What to run for a module that is missing, by its import name or a dotted name below it.

    >>> install_line("xgboost.sklearn")
    "pip install 'model-preflight[xgboost]'"
    """
    extra = _OF_MODULE.get(module.split(".", maxsplit=1)[0], "gate")
    return f"pip install 'model-preflight[{extra}]'"
