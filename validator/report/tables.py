"""The figures of a result as tables, for every kind of report alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from validator.report import figures
from validator.report.checklist_view import RUNTIME_TITLES
from validator.report.escape import clean
from validator.report.findings import ReportedCheck
from validator.report.view import ModelView
from validator.results import (
    Contract,
    Environment,
    GateResult,
    Hazard,
    Latency,
    MetricResult,
    Parity,
    RuntimeLatency,
)

#: A figure that there is not.
NONE = "\N{EN DASH}"


class Code(str):
    """A name, path or value out of the result: shown as code."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """The first `words` columns hold words, the others numbers. `left_out` rows are told of, and where all are."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 99
    left_out: int = 0
    whole: str = "result.json"

    def __bool__(self) -> bool:
        return bool(self.rows)


def overview_table(models: Sequence[ModelView], *, most: int, volatile: bool) -> ReportTable:
    """All models of a run, those that are blocked first."""
    speed = ("ONNX p99, ms",) if volatile else ()
    return ReportTable(
        head=("Model", "verdict", "why", "parity", *speed, "version"),
        rows=tuple(_overview_row(model, volatile=volatile) for model in models[:most]),
        left_out=max(0, len(models) - most),
    )


def _overview_row(model: ModelView, *, volatile: bool) -> tuple[str, ...]:
    onnx = model.result.latency.onnx
    speed = (figures.milliseconds(None if onnx is None else onnx.p99_ms),) if volatile else ()
    verdict = "✅\N{NO-BREAK SPACE}pass" if model.passed else "❌\N{NO-BREAK SPACE}fail"
    why = clean(_why(model), limit=200)
    return Code(model.name), verdict, why, model.result.parity.level, *speed, Code(model.result.version)


def _why(model: ModelView) -> str:
    """The first problem by its name, for a narrow column; what was loosened comes before it."""
    if not model.problems or model.result.loosened:
        return model.reason
    first, more = model.problems[0], len(model.problems) - 1
    where = f" on {first.runtimes}" if first.runtimes else ""
    return first.title + where + (f", and {figures.count(more, 'more problem')}" if more else "")


#: What the terminal has no room for.
_MORE_LATENCY = ("p99 between", "first call", "load", "peak memory")


def latency_table(latency: Latency) -> ReportTable:
    runtimes = (
        ("Native", latency.native),
        ("ONNX", latency.onnx),
        ("Deployment", latency.deployment),
        ("Your wrapper", latency.wrapper),
        ("Base version", latency.base),
    )
    ms = figures.milliseconds
    return ReportTable(
        head=("", "mean", "p50", "p95", "p99", "max", "calls", *_MORE_LATENCY),
        rows=tuple(
            (
                title,
                *(ms(value) for value in (row.mean_ms, row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms)),
                figures.number(row.samples),
                _p99_interval(row),
                ms(row.first_call_ms),
                ms(row.load_ms),
                figures.size(row.peak_memory_bytes),
            )
            for title, row in runtimes
            if row is not None
        ),
        words=1,
    )


def _p99_interval(row: RuntimeLatency) -> str:
    """The bounds of the p99; without an upper one where the calls are too few to tell."""
    if row.p99_low_ms is None:
        return NONE
    low, high = figures.milliseconds(row.p99_low_ms), figures.milliseconds(row.p99_high_ms)
    return f"at least {low}" if row.p99_high_ms is None else f"{low} to {high}"


def batch_table(latency: Latency) -> ReportTable:
    ms = figures.milliseconds
    return ReportTable(
        head=("", "rows", "mean", "p50", "p95", "p99", "max", "rows per second", "calls"),
        rows=tuple(
            (
                RUNTIME_TITLES[batch.runtime],
                figures.number(batch.rows),
                *(
                    ms(each)
                    for each in (batch.mean_ms, batch.p50_ms, batch.p95_ms, batch.p99_ms, batch.max_ms)
                ),
                figures.number(batch.rows_per_second),
                figures.number(batch.samples),
            )
            for batch in latency.batches
        ),
        words=1,
    )


def parity_table(parity: Parity) -> ReportTable:
    """One row, of the figures that there are."""
    found = (
        ("Sample rows", parity.rows),
        ("Boundary rows", parity.boundary_rows),
        ("Largest difference", parity.max_abs_diff),
        ("Largest difference in ulp", parity.max_ulp_diff),
        ("Allowed difference", parity.tolerance),
        ("Would have passed", parity.passing_tolerance),
        ("Raw scores differ by", parity.max_raw_diff),
        ("Labels that flip", parity.label_flips),
        ("Leaf mismatches", parity.leaf_mismatches),
        ("Rows the cast to float32 changes", parity.cast_changes),
    )
    known = [(name, figures.number(value)) for name, value in found if value is not None]
    if parity.level == "none":
        return ReportTable(head=(), rows=())
    return ReportTable(
        head=tuple(name for name, _ in known), rows=(tuple(text for _, text in known),), words=0
    )


