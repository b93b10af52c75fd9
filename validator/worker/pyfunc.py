"""An MLflow model folder (`pyfunc`) behind the methods of a wrapper. Needs mlflow in the model's own environment."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Dict

from validator.worker.wrapper import WrapperError


class Pyfunc:
    """`folder` is the MLflow model, `inside` where in it the judged model file lies."""

    def __init__(self, folder: str, inside: str) -> None:
        self._folder = Path(folder)
        self._inside = inside
        self._model: Any = None

    def load(self, path: str) -> None:
        """Load the folder with the file at `path` in the place of its model; as it is, where they are the same."""
        try:
            import mlflow.pyfunc
        except ImportError as error:
            raise WrapperError(
                f"mlflow cannot be imported: {error}",
                "add mlflow to the environment named with `requirements` or `python`",
            ) from error
        self._folder = self._with(Path(path))
        self._model = mlflow.pyfunc.load_model(str(self._folder))

    def predict(self, table: Any) -> Any:
        """Whatever the model's flavour answers for a DataFrame."""
        return self._model.predict(table)

    def metadata(self) -> Dict[str, Any]:
        """What MLflow records of the model, and the hash of the file in it that is judged."""
        recorded = self._model.metadata
        return {
            "model_uuid": str(getattr(recorded, "model_uuid", "")),
            "run_id": str(getattr(recorded, "run_id", "")),
            "utc_time_created": str(getattr(recorded, "utc_time_created", "")),
            "mlflow_version": str(getattr(recorded, "mlflow_version", "")),
            "sha256": hashlib.sha256((self._folder / self._inside).read_bytes()).hexdigest(),
        }

    def _with(self, model: Path) -> Path:
        own = self._folder / self._inside
        given = model.read_bytes() if model.exists() else None
        if given == own.read_bytes():
            return self._folder
        copy = Path("missing-model" if given is None else "broken-model").resolve()
        for path in self._folder.rglob("*"):
            if path.is_file() and path != own:
                _write(copy / path.relative_to(self._folder), path.read_bytes())
        if given is not None:
            _write(copy / self._inside, given)
        return copy


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
