"""`init`: looks at model and sample, and writes a commented configuration with the contract that they show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from validator.draft import Progress
from validator.errors import UsageError
from validator.initial import render
from validator.session import open_session
from validator.settings import Settings
from validator.stages.conclusion import write_file
from validator.stages.inspection import inspect
from validator.stages.loading import fit_sample, load_native, open_sample
from validator.targets import settings_name


def write_initial(
    settings: Settings, path: Path, environ: Mapping[str, str], progress: Progress, *, force: bool
) -> Path:
    """Raises UsageError when the file is there already, and whatever is wrong with model or sample."""
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists already", hint="give --force to replace it, or --output for another name"
        )
    with open_session(settings, settings.model[0], environ, progress) as context:
        report = inspect(context)
        sample = open_sample(context)
        native = load_native(context, report)
        data = fit_sample(context, sample, native.facts)
        for _, rows, _ in data.batches(settings.sample_rows, settings.target):
            data.observer.observe(rows)
        contract = data.subject.contract.model_copy(update={"features": data.observer.features})
    text = render(
        model=_beside(settings.model[0], path),
        data=_beside(str(settings.data), path),
        target=settings.target,
        name=settings_name(settings),
        contract=contract,
    )
    write_file(path, text, None)
    return path


def _beside(path: str, config: Path) -> str:
    """A path as the configuration file must hold it: counted from the file's own folder."""
    return os.path.relpath(path, config.parent)
