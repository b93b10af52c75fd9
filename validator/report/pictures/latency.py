"""How long one row takes, as a picture."""

from __future__ import annotations

from validator.report import figures
from validator.report.drawing import Frame, dot, line, text
from validator.report.pictures.picture import Picture, named, shares
from validator.results import GateResult, Latency, RuntimeLatency

_KINDS = {"native": "first", "onnx": "second", "deployment": "fourth", "base": "third", "wrapper": "fifth"}


def latency(result: GateResult) -> Picture | None:
    latency = result.latency
    found = latency.distribution
    if found is None:
        return None
    limit = limit_ms(result)
    low, high = found.edges[0], found.edges[-1]
    if limit is not None:
        low, high = min(low, limit), max(high, limit * 1.3)
    top = max((max(shares(one.counts)) for one in found.series), default=0.0) or 1.0
    frame = Frame.of((low, high), (0, top * 1.25), log=low > 0 and high / low > 3, width=740, height=240)
    parts = frame.axes("milliseconds for one row", "share of calls")
    key = []
    for one in found.series:
        kind = _KINDS.get(one.name, "first")
        parts.append(frame.steps(kind, found.edges, shares(one.counts)))
        key.append((kind, named(one.name)))
    served = served_of(latency)
    if served is not None:
        name, row = served
        first, last = row.p99_low_ms or row.p99_ms, row.p99_high_ms or row.p99_ms
        y = frame.y(top * 1.12)
        parts += [
            line(f"{_KINDS[name]} wide", frame.x(first), y, frame.x(last), y),
            dot("mark", frame.x(row.p99_ms), y),
        ]
        parts.append(text(frame.x(last) + 6, y + 4, f"p99 of {named(name)}"))
    if limit is not None:
        parts.append(line("stop", frame.x(limit), frame.y.start, frame.x(limit), frame.y.end))
        parts.append(text(frame.x(limit) - 5, frame.y.end + 9, f"limit {limit:g} ms", anchor="end"))
    said = latency_said(latency, limit)
    return Picture(
        title="Latency of one row",
        said=said,
        svg=frame.drawn(parts, f"Latency. {said}"),
        key=tuple(key),
        wide=True,
    )


def served_of(latency: Latency) -> tuple[str, RuntimeLatency] | None:
    """The runtime whose p99 is shown: the deployment where it was timed."""
    for name in ("deployment", "onnx", "native"):
        row = getattr(latency, name)
        if isinstance(row, RuntimeLatency):
            return name, row
    return None


def limit_ms(result: GateResult) -> float | None:
    """The limit of one row's p99, as its check was held to it."""
    for check in result.checks:
        for item in check.evidence if check.id == "latency.single" else ():
            if item.name == "p99_ms" and item.allowed.startswith("< "):
                try:
                    return float(item.allowed[2:])
                except ValueError:
                    return None
    return None


def latency_said(latency: Latency, limit: float | None) -> str:
    """The served runtime's p99 with its interval, against the limit."""
    served = served_of(latency)
    if served is None:
        return ""
    name, row = served
    ms = figures.milliseconds
    span = ""
    if row.p99_low_ms is not None:
        low = ms(row.p99_low_ms)
        span = f" (at least {low})" if row.p99_high_ms is None else f" ({low} to {ms(row.p99_high_ms)})"
    allowed = f"; {ms(limit)} ms are allowed" if limit is not None else ""
    return f"99 of 100 calls of {named(name)} take at most {ms(row.p99_ms)} ms{span}{allowed}."