def interval(metric: MetricResult) -> str:
    """The interval of a metric's difference from the base version's."""
    if metric.difference_low is None:
        return NONE
    return f"{figures.signed(metric.difference_low)} to {figures.signed(metric.difference_high)}"


def own_interval(metric: MetricResult) -> str:
    """The interval of a metric's value."""
    if metric.low is None:
        return NONE
    return f"{figures.number(metric.low)} to {figures.number(metric.high)}"


def quality_table(metrics: Sequence[MetricResult], *, most: int) -> ReportTable:
    return ReportTable(
        head=(
            "Metric",
            "on",
            "rows",
            "this version",
            "95 % interval",
            "allowed",
            "base",
            "difference, 95 % interval",
        ),
        rows=tuple(
            (
                metric.name,
                Code(metric.slice) if metric.slice else "all rows",
                figures.number(metric.rows),
                figures.number(metric.value),
                own_interval(metric),
                metric.limit or NONE,
                figures.number(metric.base),
                interval(metric),
            )
            for metric in metrics[:most]
        ),
        words=2,
        left_out=max(0, len(metrics) - most),
    )


def identity_table(result: GateResult, *, method: str, volatile: bool) -> ReportTable:
    """What was judged, byte for byte, and where what came of it lies."""
    model, conversion = result.model, result.conversion
    library = f"{model.framework} {model.framework_version}".strip() or "unknown library"
    features = [] if model.n_features is None else [figures.count(model.n_features, "feature")]
    onnx = [] if conversion.onnx_bytes is None else [figures.size(conversion.onnx_bytes)]
    rows: list[tuple[str, ...]] = [
        ("Model file", Code(model.path)),
        ("Format", ", ".join([model.format, figures.size(model.size_bytes)])),
        ("SHA-256", Code(model.sha256)),
        (
            "Model",
            ", ".join([*([model.model_class] if model.model_class else []), library, model.task, *features]),
        ),
        ("ONNX", ", ".join([method, *onnx])),
    ]
    if volatile:
        rows.append(("Recorded", result.created_at))
    if volatile and result.artifact is not None:
        rows.append(("Artifact", Code(result.artifact.path)))
    return ReportTable(head=("Version", Code(result.version)), rows=tuple(rows))


def hazard_table(hazards: Iterable[Hazard]) -> ReportTable:
    return ReportTable(
        head=("Hazard", "done about it", "what it is"),
        rows=tuple((Code(hazard.id), hazard.action, hazard.message) for hazard in hazards),
    )


def feature_table(contract: Contract, *, most: int, shapes: Mapping[str, str] | None = None) -> ReportTable:
    """The contract's features; `shapes` are pictures of their values by name, shown where there are any."""
    shown = shapes or {}
    return ReportTable(
        head=("Feature", "type", *(("values",) if shown else ()), "seen from", "to", "missing values"),
        rows=tuple(
            (
                Code(feature.name),
                feature.dtype
                if feature.categories is None
                else f"{feature.dtype}, {figures.count(len(feature.categories), 'category')}",
                *((shown.get(feature.name, ""),) if shown else ()),
                figures.number(feature.minimum),
                figures.number(feature.maximum),
                "allowed" if feature.missing else "no",
            )
            for feature in contract.features[:most]
        ),
        words=3 if shown else 2,
        left_out=max(0, len(contract.features) - most),
        whole="contract.json",
    )


def evidence_table(findings: Iterable[ReportedCheck], *, most: int) -> ReportTable:
    return ReportTable(
        head=("Check", "on", "figure", "seen", "allowed"),
        rows=tuple(
            (Code(finding.id), finding.runtimes or "the model", name, Code(seen), allowed or NONE)
            for finding in findings
            for name, seen, allowed in finding.evidence[:most]
        ),
    )


def environment_tables(result: GateResult, *, volatile: bool) -> list[ReportTable]:
    """Where it was judged; what differs from run to run only where that is shown."""
    found = [_package_table(result.environment)]
    if volatile:
        found += [_isolation_table(result.environment), _timing_table(result)]
    return [table for table in found if table]


def _package_table(environment: Environment) -> ReportTable:
    return ReportTable(head=("Package", "version"), rows=tuple(environment.packages.items()))


def _isolation_table(environment: Environment) -> ReportTable:
    return ReportTable(
        head=("Isolation of the model", "state", "why"),
        rows=tuple((layer.name, layer.state, layer.reason or NONE) for layer in environment.isolation),
    )


def _timing_table(result: GateResult) -> ReportTable:
    return ReportTable(
        head=("Stage", "seconds"),
        rows=tuple((name, figures.number(seconds)) for name, seconds in result.timings.items()),
        words=1,
    )
