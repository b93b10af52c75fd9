"""`monitor page`: made once, or anew for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from validator.errors import PreflightError, UsageError
from validator.listening import listening
from validator.monitoring.gather import Seen, gather, models
from validator.monitoring.page import render
from validator.monitoring.settings import MonitorSettings, with_rollout
from validator.prometheus import Prometheus, prometheus_at
from validator.promql import select
from validator.report.escape import log_line
from validator.report.self_contained import Follow

#: How often a page that its reader follows asks for itself again, and what it is asked for by.
REFRESH_S, LIVE = 60, "live"


@dataclass(frozen=True, kw_only=True)
class Page:
    """Which page: `model` None is the only one that Prometheus knows."""

    url: str
    model: str | None
    seconds: float
    settings: MonitorSettings
    rollout: Path | None = None

    def render(self, prometheus: Prometheus, *, live: bool | None = None) -> str:
        """Ask and draw; where it is served, still or `live`, with a way to the other.

        Raises
        ------
        SourceError
            If Prometheus cannot be asked.
        UsageError
            If it is not clear which model is meant.
        """
        other = "./" if live else f"./?{LIVE}"
        follow = None if live is None else Follow(live=live, other=other, seconds=REFRESH_S)
        return self.drawn(self.seen(prometheus), follow=follow)

    def drawn(self, seen: Seen, *, follow: Follow | None = None) -> str:
        """The page of what was seen."""
        return render(seen, follow=follow, runbooks=self.settings.runbooks)

    def seen(self, prometheus: Prometheus) -> Seen:
        """What is known of the model."""
        model = self.model or _only(prometheus)
        slo = prometheus.values(f"max({select('preflight_slo_seconds', ('model', '=', model))})")
        _, limits, _ = with_rollout(
            self.settings, self.rollout, model=model, profile_slo_ms=1e3 * slo[0][1] if slo else None
        )
        # A rate needs two scrapes, and now and then one is missed.
        shortest = 4.0 * self.settings.scrape_interval_s
        return gather(prometheus, model, limits, seconds=self.seconds, shortest_s=shortest)


def _only(prometheus: Prometheus) -> str:
    known = models(prometheus)
    if len(known) == 1:
        return known[0]
    told = f"it knows {', '.join(known[:10])}" if known else "it knows none now"
    raise UsageError(f"which model? {told}", hint="name it with --model")


@contextmanager
def serve(page: Page, host: str, port: int, *, quality: Path | None = None) -> Iterator[ThreadingHTTPServer]:
    """Answer `GET /` with a fresh page, and `GET /metrics` with the file `quality`, for Prometheus to scrape.

    It only reads, and tells nobody what Prometheus said of an error.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path == "/metrics" and quality is not None:
                self._metrics(quality)
                return
            if path != "/":
                self._answer(404, "text/plain; charset=utf-8", "there is one page, /\n")
                return
            try:
                with prometheus_at(page.url) as prometheus:
                    self._answer(200, "text/html; charset=utf-8", page.render(prometheus, live=query == LIVE))
            except PreflightError as error:
                print(f"! {log_line(error.message)}", flush=True)
                self._answer(503, "text/plain; charset=utf-8", "Prometheus cannot be asked now\n")

        def _metrics(self, file: Path) -> None:
            try:
                text = file.read_text("utf-8")
            except OSError as error:
                print(f"! cannot read {file}: {error.strerror}", flush=True)
                self._answer(503, "text/plain; charset=utf-8", "there are no figures now\n")
                return
            self._answer(200, "text/plain; version=0.0.4; charset=utf-8", text)

        def _answer(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads of each request."""

    with listening(host, port, Handler) as httpd:
        yield httpd
