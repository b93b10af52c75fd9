"""`validator.validate`: the whole gate, called from Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from validator.errors import SettingsError, UsageError

if TYPE_CHECKING:
    from validator.api.validation import Validation

#: Variables by which a run takes itself for a step of a job on GitHub, that reads inputs and is told of.
_OF_A_JOB = ("GITHUB_ACTIONS",)
#: Settings that say how a run is told of, or which of several models it judges.
_NOT_HERE = frozenset({"only_changed", "json_output", "push"})


def validate(model: Any, data: Any = None, **settings: Any) -> Validation:
    """Judge one model, as the command `model-preflight validate` does, and return what was found.

    The model is loaded and asked in processes of their own, locked down as the command's are. They do not import the
    caller, so a script needs no ``if __name__ == "__main__":``. Nothing is printed and nothing is published. Results,
    reports and the artifact are written to the folder `out`, `preflight` by default.

    Parameters
    ----------
    model : str or path-like, or a model
        The model file. A model in memory is pickled first (an `onnx.ModelProto` is written as it is); classes that
        the script or notebook itself defines cannot be loaded elsewhere and do not pass.
    data : str or path-like, DataFrame, Arrow table, mapping of columns, ndarray [N, F], or (X, y), optional
        The sample, of pandas, Polars, pyarrow or whatever exports Arrow: rows as they will be served, with the
        model's columns, and the true answers in the column that the setting `target` names, or beside them as `y`
        [N]. By default what the configuration file names.
    **settings
        Any setting by its name with underscores, such as ``target="label"``, ``max_latency_ms=20``,
        ``quality={"auc": 0.7}``. They win over `PREFLIGHT_*` variables, and those over `preflight.toml`.
        ``quiet=False`` shows the stages on standard error.

    Returns
    -------
    Validation
        What was found: true where the verdict is "pass", shown as HTML in a notebook.

    Raises
    ------
    UsageError
        There is no such model or sample, the folder `out` cannot be written to, or the extra `gate` is not installed.
    SettingsError
        A setting has a wrong name or value.
    SampleError
        The sample cannot be read or does not fit the model.

    A model that is not fit to ship raises nothing here: see `Validation.raise_for_failure`.

    Examples
    --------
    >>> import validator
    >>> found = validator.validate("model.pkl", "sample.parquet", target="label")  # doctest: +SKIP
    >>> found.raise_for_failure()  # doctest: +SKIP
    """
    try:
        from validator.api.saved import saved
        from validator.settings.table import Settings

        _refuse_elsewhere(settings, Settings)
        with TemporaryDirectory(prefix="preflight-given-") as folder:
            return _judged({**settings, **saved(model, data, Path(folder), settings.get("target"))})
    except ModuleNotFoundError as error:
        raise _lacking(error) from error


def _judged(flags: dict[str, Any]) -> Validation:
    from validator.api.validation import Validation
    from validator.cli.github_job import GitHubJob
    from validator.cli.mlflow_store import fetched
    from validator.cli.validate import judge_all, tell
    from validator.settings.sources import resolve

    environ = {name: value for name, value in os.environ.items() if name not in _OF_A_JOB}
    given = {name: _plain(value) for name, value in {"quiet": True, **flags}.items() if value is not None}
    with fetched(resolve(given, environ, Path.cwd(), spelled=str), environ) as models:
        job = GitHubJob.of(models.settings, environ, sys.stderr, given)
        judging = judge_all(job, given, models)
        tell(models, judging.outcomes)
    if judging.error is not None:
        raise judging.error
    found = [one for one in judging.outcomes if one.result is not None]
    if len(found) != 1:
        raise UsageError(f"{len(found)} models match {flags['model'][0]}", hint="name one model file")
    result, out = found[0].result, found[0].settings.out
    if result is None:
        raise AssertionError("a model that was judged has a result")
    return Validation(result=result, out=out.absolute())


def _refuse_elsewhere(settings: Mapping[str, Any], table: Any) -> None:
    """Raise SettingsError for what only the command does: telling GitHub, choosing among models."""
    from validator.settings.table import group_of

    for name in settings:
        if name in _NOT_HERE or (name in table.model_fields and group_of(name) == "GitHub"):
            raise SettingsError(
                f"{name} is nothing that validate() does: it judges one model and publishes nothing",
                hint="run the command `model-preflight validate`, or the action, for that",
            )


def _plain(value: Any) -> Any:
    """Paths as the strings that the table of settings takes."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _lacking(error: ModuleNotFoundError) -> Exception:
    from validator.extras import install_line

    missing = error.name or "validator"
    if missing.split(".", maxsplit=1)[0] == "validator":
        return error
    return UsageError(f"this needs the module {missing}, which is not installed", hint=install_line(missing))
