"""The servers behind the slots: who they say they are, and the lease that keeps a candidate ready."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from validator.answers import answer_of
from validator.errors import PreflightError, in_words
from validator.rollout.settings import Slot

_LARGEST = 16 * 2**20
_READY = "/v2/health/ready"
#: Shorter than the time between two of the proxy's checks.
_MOMENT_S = 0.02
_INFO = re.compile(r"preflight_model_info\{(.*)\} 1(\.0)?( [0-9]+)?")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)",?')
_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


class SlotError(PreflightError):
    """A slot's server cannot be reached, or is not what it should be."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a server says it serves."""

    model: str
    version: str
    digest: str
    verdict: str
    override: str


class Server(Protocol):
    """What stands in a slot, as `start` asks it."""

    def identity(self) -> Identity:
        """Who it says it is."""

    def rehearse_lease(self, seconds: float) -> None:
        """Let its lease end, see that it is not ready then, and renew it."""

    def renew(self, seconds: float) -> None:
        """Let it be ready so much longer."""

    def drop_lease(self) -> None:
        """Let it be ready without a lease."""


@dataclass(frozen=True, kw_only=True)
class SlotServer:
    """Asks one slot's server.

    Parameters
    ----------
    name : str
        The slot's.
    slot : Slot
    client : httpx.Client
        With its timeouts; follows no redirects, so that a token goes nowhere else.
    """

    name: str
    slot: Slot
    client: httpx.Client

    def identity(self) -> Identity:
        """From its metrics.

        Raises
        ------
        SlotError
            If it cannot be reached, or names no version or several.
        """
        found = identities(self._send("GET", "/metrics").decode("utf-8", "replace"))
        if len(found) != 1:
            raise SlotError(
                f"slot {self.name} at {self.slot.url} names {len(found)} versions that it serves, not one",
                hint="is that `model-preflight serve`?",
            )
        return found[0]

    def rehearse_lease(self, seconds: float) -> None:
        """While it has no traffic: let its lease end, see that it is not ready then, renew it for so many seconds.

        Raises
        ------
        SlotError
            If it stays ready: nothing would take it out when the rollout dies.
        """
        self.renew(_MOMENT_S)
        time.sleep(5 * _MOMENT_S)
        stays = self._is_ready()
        self.renew(seconds)
        if stays:
            raise SlotError(
                f"slot {self.name} at {self.slot.url} stays ready when its lease has ended: nothing would take it "
                "out if the rollout died",
                hint="start it with `model-preflight serve --lease`, and nothing before it that answers for it",
            )
        if not self._is_ready():
            raise SlotError(
                f"slot {self.name} at {self.slot.url} is not ready, though its lease was renewed",
                hint=f"see what {self.slot.url}{_READY} says",
            )

    def _is_ready(self) -> bool:
        try:
            return self.client.get(f"{self.slot.url}{_READY}", follow_redirects=False).is_success
        except httpx.HTTPError:
            return False

    def renew(self, seconds: float) -> None:
        """Let it be ready for so many seconds from now on."""
        self._send("PUT", "/lease", {"seconds": seconds})

    def drop_lease(self) -> None:
        """From now on it is ready without a lease."""
        self._send("DELETE", "/lease")

    def _send(self, method: str, path: str, body: object = None) -> bytes:
        hint = f"is the server of slot {self.name} running, and does rollout.toml name its address and token?"
        headers = {}
        if path == "/lease" and self.slot.token_file is not None:
            headers["Authorization"] = f"Bearer {_token(self.slot.token_file)}"
        url = f"{self.slot.url}{path}"
        try:
            with self.client.stream(
                method, url, headers=headers, json=body, follow_redirects=False
            ) as response:
                content = answer_of(response, most=_LARGEST)
        except httpx.HTTPError as error:
            raise SlotError(f"{method} {url}: {in_words(error)}", hint=hint) from error
        if not response.is_success:
            raise SlotError(f"{method} {url} is answered with status {response.status_code}", hint=hint)
        return content


def identities(metrics: str) -> list[Identity]:
    """What `preflight_model_info` says in a text of metrics."""
    found = []
    for line in metrics.splitlines():
        if (match := _INFO.fullmatch(line.strip())) is None:
            continue
        labels = {
            name: re.sub(r"\\.", lambda part: _ESCAPED[part.group()], value)
            for name, value in _LABEL.findall(match[1])
        }
        found.append(
            Identity(
                model=labels.get("model", ""),
                version=labels.get("version", ""),
                digest=labels.get("digest", ""),
                verdict=labels.get("verdict", ""),
                override=labels.get("override", ""),
            )
        )
    return found


def _token(path: Path) -> str:
    hint = "the file holds the token that the server was started with, and nothing else"
    try:
        token = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SlotError(f"cannot read the lease's token from {path}", hint=hint) from error
    if not token or not token.isprintable() or not token.isascii() or len(token) > 4096:
        raise SlotError(f"{path} holds no token", hint=hint)
    return token


def as_json(identity: Identity) -> str:
    """For messages and logs: nothing in it can break a line."""
    return json.dumps({"version": identity.version, "digest": identity.digest})
