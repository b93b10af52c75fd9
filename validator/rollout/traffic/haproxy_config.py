"""HAProxy's configuration, made word by word: no text reaches the file that is not a plain word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from validator.errors import SettingsError
from validator.rollout.settings import RolloutSettings
from validator.rollout.state import SlotName
from validator.rollout.traffic import Weights

#: What a word may be made of. Neither quotes, backslashes, `$`, `#` nor spaces: nothing needs quoting then.
_WORD = re.compile(r"[A-Za-z0-9_./:%(),\[\]{}*+@=|!-]+")
BACKEND = "model"
SLOTS: tuple[SlotName, ...] = ("blue", "green")
_RESOLVERS: tuple[Sequence[object], Sequence[Sequence[object]]] = (
    ["resolvers", "system"],
    [
        ["parse-resolv-conf"],
        ["timeout", "resolve", "1s"],
        ["timeout", "retry", "1s"],
        ["hold", "valid", "1s"],
    ],
)
# Two servers of one address: the slot, and the same as `rescue`.
_RESOLVED = ("resolvers", "system", "resolve-opts", "allow-dup-ip", "init-addr", "last,libc,none")


def serialize(sections: Iterable[tuple[Sequence[object], Sequence[Sequence[object]]]]) -> str:
    """Sections of directives, each a sequence of words, as HAProxy reads them.

    Raises
    ------
    SettingsError
        For a word that HAProxy might read as anything but itself.
    """
    lines = ["# Written by `model-preflight rollout` at each move: changes by hand are lost."]
    for title, directives in sections:
        lines += ["", _line(title), *(f"  {_line(words)}" for words in directives)]
    return "\n".join(lines) + "\n"


def _line(words: Sequence[object]) -> str:
    texts = [str(word) for word in words]
    for text in texts:
        if not _WORD.fullmatch(text):
            raise SettingsError(
                f"{text!r} cannot be written into HAProxy's configuration",
                hint="use names, paths and addresses of letters, digits and ./:-_ only",
            )
    return " ".join(texts)


def configuration(settings: RolloutSettings, weights: Weights) -> str:
    """The whole file for these weights.

    A connection that fails is tried at the other slot (`retry-on conn-failure`, `redispatch`): nobody notices a dead
    candidate, and the proxy counts what it passed on. A server that says it is not ready, whose lease ended say, gets
    no further request and answers those that it has (`L7OKC`); one that says nothing is down, and its sessions end
    (`shutdown-sessions`). The champion stands behind as `rescue`, a backup that answers when no slot with a weight
    does. The arrival stamp is overwritten, so that clients cannot set it. With `resolve` names are asked for
    anew each second, and one without an address does not keep the proxy from its start. The description says at
    the socket whose proxy it is.
    """
    proxy = settings.haproxy
    milliseconds = f"{round(proxy.timeout_s * 1000)}ms"
    return serialize(
        [
            (
                ["global"],
                [
                    ["description", settings.model],
                    ["stats", "socket", proxy.socket, "mode", "600", "level", "admin"],
                    ["maxconn", 4 * proxy.connections + 100],
                ],
            ),
            (
                ["defaults"],
                [
                    ["mode", "http"],
                    ["timeout", "connect", "1s"],
                    ["timeout", "client", "30s"],
                    ["timeout", "server", milliseconds],
                    ["timeout", "queue", milliseconds],
                    ["timeout", "http-request", "10s"],
                    ["retries", 1],
                    ["retry-on", "conn-failure"],
                    ["option", "redispatch", 1],
                ],
            ),
            (
                ["frontend", "clients"],
                [
                    ["bind", proxy.bind],
                    ["http-request", "set-header", "X-Request-Start", "%[date(0,us)]"],
                    ["default_backend", BACKEND],
                ],
            ),
            (
                ["frontend", "metrics"],
                [
                    ["bind", proxy.metrics_bind],
                    [
                        "http-request",
                        "use-service",
                        "prometheus-exporter",
                        "if",
                        "{",
                        "path",
                        "/metrics",
                        "}",
                    ],
                    ["http-request", "deny", "deny_status", 404],
                ],
            ),
            *([_RESOLVERS] if proxy.resolve else []),
            (["backend", BACKEND], _backend(settings, weights)),
        ]
    )


def _backend(settings: RolloutSettings, weights: Weights) -> list[list[object]]:
    proxy = settings.haproxy
    lines: list[list[object]] = [
        ["balance", "roundrobin"],
        ["option", "httpchk", "GET", "/v2/health/ready"],
        ["http-check", "expect", "status", 200, "error-status", "L7OKC"],
    ]
    check = ["check", "inter", f"{round(proxy.check_s * 1000)}ms", "fall", 2, "rise", 2]
    resolved = _RESOLVED if proxy.resolve else ()
    for slot in SLOTS:
        words: list[object] = ["server", slot, settings.slots[slot].address, "weight", weights.of(slot)]
        words += [*resolved, *check, "maxconn", proxy.connections, "on-marked-down", "shutdown-sessions"]
        lines.append(words)
    for slot in SLOTS:
        words = ["server", f"rescue-{slot}", settings.slots[slot].address, "backup", "track"]
        words += [f"{BACKEND}/{slot}", *resolved, "maxconn", proxy.connections]
        lines.append([*words, "disabled"] if weights.rescue != slot else words)
    return lines
