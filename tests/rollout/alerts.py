"""Alertmanager and whoever it tells: rules of a rollout, sent to a webhook that remembers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: Of a site whose steps are half a second apart and whose scrapes a second.
RULES: dict[str, Any] = {
    "groups": [
        {
            "name": "rollout",
            "interval": "1s",
            "rules": [
                {"alert": "TargetDown", "expr": "up == 0", "for": "2s"},
                {
                    "alert": "RolloutStalled",
                    "expr": "time() - max(last_over_time(preflight_rollout_last_step_timestamp_seconds[5m])) > 5",
                },
                {"alert": "RolledBack", "expr": 'preflight_rollout_state{state="rolled_back"} == 1'},
                {"alert": "Watchdog", "expr": "vector(1)"},
            ],
        }
    ]
}


class Receiver:
    """What was told, with when."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                for alert in document["alerts"]:
                    receiver.told.append((time.monotonic(), alert["labels"]["alertname"], alert["status"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._httpd.server_port}/"

    def has(self, name: str, status: str = "firing", *, since: float = 0.0) -> bool:
        """Whether it was told of that, after a moment."""
        return any(at > since and (alert, now) == (name, status) for at, alert, now in self.told)

    @contextmanager
    def listening(self) -> Iterator[Receiver]:
        """Take what comes."""
        thread = threading.Thread(target=self._httpd.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._httpd.shutdown()
            thread.join()
            self._httpd.server_close()


def configuration(receiver: Receiver) -> dict[str, Any]:
    """Alertmanager's: everything to the receiver, told again each two seconds, as a watchdog needs."""
    route = {
        "receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s",
        "repeat_interval": "2s",
    }  # fmt: skip
    hook = {"url": receiver.url, "send_resolved": True}
    return {"route": route, "receivers": [{"name": "hook", "webhook_configs": [hook]}]}
