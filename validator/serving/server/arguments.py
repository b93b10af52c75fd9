"""The flags of `serve`. They need no schema: a container that serves has none installed."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from validator.durations import seconds_of
from validator.errors import UsageError
from validator.serving.server.access import read_token
from validator.serving.server.limits import Limits, ServeOptions

_SIZES = {"": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The reference, and one flag for each option."""
    defaults, limits = ServeOptions(), Limits()
    parser.add_argument(
        "reference",
        metavar="ARTIFACT",
        help="the folder that a passing run wrote, or an image by digest: oci://HOST/NAME@sha256:...",
    )
    group = parser.add_argument_group("address")
    _add(group, "--host", "HOST", f"address to listen on (default: {defaults.host}, this machine alone)")
    _add(group, "--port", "PORT", f"0 takes a free one (default: {defaults.port})")
    group = parser.add_argument_group("what may be served")
    _add(group, "--verify-key", "FILE", "public key (PEM) that must have signed the artifact", Path)
    _add(group, "--override", "REASON", "serve what would be refused; metrics and page show the reason")
    _add(
        group,
        "--digest",
        "DIGEST",
        "name it by the digest of the image that it was mounted from (default: that of its checksums)",
    )
    _add(
        group,
        "--shadow",
        "ARTIFACT",
        "a second version that is asked the same, compared and counted, never heard",
    )
    group = parser.add_argument_group("access")
    _add(group, "--token-file", "FILE", "bearer token that predictions and the contract need", Path)
    _add(group, "--metrics-token-file", "FILE", "bearer token that /metrics needs", Path)
    _add(
        group,
        "--lease-token-file",
        "FILE",
        "bearer token that /lease needs; without, this machine alone",
        Path,
    )
    group = parser.add_argument_group("behaviour")
    _add(group, "--slo-ms", "MS", "promised limit of a request, an exact bucket (default: the gate's own)")
    _add(group, "--lease", "TIME", "be ready for so long, unless PUT /lease renews it: 10m, 90s")
    _add(
        group,
        "--drain",
        "TIME",
        f"on SIGTERM, answer on for so long, not ready (default: {defaults.drain_s:g}s)",
    )
    group.add_argument(
        "--allow-positional",
        action="store_true",
        default=None,
        help="take a matrix whose columns are not named",
    )
    group = parser.add_argument_group("prediction log")
    _add(group, "--log", "DIR", "store every answered row and its answer as Parquet (default: off)", Path)
    group.add_argument(
        "--log-omit", action="append", default=None, metavar="FEATURE", help="do not store this one"
    )
    _add(group, "--log-size", "BYTES", "remove the oldest files beyond this (default: 1GiB)")
    group = parser.add_argument_group("bounds")
    _add(group, "--max-body", "BYTES", f"of one request (default: {limits.body_bytes // 2**20}MiB)")
    _add(group, "--max-rows", "ROWS", f"of one request (default: {limits.rows:,})")
    _add(
        group,
        "--max-in-flight",
        "N",
        f"requests under way; others are told to come back (default: {limits.in_flight})",
    )
    _add(group, "--max-connections", "N", f"at once (default: {limits.connections:,})")
    _add(group, "--read-timeout", "TIME", f"for a request to arrive (default: {limits.read_s:g}s)")


def _add(group: Any, flag: str, metavar: str, text: str, kind: Callable[[str], Any] = str) -> None:
    group.add_argument(flag, metavar=metavar, type=kind, default=None, help=text.replace("%", "%%"))


def options_of(flags: Mapping[str, Any]) -> ServeOptions:
    """Options from the flags that were given. Raises UsageError, naming the flag."""
    bounds: dict[str, Any] = {
        "body_bytes": _if(flags, "max_body", size, 1, 2**30),
        "rows": _if(flags, "max_rows", whole, 1, 10**7),
        "in_flight": _if(flags, "max_in_flight", whole, 1, 10**5),
        "connections": _if(flags, "max_connections", whole, 2, 10**5),
        "read_s": _if(flags, "read_timeout", duration, 0.1, 3600),
    }
    options: dict[str, Any] = {
        "host": flags.get("host"),
        "port": _if(flags, "port", whole, 0, 65535),
        "slo_ms": _if(flags, "slo_ms", number, 0.001, 10**6),
        "override": flags.get("override"),
        "verify_key": flags.get("verify_key"),
        "digest": _digest(flags.get("digest")),
        "allow_positional": flags.get("allow_positional"),
        "lease_s": _if(flags, "lease", duration, 1, 7 * 86400),
        "drain_s": _if(flags, "drain", duration, 0, 3600),
        "shadow": flags.get("shadow"),
        "log_dir": flags.get("log"),
        "log_omit": tuple(flags["log_omit"]) if flags.get("log_omit") else None,
        "log_bytes": _if(flags, "log_size", size, 2**20, 2**50),
        **{key: _token(flags, f"{key}_file") for key in ("token", "metrics_token", "lease_token")},
    }
    if flags.get("log") is None and (flags.get("log_omit") or flags.get("log_size")):
        raise UsageError(
            "--log-omit and --log-size say how to log, and there is no --log", hint="add --log DIR"
        )
    return ServeOptions(**_given(options), limits=Limits(**_given(bounds)))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _if(
    flags: Mapping[str, Any], name: str, read: Callable[[str], float | int], low: float, high: float
) -> float | int | None:
    text = flags.get(name)
    if text is None:
        return None
    flag = f"--{name.replace('_', '-')}"
    try:
        value = read(str(text).strip())
    except ValueError:
        raise UsageError(f"{flag} is {str(text)[:60]!r}", hint=_FORMS[read]) from None
    if not low <= value <= high:
        raise UsageError(f"{flag} is {str(text)[:60]}", hint=f"give from {low:g} to {high:g}")
    return value


def _digest(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"sha256:[0-9a-f]{64}", text):
        raise UsageError(f"--digest is {text[:80]!r}", hint="give sha256: and 64 of 0-9 and a-f")
    return text


def _token(flags: Mapping[str, Any], name: str) -> str | None:
    path = flags.get(name)
    return None if path is None else read_token(path)


def whole(text: str) -> int:
    """A whole number. Raises ValueError."""
    return int(text.replace(",", "")) if re.fullmatch(r"[0-9,]{1,15}", text) else _refuse()


def number(text: str) -> float:
    """A finite number. Raises ValueError."""
    value = float(text)
    return value if math.isfinite(value) else _refuse()


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `10m`, `500ms`, `6h`. Raises ValueError."""
    seconds = seconds_of(text if text[-1:].isalpha() else f"{text}s")
    return _refuse() if seconds is None else seconds


def size(text: str) -> int:
    """Bytes of `1048576`, `8MiB`, `1GB`. Raises ValueError."""
    match = re.fullmatch(r"([0-9]{1,15}) ?([a-z]*)", text.lower())
    return int(match[1]) * _SIZES[match[2]] if match and match[2] in _SIZES else _refuse()


def _refuse() -> Any:
    raise ValueError


_FORMS: dict[Callable[[str], float | int], str] = {
    whole: "give a whole number",
    number: "give a number",
    duration: "give a time: 90s, 10m, 500ms",
    size: "give a size: 8MiB, 1GiB",
}
