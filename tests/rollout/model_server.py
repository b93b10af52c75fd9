"""A server that speaks the metrics, lease and readiness of `model-preflight serve`, and fails on demand.

    python model_server.py PORT VERSION SLO_SECONDS

`PUT /fault` with {"error": 0.3} makes that share of requests fail; likewise slow, invalid and refused.
{"ready": 1} makes it ready whatever its lease says, {"digest": 1} shows another artifact.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

OUTCOMES = ("ok", "refused", "invalid_output", "error", "shed")
STATUS = {"ok": 200, "refused": 422, "invalid_output": 500, "error": 500, "shed": 503}


class Counts:
    """What is counted, and the lease."""

    def __init__(self, version: str, slo: float) -> None:
        self.version, self.slo = version, slo
        self.lock = threading.Lock()
        self.outcomes = dict.fromkeys(OUTCOMES, 0)
        self.within = self.total = 0
        self.until: float | None = None
        self.fault: dict[str, float] = {}

    def is_ready(self) -> bool:
        return "ready" in self.fault or self.until is None or time.monotonic() < self.until

    def observe(self, outcome: str, seconds: float) -> None:
        with self.lock:
            self.outcomes[outcome] += 1
            self.total += 1
            self.within += seconds <= self.slo

    def metrics(self) -> str:
        with self.lock:
            outcomes, within, total = dict(self.outcomes), self.within, self.total
        digest = f"sha256:{self.fault.get('digest', self.version * 8)}"
        labels = f'model="trading",version="{self.version}"'
        lines = [f'preflight_requests_total{{{labels},outcome="{k}"}} {v}' for k, v in outcomes.items()]
        lines += [
            f'preflight_request_seconds_bucket{{{labels},le="{self.slo}"}} {within}',
            f'preflight_request_seconds_bucket{{{labels},le="+Inf"}} {total}',
            f"preflight_request_seconds_count{{{labels}}} {total}",
            f'preflight_model_info{{{labels},digest="{digest}",verdict="pass",override=""}} 1',
        ]
        return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    counts: ClassVar[Counts]

    def log_message(self, *args: object) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.answer(200, self.counts.metrics().encode())
        elif self.path == "/v2/health/ready":
            self.answer(200 if self.counts.is_ready() else 503)
        else:
            self.answer(404)

    def do_PUT(self) -> None:
        asked = json.loads(self.body() or b"{}")
        if self.path == "/lease":
            self.counts.until = time.monotonic() + asked["seconds"]
        else:
            self.counts.fault = asked
        self.answer(200, b"{}")

    def do_DELETE(self) -> None:
        self.counts.until = None
        self.answer(200, b"{}")

    def do_POST(self) -> None:
        started, counts, fault = time.perf_counter(), self.counts, self.counts.fault
        self.body()
        roll, outcome = random.random(), "ok"
        for name, key in (("error", "error"), ("invalid_output", "invalid"), ("refused", "refused")):
            if roll < fault.get(key, 0):
                outcome = name
                break
            roll -= fault.get(key, 0)
        if random.random() < fault.get("slow", 0):
            time.sleep(counts.slo * 1.5)
        counts.observe(outcome, time.perf_counter() - started)
        self.answer(STATUS[outcome], json.dumps({"model_version": counts.version}).encode())

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            return


def main() -> None:
    """Serve until killed."""
    port, version, slo = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    Handler.counts = Counts(version, slo)
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
