"""`convert`: exact conversion and the parity proof alone; from the model alone where it knows its features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from validator.causes import blocks
from validator.checklist import decide
from validator.checks.check import CheckFailedError
from validator.checks.convert import Converted
from validator.checks.load.model import Native
from validator.checks.load.sample import Columns, Data
from validator.checks.preload import JUDGING, TOOLS
from validator.cli.console import interruptible
from validator.cli.console import progress as show_progress
from validator.errors import ConversionError, Exit, UsageError
from validator.gate.result_builder import Progress, ResultBuilder, Stages
from validator.gate.session import open_context
from validator.gate.validate import Gate
from validator.model.file import identify
from validator.report.escape import log_line
from validator.results import CheckResult, Conversion, Parity
from validator.settings.sources import resolve
from validator.settings.table import Settings
from validator.whole_file import whole_file

_GUESSED = "give --data with a few rows: without them every column is taken for a number"


@dataclass(frozen=True, kw_only=True)
class ConvertedFile:
    """What `convert` did. `ok` is False when native and ONNX were seen to differ: then no file was written."""

    output: str
    conversion: Conversion
    parity: Parity
    problems: tuple[CheckResult, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        return {
            "output": self.output if self.ok else None,
            "conversion": self.conversion.model_dump(mode="json"),
            "parity": self.parity.model_dump(mode="json"),
            "problems": [check.model_dump(mode="json") for check in self.problems],
        }

    def text(self) -> str:
        """For people, one fact a line."""
        if not self.ok:
            lines = [
                f"{check.title}: {check.message}" + (f" ({check.hint})" if check.hint else "")
                for check in self.problems
            ]
            return "\n".join(log_line(line) for line in ("not converted:", *lines))
        how = "exact trees" if self.conversion.method == "exact" else "through skl2onnx"
        facts = f"{how}, {self.conversion.input_dtype} input, {self.conversion.onnx_bytes:,} bytes"
        lines = [f"wrote {self.output}: {facts}", self._parity_line(), *self._reading_lines()]
        return "\n".join(log_line(line) for line in lines)

    def _reading_lines(self) -> list[str]:
        reading = self.conversion.reading
        return [f"{reading}; `reading` chooses"] if reading else []

    def _parity_line(self) -> str:
        parity = self.parity
        if parity.level == "proved":
            bound = "" if parity.bound is None else f", raw scores within {parity.bound:.3g}"
            rows = parity.rows + parity.boundary_rows
            seen = f"; confirmed on {rows:,} rows" if rows else ""
            return f"proved equal: {parity.splits:,} splits{bound} over all inputs{seen}"
        if parity.level == "measured":
            return (
                f"measured equal on {parity.rows + parity.boundary_rows:,} rows within {parity.tolerance:g}; "
                f"largest difference {parity.max_abs_diff:.3g}"
            )
        return "not compared with the native model: give --data to measure it"


def convert_file(
    settings: Settings, output: Path, environ: Mapping[str, str], progress: Progress
) -> ConvertedFile:
    """Convert, prove or measure, and write. Raises ConversionError, ModelError, UsageError or SampleError."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder", hint="give --output the ONNX file's name")
    path, stage = settings.model[0], Stages(progress=progress)
    with open_context(settings, path, identify(path), environ, stage) as context:
        run = ResultBuilder(model=context.model, stage=stage)
        gate = Gate(context=context, run=run)
        native, data = _loaded(gate)
        columns = data.columns if data else _own_columns(native)
        converted = _converted(gate, native, columns, guessed=data is None)
        judge = gate.prove(native, converted, [name for name, _ in columns])
        if judge.proof is not None and judge.proof.proved:
            run.parity = Parity(level="proved", bound=judge.proof.bound, splits=judge.proof.splits)
        if data is not None:
            subject = gate.subject(native, data)
            base = gate.open_base(data, native, subject.contract)
            gate.compare(native, converted, judge, data, subject, base)
    outcome = ConvertedFile(
        output=str(output),
        conversion=run.conversion,
        parity=run.parity,
        problems=_problems(run, settings),
    )
    if outcome.ok:
        _write(output, converted.onnx)
    return outcome


def _problems(run: ResultBuilder, settings: Settings) -> tuple[CheckResult, ...]:
    """What keeps the file from being written: also versions that differ, unless they are waived, as in `validate`."""
    judged = decide(
        run.checks,
        runtimes=run.runtimes,
        waivers=settings.waivers,
        today=datetime.now().astimezone().date(),
        waiver_days=settings.waiver_days,
    )
    return tuple(
        check
        for check in judged.checks
        if check.status in ("fail", "error")
        and (check.category in ("convert", "parity") or (check.id == "load.versions" and blocks(check)))
    )


def _loaded(gate: Gate) -> tuple[Native, Data | None]:
    """The native model, and the sample where there is one: without, no native runtime is needed."""
    inspected = gate.scan()
    if not gate.context.settings.data:
        gate.context.pool.zygote(TOOLS).preload(JUDGING)
        return gate.load(inspected, asked=False), None
    native = gate.load(inspected)
    return native, gate.fit(gate.open_sample(), native)[0]


def _converted(gate: Gate, native: Native, columns: Columns, *, guessed: bool) -> Converted:
    """Raises ConversionError, with a hint of its own, where the columns' types were only guessed."""
    try:
        return gate.convert(native, columns)
    except CheckFailedError as error:
        apart = [check for check in gate.run.checks if check.id == "load.versions" and check.status == "fail"]
        if apart:
            raise ConversionError(f"{apart[0].message}; {error.message}", hint=apart[0].hint) from error
        if not guessed:
            raise
        raise ConversionError(error.message, hint=_GUESSED) from error


def _own_columns(native: Native) -> Columns:
    """Columns as far as the model knows them. Raises ConversionError when it does not know enough."""
    facts = native.facts
    if facts.feature_names:
        return [(name, "float64") for name in facts.feature_names]
    if facts.n_features:
        return [(f"f{i}", "float64") for i in range(facts.n_features)]
    raise ConversionError("the model does not know its features", hint="give --data with a few rows")


def _write(output: Path, onnx: bytes) -> None:
    try:
        with whole_file(output) as staged:
            staged.write_bytes(onnx)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}", hint="check --output") from error


def run(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """Exact conversion and the proof alone."""
    output = Path(flags.pop("output"))
    settings = resolve(flags, environ, Path.cwd())
    with interruptible(), show_progress(quiet=settings.quiet or settings.json_output) as show:
        found = convert_file(settings, output, environ, show)
    print(json.dumps(found.to_json(), indent=2) if settings.json_output else found.text())
    return Exit.PASSED if found.ok else Exit.FAILED
