"""What Prometheus may know of a rollout: its state, the weights, the verdicts, and when it last stepped."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import get_args

from validator.listening import listening
from validator.rollout.judge import Outcome, Verdict
from validator.rollout.state import Rollout, StateName

METRICS_FILE = "rollout.prom"


def exposition(state: Rollout, verdict: Verdict | None) -> str:
    """The text that is scraped. One series for each state, 1 for the one that is, so that changes can be seen."""
    model = f'model="{_escaped(state.model)}"'
    lines = [
        "# HELP preflight_rollout_state The state that the rollout is in: 1.",
        "# TYPE preflight_rollout_state gauge",
    ]
    lines += [
        f'preflight_rollout_state{{{model},state="{name}"}} {int(name == state.state)}'
        for name in get_args(StateName)
    ]
    lines += [
        "# HELP preflight_rollout_weight Percent of the traffic.",
        "# TYPE preflight_rollout_weight gauge",
    ]
    for role, arm, share in (
        ("candidate", state.candidate, state.share),
        ("champion", state.champion, 100 - state.share),
    ):
        lines.append(
            f'preflight_rollout_weight{{{model},version="{_escaped(arm.version)}",role="{role}"}} {share}'
        )
    if verdict is not None:
        lines += [
            "# HELP preflight_rollout_verdict What each metric says in this stage: 1.",
            "# TYPE preflight_rollout_verdict gauge",
        ]
        lines += [
            f'preflight_rollout_verdict{{{model},metric="{_escaped(metric.name)}",verdict="{outcome}"}} '
            f"{int(metric.outcome == outcome)}"
            for metric in verdict.metrics
            for outcome in get_args(Outcome)
        ]
    lines += [
        "# HELP preflight_rollout_last_step_timestamp_seconds When it last stepped.",
        "# TYPE preflight_rollout_last_step_timestamp_seconds gauge",
        f"preflight_rollout_last_step_timestamp_seconds{{{model}}} {state.last_step:.3f}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


@contextmanager
def served(path: Path, host: str, port: int) -> Iterator[int]:
    """Answer ``GET /metrics`` with the file's content meanwhile; gives the port."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            body = path.read_bytes() if path.exists() else b""
            self.send_response(200 if self.path == "/metrics" else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body) if self.path == "/metrics" else 0))
            self.end_headers()
            if self.path == "/metrics":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Scrapes are not told of."""

    with listening(host, port, Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield httpd.server_port
        finally:
            httpd.shutdown()
            thread.join()
