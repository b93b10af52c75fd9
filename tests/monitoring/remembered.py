"""Histories for a real Prometheus: what it would remember of models that served for a week or a year."""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from validator.promql import select
from validator.serving.metrics.latency import BOUNDS, bound_label

POINTS = 240
FIRST, SECOND = "v_20251105T093000Z_6d08a4e6", "v_20251120T120000Z_ab54a98c"
_BINS = [str(i) for i in range(10)]
Value = Callable[[float], float | None]


class Remembered:
    """Collects series of (seconds since 1970, value), at the points that a page of `seconds` looks at."""

    def __init__(self, model: str, *, end: float, seconds: float) -> None:
        self.model, self.end, self.seconds = model, end, seconds
        self.step = seconds / POINTS
        self.random = random.Random(model)
        self.families: dict[str, list[tuple[str, list[tuple[float, float]]]]] = {}

    def times(self) -> list[float]:
        return [self.end - self.seconds + i * self.step / 2 for i in range(2 * POINTS + 1)]

    def gauge(self, metric: str, value: Value, /, **labels: str) -> None:
        """`value` of the part of the time that has passed, 0 to 1; None for no sample."""
        points = []
        for at in self.times():
            found = value((at - self.end + self.seconds) / self.seconds)
            if found is not None:
                points.append((at, found))
        own = {"model": self.model, **labels}
        name = select("", *((key, "=", text) for key, text in own.items()))
        self.families.setdefault(metric, []).append((name, points))

    def counter(self, metric: str, rate: Value, /, **labels: str) -> None:
        """Rises by `rate` a second; None while it is not there."""
        total = 0.0

        def value(part: float) -> float | None:
            nonlocal total
            found = rate(part)
            if found is None:
                return None
            total += found * self.step / 2
            return round(total, 3)

        self.gauge(metric, value, **labels)

    def service(self, version: str, share: Value, *, slo: float = 0.05, faulty: bool = False) -> None:
        """Requests of one version, which takes a `share` of a traffic with days and nights."""

        def traffic(part: float) -> float | None:
            mine = share(part)
            if mine is None:
                return None
            return (
                mine
                * 20
                * (1.2 + math.sin(part * self.seconds / 86_400 * 2 * math.pi))
                * (1.0 + 0.1 * math.sin(part * 5_000))
            )

        def of(part: float, much: float) -> float | None:
            asked = traffic(part)
            return None if asked is None else asked * much

        bad = lambda part: 0.2 if faulty and 0.5 < part < 0.56 else 0.0005  # noqa: E731
        own = {"version": version}
        self.counter("preflight_requests_total", lambda part: of(part, 1 - bad(part)), outcome="ok", **own)
        self.counter("preflight_requests_total", lambda part: of(part, bad(part)), outcome="error", **own)
        self.counter("preflight_requests_total", lambda part: of(part, 0.003), outcome="refused", **own)
        self.counter("preflight_request_seconds_count", traffic, **own)
        for bound in sorted({*BOUNDS, slo}):
            fast = 0.5 if bound < slo else 0.996
            self.counter(
                "preflight_request_seconds_bucket",
                lambda part, f=fast: of(part, f),
                le=bound_label(bound),
                **own,
            )
        self.gauge(
            "preflight_model_info",
            lambda part: None if share(part) is None else 1,
            verdict="pass",
            override="",
            **own,
        )
        self.gauge("preflight_slo_seconds", lambda _: slo, **own)
        made = self.end - 40 * 86_400
        self.gauge("preflight_model_created_timestamp_seconds", lambda _: made, **own)

    def column(self, kind: str, name: str, version: str, *, shift: float = 0.0, floor: float = 0.02) -> None:
        """A feature or output as the rules record it; `shift` goes from its last bins to its first."""
        own = {"version": version, kind: name}
        for i, slot in enumerate(_BINS):
            share = 0.1 + shift * (4.5 - i) / 4.5 * 0.1 + self.random.uniform(-0.004, 0.004)
            self.gauge(
                f"preflight:{kind}_bin:rows1d", lambda _, s=share: 50_000 * max(0.0, s), bin=slot, **own
            )
            self.gauge(f"preflight:{kind}_bin:reference", lambda _: 1_000, bin=slot, **own)
        psi = 0.005 + shift**2 * 0.32
        self.gauge(f"preflight:{kind}:psi", lambda part: psi * min(1.0, 2 * part), **own)
        self.gauge(f"preflight:{kind}:psi_floor", lambda _: floor, **own)
        self.gauge(f"preflight:{kind}:rows1d", lambda _: 50_000, **own)
        self.gauge(
            f"preflight:{kind}_bin:special_share1d",
            lambda _: 0.001 + 0.05 * (shift > 0.8),
            bin="missing",
            **own,
        )
        self.gauge(f"preflight:{kind}_bin:special_reference", lambda _: 0.001, bin="missing", **own)

    def alert(self, name: str, severity: str, firing: Value, **labels: str) -> None:
        self.gauge(
            "ALERTS",
            lambda part: 1 if firing(part) else None,
            alertname=name,
            alertstate="firing",
            severity=severity,
            **labels,
        )

    def watchdog(self) -> None:
        self.alert("PreflightWatchdog", "none", lambda _: 1)

    def text(self) -> Iterator[str]:
        """OpenMetrics lines, family by family."""
        for metric, series in self.families.items():
            for name, points in series:
                for at, value in points:
                    yield f"{metric}{name} {value:.10g} {at:.3f}"


