"""What a server takes on, and what it was told on its command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of what one process takes on. Beyond the first three a request is refused, beyond the others shed.

    `body_bytes` and `rows` are one request's; `read_s` the seconds in which its headers and its body must have come;
    `in_flight` requests may be under way and `batches` of them be computed beside the event loop; `connections` may
    be open. `wait_s` is how long a large request waits for its turn.
    """

    body_bytes: int = 8 * 2**20
    rows: int = 100_000
    read_s: float = 10.0
    in_flight: int = 100
    batches: int = 2
    connections: int = 1_000
    wait_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """How to serve. Tokens are those read from files; `repr` does not show them.

    `slo_ms` is None for the limit that the artifact names, `lease_s` for no lease, `digest` for that of the
    artifact's own checksums. `drain_s` is how long the server
    still takes new requests after it was told to end, while it is not ready any more.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    slo_ms: float | None = None
    override: str | None = None
    verify_key: Path | None = None
    digest: str | None = None
    allow_positional: bool = False
    lease_s: float | None = None
    drain_s: float = 5.0
    shadow: str | None = None
    log_dir: Path | None = None
    log_omit: tuple[str, ...] = ()
    log_bytes: int = 2**30
    token: str | None = field(default=None, repr=False)
    metrics_token: str | None = field(default=None, repr=False)
    lease_token: str | None = field(default=None, repr=False)
    limits: Limits = Limits()
