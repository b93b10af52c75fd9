"""What every check is given: the settings, the model file and its bytes, the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from validator.checks.preload import NATIVE, SERVING, TOOLS
from validator.checks.wrapper.find import Wrapper
from validator.environments.interpreter import Interpreter, own
from validator.errors import UsageError
from validator.model.file import ModelFile
from validator.results import ModelInfo
from validator.sandbox.worker_pool import Worker, WorkerPool, Zygote
from validator.settings.table import Settings

_JOB_ZYGOTES = {
    "export": NATIVE,
    "native": NATIVE,
    "wrapper": NATIVE,
    "environment": NATIVE,
    "estimator": NATIVE,
    "onnx": SERVING,
    "deployment": SERVING,
}
#: Jobs in need of what the model's libraries bring along, and where they are done without it.
_BESIDE_THE_MODEL = {"measure": TOOLS, "forms": SERVING}
#: Jobs that hold the native model, and so may need packages of the user's own.
_OWN_CODE = ("export", "native", "wrapper", "environment", "estimator", "convert")


@dataclass(frozen=True, kw_only=True)
class Context:
    """One model under these settings.

    `model` is the file as it was identified, `data` its bytes, read once and hashed; `in_ci` says whether this is a
    CI job; `python` is what the native model's workers run under; `wrapper` is the user's, if it is to be judged.
    """

    settings: Settings
    file: ModelFile
    model: ModelInfo
    data: bytes
    pool: WorkerPool
    in_ci: bool = False
    python: Interpreter = field(default_factory=own)
    wrapper: Wrapper | None = None

    @property
    def format(self) -> str:
        return self.file.loadable.format

    def start(self, job: str, *, options: dict[str, Any] | None = None) -> Worker:
        """Start a worker for a job."""
        role = self._role(job)
        foreign = role == NATIVE
        return self.pool.start(
            job,
            role=role,
            python=self.python if foreign else None,
            options=options,
            packages=self._packages(job) if job in _OWN_CODE else None,
            readable=self.wrapper.readable if self.wrapper and job == "wrapper" else (),
        )

    def zygote_of(self, job: str) -> Zygote:
        """Where a job's workers come from."""
        role = self._role(job)
        return self.pool.zygote(role, self.python if role == NATIVE else None)

    def _role(self, job: str) -> str:
        """Quality is measured, and forms are tried, where scikit-learn and pandas are imported anyway, unless those
        are another environment's.
        """
        if job in _BESIDE_THE_MODEL:
            return _BESIDE_THE_MODEL[job] if self.python.foreign else NATIVE
        return _JOB_ZYGOTES.get(job, TOOLS)

    def _packages(self, job: str) -> dict[str, str]:
        wrapped = self.wrapper.packages if self.wrapper and job == "wrapper" else {}
        return {**wrapped, **own_packages(self.settings.allow)}

    def missing_isolation(self, worker: Worker, *, runs_code: bool) -> str:
        """The layers that a worker lacks where the run insists on all of them; empty where it may go on.

        It always does with `isolation = require`, and with `auto` in CI where the file's own code may run.
        """
        wanted = self.settings.isolation
        insists = wanted == "require" or (wanted == "auto" and self.in_ci and runs_code)
        if worker.contained or not insists:
            return ""
        return (
            ", ".join(layer.name for layer in worker.isolation if layer.state != "applied") or "all of them"
        )

    def load_options(self) -> dict[str, Any]:
        """How the native model's workers open the file."""
        return {
            "format": self.format,
            "allow": list(self.settings.allow),
            "trusted": self.settings.trust_pickle is not None,
            "reading": self.settings.reading,
        }


def own_packages(allow: Sequence[str], folder: Path | None = None) -> dict[str, str]:
    """The user's own packages among the allowed names, from name to absolute path.

    They are looked for in the working directory and its `src`; what is installed needs no path. Raises UsageError
    for one that is reached through a symbolic link: a worker may read whatever such a path leads to.
    """
    base = (folder or Path.cwd()).resolve()
    found: dict[str, str] = {}
    for pattern in allow:
        name = pattern.split(".", 1)[0]
        if not name.isidentifier():
            continue
        places = [root / leaf for root in (base, base / "src") for leaf in (name, f"{name}.py")]
        place = next((place for place in places if place.exists()), None)
        if place is None:
            continue
        if place.resolve() != place:
            raise UsageError(
                f"the package {name} that `allow` names is reached through a symbolic link, {place}",
                hint="put the package itself there: what a link leads to would be open to the model's code",
            )
        found[name] = str(place)
    return found