def typical(model: str, *, end: float, seconds: float, features: int = 6, versions: int = 2) -> Remembered:
    """A model with some of everything: a rollout, a fault, drift, alerts."""
    one = Remembered(model, end=end, seconds=seconds)
    names = [
        "income",
        "age of the account in days",
        "<b>region</b> {{ x }}",
        *(f"feature_{i}" for i in range(61)),
    ][:features]
    if versions == 1:
        one.service(FIRST, lambda _: 1.0)
    else:
        one.service(FIRST, lambda part: 1.0 if part < 0.45 else 0.5 if part < 0.6 else 0.0)
        one.service(SECOND, lambda part: None if part < 0.45 else 0.5 if part < 0.6 else 1.0, faulty=True)
        one.gauge("preflight_rollout_state", lambda part: float(0.45 <= part < 0.6), state="guard")
        one.gauge("preflight_rollout_state", lambda part: float(part >= 0.6), state="promoted")
        one.alert("PreflightErrorBurnFast", "page", lambda part: 0.5 < part < 0.57, window="1h")
    version = SECOND if versions == 2 else FIRST
    for i, name in enumerate(names):
        one.column(
            "feature",
            name,
            version,
            shift=0.95 if i == 1 else 0.5 if i == 2 else 0.0,
            floor=0.5 if i == 3 else 0.02,
        )
    one.column("output", "probabilities[1]", version, shift=0.2)
    one.alert("PreflightDrift", "ticket", lambda part: part > 0.7, version=version, feature=names[1])
    for name, value in (("auc", 0.71), ("log_loss", 0.55)):
        for ending, more in (("", 0.0), ("_low", -0.02), ("_high", 0.02)):
            one.gauge(
                f"preflight_live_quality{ending}",
                lambda part, v=value + more: v - 0.05 * part,
                version=version,
                metric=name,
            )
    one.watchdog()
    return one


def store(folder: Path, histories: list[Remembered]) -> None:
    """Write blocks that a Prometheus with this folder as its storage finds at its start."""
    families: dict[str, list[str]] = {}
    for history in histories:
        for line in history.text():
            families.setdefault(line.partition("{")[0], []).append(line)
    lines = []
    for metric, found in families.items():
        kind = "gauge" if not metric.endswith("_total") else "counter"
        lines += [f"# TYPE {metric.removesuffix('_total')} {'unknown' if ':' in metric else kind}", *found]
    source = folder / "history.txt"
    folder.mkdir(parents=True, exist_ok=True)
    source.write_text("\n".join([*lines, "# EOF"]) + "\n")
    command = [
        "promtool",
        "tsdb",
        "create-blocks-from",
        "openmetrics",
        "--max-block-duration=8760h",
        str(source),
        str(folder / "data"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    source.unlink()
