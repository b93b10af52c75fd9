"""`serve`: opens the model, warms it up, takes requests until a signal, ends when all of them are answered."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from validator.errors import UsageError
from validator.serving.metrics.bins import LiveBins
from validator.serving.metrics.server import ServerMetrics
from validator.serving.server.documents import feature_datatype
from validator.serving.server.lease import Lease
from validator.serving.server.limits import ServeOptions
from validator.serving.server.opening import Opened, open_model
from validator.serving.server.predictor import Predictor
from validator.serving.server.record import PredictionLog
from validator.serving.server.requests import RequestReader
from validator.serving.server.service import Service
from validator.serving.server.shadow import Shadow
from validator.serving.server.views import Views
from validator.serving.server.warmup import warm_up

_CLOSING_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """A service with what must be closed when it ends."""

    service: Service
    opened: Opened
    closers: tuple[Callable[[float], None], ...]


def serve(reference: str, options: ServeOptions, tell: Callable[[str], None]) -> None:
    """Serve an artifact until SIGTERM or SIGINT. `tell` is given lines for people.

    The socket is bound before the model is loaded, so that a wrong port is told at once; requests are taken once
    the model is loaded, and it is ready when it is warm.

    Raises
    ------
    UsageError
        Where the address cannot be bound, or an option cannot be met.
    ArtifactError
        Where the artifact may not be served: what `Deployment.load` raises.
    """
    from validator.serving.server import http

    try:
        listening = http.bind(options.host, options.port)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}",
            hint="choose another --port or --host",
        ) from error
    with listening:
        assembled = assemble(reference, options, tell)
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        try:
            http.run(
                assembled.service,
                assembled.service,
                listening,
                limits=options.limits,
                drain_s=options.drain_s,
                started=lambda: tell(f"ready: http://{shown}:{port}"),
            )
        finally:
            for close in assembled.closers:
                close(_CLOSING_S)
    counts = assembled.service.metrics.outcomes
    tell("ended: " + ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))


def assemble(reference: str, options: ServeOptions, tell: Callable[[str], None]) -> Assembled:
    """The service of a reference, warmed up. Raises as `serve` does."""
    opened = open_model(reference, override=options.override, verify_key=options.verify_key)
    if options.digest is not None:
        opened = replace(opened, served=replace(opened.served, digest=options.digest))
    golden = warm_up(opened.deployment, opened.golden, opened.example)
    served = opened.served
    bins = LiveBins(opened.profile)
    slo_ms = opened.slo_ms if options.slo_ms is None else options.slo_ms
    metrics = ServerMetrics(served, slo_s=slo_ms / 1e3, bins=bins)
    predictor = Predictor(opened.deployment, metrics)
    features = opened.identity["contract"]["features"]
    names = [feature["name"] for feature in features]
    datatypes = {feature["name"]: feature_datatype(feature) for feature in features}
    reader = RequestReader(datatypes, max_rows=options.limits.rows, allow_positional=options.allow_positional)
    closers: list[Callable[[float], None]] = []
    if options.shadow is not None:
        closers.append(_add_shadow(predictor, metrics, options))
    if options.log_dir is not None:
        closers.append(_add_log(predictor, metrics, options, names))
    service = Service(
        predictor=predictor,
        reader=reader,
        metrics=metrics,
        lease=Lease(options.lease_s),
        limits=options.limits,
        token=options.token,
    )
    service.rest = Views(service, options, opened.identity, opened.example).application()
    service.is_warm = True
    _tell_facts(opened, bins, golden, slo_ms, tell)
    return Assembled(service=service, opened=opened, closers=tuple(closers))


def _add_shadow(
    predictor: Predictor, metrics: ServerMetrics, options: ServeOptions
) -> Callable[[float], None]:
    """A shadow is held to the same rules as what serves, but for the override, which is the serving version's."""
    other = open_model(options.shadow or "", verify_key=options.verify_key)
    if other.served.model != metrics.served.model:
        raise UsageError(
            f"the shadow is a version of {other.served.model}, not of {metrics.served.model}",
            hint="give another version of the same model",
        )
    warm_up(other.deployment, other.golden, other.example)
    shadow = Shadow(other.deployment, metrics.shadow_counts(other.served.version))
    predictor.observers.append(shadow.observe)
    return shadow.close


def _add_log(
    predictor: Predictor, metrics: ServerMetrics, options: ServeOptions, names: list[str]
) -> Callable[[float], None]:
    unknown = [name for name in options.log_omit if name not in names]
    if unknown or options.log_dir is None:
        raise UsageError(
            f"--log-omit names {', '.join(map(repr, unknown[:5]))}, which the model does not take",
            hint=f"its features are {', '.join(map(repr, names[:20]))}",
        )
    log = PredictionLog(
        options.log_dir,
        version=metrics.served.version,
        counts=metrics.log,
        omit=options.log_omit,
        most_bytes=options.log_bytes,
    )
    predictor.observers.append(log.observe)
    return log.close


def _tell_facts(
    opened: Opened, bins: LiveBins, golden: int, slo_ms: float, tell: Callable[[str], None]
) -> None:
    served = opened.served
    tell(f"{served.model} {served.version}, verdict {served.verdict}, promised {slo_ms:g} ms a request")
    if served.override:
        tell(f"served in spite of the gate: {served.override}")
    tell(
        f"{golden} golden requests answered right" if golden else "no golden requests: its artifact has none"
    )
    if bins.profile is None:
        tell("no profile: its artifact has none, so features are not counted and drift cannot be seen")
    if bins.uncounted:
        tell(f"{len(bins.uncounted)} features are not counted: {', '.join(bins.uncounted[:10])} …")


def tell_on_stderr(line: str) -> None:
    """The default for `tell`: one line, without what controls a terminal."""
    print("serve: " + "".join(c if c.isprintable() else "?" for c in line), file=sys.stderr, flush=True)
