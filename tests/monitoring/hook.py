"""The webhook that alerts reach."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hook:
    """Somebody who is told, and remembers when."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        told = self.told = []  # type: ignore[var-annotated]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.append((time.monotonic(), self.path, document))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer((host, port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def alerts(self, path: str) -> list[tuple[float, dict[str, Any]]]:
        return [
            (at, alert) for at, where, document in self.told if where == path for alert in document["alerts"]
        ]

    def names(self, path: str) -> set[str]:
        return {alert["labels"]["alertname"] for _, alert in self.alerts(path) if alert["status"] == "firing"}
