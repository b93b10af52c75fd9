"""`init`: looks at model and sample, and writes a commented configuration with the contract that they show."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from validator.checks.load.contract import known_of
from validator.checks.load.sample import need_sample
from validator.cli.console import interruptible
from validator.cli.console import progress as show_progress
from validator.cli.targets import settings_name
from validator.errors import Exit, UsageError
from validator.gate.conclusion import write_file
from validator.gate.result_builder import Progress, ResultBuilder, Stages
from validator.gate.session import open_context
from validator.gate.validate import Gate
from validator.model.file import identify
from validator.model.knowledge import with_knowledge
from validator.report.escape import clean
from validator.results import Contract, FeatureSpec, Scalar
from validator.settings.sources import resolve
from validator.settings.table import CONFIG_NAME, Settings

#: Editors that know TOML (Taplo, and Even Better TOML in VS Code) check and complete the file by its first line.
SCHEMA = "https://model-preflight.github.io/model-preflight/preflight.schema.json"


def run(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """Write a first configuration."""
    output, force = flags.pop("output", None), bool(flags.pop("force", False))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), show_progress(quiet=False) as show:
        path = write_initial(settings, Path(output or CONFIG_NAME), environ, show, force=force)
    print(f"wrote {path}")
    return Exit.PASSED


def write_initial(
    settings: Settings, path: Path, environ: Mapping[str, str], progress: Progress, *, force: bool
) -> Path:
    """Raises UsageError when the file is there already, and whatever is wrong with model or sample."""
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists already", hint="give --force to replace it, or --output for another name"
        )
    need_sample(settings)
    model, stage = settings.model[0], Stages(progress=progress)
    with open_context(settings, model, identify(model), environ, stage) as context:
        gate = Gate(context=context, run=ResultBuilder(model=context.model, stage=stage))
        inspected, sample = gate.scan(), gate.open_sample()
        native = gate.load(inspected)
        data, subject = gate.fit(sample, native)
        for _ in data.batches(settings):
            pass  # reading them is what shows their ranges
        features = with_knowledge(data.observer.features, known_of(native.facts, data))
        contract = subject.contract.model_copy(
            update={"features": features, "allow_infinite": bool(data.infinities.first)}
        )
        infinite = data.infinities.in_words
    text = render(
        model=_beside(settings.model[0], path),
        data=_beside(str(settings.data), path),
        target=settings.target,
        name=settings_name(settings),
        contract=contract,
        infinite=infinite,
    )
    write_file(path, text, None)
    return path


def _beside(path: str, config: Path) -> str:
    """A path as the configuration file must hold it: counted from the file's own folder."""
    return os.path.relpath(path, config.parent)


def render(
    *, model: str, data: str, target: str | None, name: str, contract: Contract, infinite: str = ""
) -> str:
    """The file's text. Values that were inferred are written out, so that a later change of them is noticed.

    `infinite` says where the sample holds infinite numbers.
    """
    return "\n".join([*_head(model, data, target, name), *_contract(contract, infinite)]) + "\n"


def _head(model: str, data: str, target: str | None, name: str) -> Iterator[str]:
    yield f"#:schema {SCHEMA}"
    yield "# What may ship, for Model Preflight. Every key can also be a flag or a PREFLIGHT_* variable."
    yield f"model = {_toml(model)}"
    yield f"data = {_toml(data)}"
    yield f"target = {_toml(target)}" if target else '# target = "the column with the true answer"'
    yield f"name = {_toml(name)}"
    yield ""
    yield "# One row, 99th percentile, on every runtime."
    yield "max_latency_ms = 50"
    yield "# Limits on metrics, where there is a target: at least for scores, at most for losses."
    yield "# quality = { auc = 0.6, log_loss = 0.7 }"
    yield ""
    yield "# A failure that is accepted for a time. It is shown in every report, and ends on its day."
    yield "# [[waivers]]"
    yield '# check = "parity.boundary"'
    yield '# reason = "why shipping is right all the same"'
    yield "# expires = 2030-01-31"


def _contract(contract: Contract, infinite: str) -> Iterator[str]:
    yield ""
    yield "# What the model takes and gives, as model and sample show it. The deployment enforces on every call"
    yield "# what stands here without a #. Ranges are the sample's: uncomment those outside of which to refuse."
    yield "[contract]"
    if contract.task != "unknown":
        yield f"task = {_toml(contract.task)}"
    if contract.classes:
        yield f"classes = [{', '.join(_toml(item) for item in contract.classes)}]"
    if contract.task == "regression":
        yield "# output_minimum = 0.0"
        yield "# output_maximum = 1.0"
    if infinite:
        yield f"# The sample holds infinite numbers: {clean(infinite, limit=500)}."
        yield "# If that is a mistake, mend the sample and write false: the deployment then refuses them."
    yield f"allow_infinite = {_toml(contract.allow_infinite)}"
    for feature in contract.features:
        yield ""
        yield "[[contract.features]]"
        yield from _feature(feature)


def _feature(feature: FeatureSpec) -> Iterator[str]:
    yield f"name = {_toml(feature.name)}"
    yield f"dtype = {_toml(feature.dtype)}"
    if feature.minimum is not None:
        yield f"# minimum = {_toml(feature.minimum)}"
    if feature.maximum is not None:
        yield f"# maximum = {_toml(feature.maximum)}"
    yield f"missing = {_toml(feature.missing)}"
    if feature.categories is not None:
        yield f"categories = [{', '.join(_toml(item) for item in feature.categories)}]"


def _toml(value: Scalar) -> str:
    """A value in TOML. JSON's strings are TOML's basic strings, but for the delete character."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)
