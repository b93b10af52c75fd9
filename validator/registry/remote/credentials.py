"""Name and password for a registry: flags, what `docker login` or `podman login` left, GITHUB_TOKEN for ghcr.io.

A credential belongs to one host and is looked up by it; another host never gets it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from validator.documents import DocumentError, read_json
from validator.errors import UsageError
from validator.registry.errors import RegistryError

_LARGEST = 2**20
_HELPER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HELPER_S = 30.0
_GITHUB = "ghcr.io"
_DOCKER_HUB = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
_DOCKER_HUB_KEY = "https://index.docker.io/v1/"


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What one host is shown: a name with its password, or a refresh token, or a token as it is."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)
    origin: str = ""

    @property
    def basic(self) -> str:
        """The value of an `Authorization` header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode('ascii')}"


def credentials_for(host: str, environ: Mapping[str, str], *, repository: str = "") -> Credentials | None:
    """The credentials of a host, from the files and variables of this user; None where there are none.

    Of several those of the `repository` come first, as Podman keeps them (``ghcr.io/acme``).

    Raises
    ------
    RegistryError
        If a file cannot be read, or a helper that it names does not answer.
    """
    for place in _files(environ):
        found = _from_file(place, host, repository, environ)
        if found is not None:
            return found
    token = next((environ[name].strip() for name in _TOKENS if environ.get(name, "").strip()), "")
    if host == _GITHUB and token:
        user = environ.get("GITHUB_ACTOR", "").strip() or "x-access-token"
        return Credentials(username=user, password=token, origin="GITHUB_TOKEN")
    return None


_TOKENS = ("INPUT_GITHUB-TOKEN", "PREFLIGHT_GITHUB_TOKEN", "GITHUB_TOKEN", "GH_TOKEN")


def from_flags(username: str | None, password_file: str | None, token_file: str | None) -> Credentials | None:
    """What flags name. Raises UsageError where they do not belong together or a file cannot be read."""
    if token_file is not None:
        if username is not None or password_file is not None:
            raise UsageError(
                "both --token-file and a name with password were given", hint="give one of the two"
            )
        return Credentials(bearer=_secret(token_file, "--token-file"), origin="--token-file")
    if username is None and password_file is None:
        return None
    if username is None or password_file is None:
        raise UsageError("--username and --password-file belong together", hint="give both, or neither")
    if not username or ":" in username or not username.isprintable():
        raise UsageError(f"{username[:40]!r} is no user name", hint="give --username as the registry has it")
    return Credentials(
        username=username, password=_secret(password_file, "--password-file"), origin="--username"
    )


def _secret(path: str, flag: str) -> str:
    try:
        text = Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{flag}: {path} cannot be read: {error}", hint="check the path") from error
    if not re.fullmatch(r"[\x21-\x7e]{1,65536}", text):
        raise UsageError(
            f"{flag}: {path} holds no secret: one line of printable characters is wanted",
            hint="write the secret alone into the file",
        )
    return text


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Docker's, and where Podman and skopeo keep theirs."""
    if environ.get("REGISTRY_AUTH_FILE"):
        yield Path(environ["REGISTRY_AUTH_FILE"])
    if environ.get("DOCKER_CONFIG"):
        yield Path(environ["DOCKER_CONFIG"]) / "config.json"
    elif environ.get("HOME"):
        yield Path(environ["HOME"]) / ".docker" / "config.json"
    if environ.get("XDG_RUNTIME_DIR"):
        yield Path(environ["XDG_RUNTIME_DIR"]) / "containers" / "auth.json"


def _from_file(place: Path, host: str, repository: str, environ: Mapping[str, str]) -> Credentials | None:
    document = _document(place)
    helpers, auths = _table(document, "credHelpers"), _table(document, "auths")
    for key in _keys(helpers, host, repository):
        if isinstance(helper := helpers[key], str) and helper:
            return _from_helper(helper, key, place, environ)
    for key in _keys(auths, host, repository):
        entry = auths[key]
        if isinstance(entry, dict) and (found := _from_entry(entry, place, key)) is not None:
            return found
    store = document.get("credsStore")
    if isinstance(store, str) and store:
        return _from_helper(store, _DOCKER_HUB_KEY if host in _DOCKER_HUB else host, place, environ)
    return None


def _table(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _keys(entries: Mapping[str, Any], host: str, repository: str) -> list[str]:
    """The keys of a table that mean this host, the most exact first.

    They are a host, one with the beginning of a repository's path, or as older clients wrote it an address of the
    host, whose path says nothing.
    """
    if host in _DOCKER_HUB:
        return [key for key in (_DOCKER_HUB_KEY, "docker.io") if key in entries]
    parts = repository.split("/") if repository else []
    exact = ["/".join((host, *parts[:count])) for count in range(len(parts), -1, -1)]
    addresses = sorted(key for key in entries if _host_of(key) == host)
    return [key for key in exact if key in entries] + addresses


def _host_of(key: str) -> str:
    """The host of an address; empty for anything else."""
    match = re.match(r"https?://([^/]+)", key)
    return match[1].lower() if match is not None else ""


def _document(place: Path) -> dict[str, Any]:
    try:
        with place.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise RegistryError(
            f"{place} cannot be read: {error.strerror}", hint="may this user read it? or give --username"
        ) from error
    try:
        document = read_json(content[: _LARGEST + 1]) if content.strip() else {}
    except DocumentError as error:
        raise RegistryError(f"{place} is no JSON: {error}", hint="log in again: docker login HOST") from None
    if not isinstance(document, dict):
        raise RegistryError(f"{place} holds no object", hint="log in again: docker login HOST")
    return document


def _from_entry(entry: Mapping[str, Any], place: Path, key: str) -> Credentials | None:
    """An entry below `auths`; None for an empty one, as a helper leaves it."""
    identity = entry.get("identitytoken")
    name, password = entry.get("username"), entry.get("password")
    if isinstance(entry.get("auth"), str) and entry["auth"]:
        try:
            decoded = base64.b64decode(entry["auth"], validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError, ValueError):
            decoded = ""
        name, colon, password = decoded.partition(":")
        if not colon:
            raise RegistryError(
                f"{place} holds no name and password for {key}", hint=f"log in again: docker login {key}"
            )
        password = password.rstrip("\0")
    if isinstance(identity, str) and identity:
        return Credentials(identity_token=identity, origin=str(place))
    if isinstance(name, str) and name and isinstance(password, str):
        return Credentials(username=name, password=password, origin=str(place))
    return None


def _from_helper(name: str, key: str, place: Path, environ: Mapping[str, str]) -> Credentials | None:
    """Ask `docker-credential-NAME`. None where it knows nothing of the host."""
    if not _HELPER.fullmatch(name):
        raise RegistryError(
            f"{place} names the helper {name[:80]!r}", hint="mend the file, or give --username"
        )
    command = f"docker-credential-{name}"
    program = shutil.which(command, path=environ.get("PATH"))
    if program is None:
        raise RegistryError(
            f"{place} names the helper {command}, which is not installed",
            hint="install it, or give --username",
        )
    try:
        done = subprocess.run(
            [program, "get"],
            input=key.encode(),
            capture_output=True,
            env=dict(environ),
            timeout=_HELPER_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(
            f"{command} does not answer: {type(error).__name__}", hint="run it by hand, or give --username"
        ) from None
    if done.returncode != 0:
        if b"not found" in (done.stdout + done.stderr).lower():
            return None
        raise RegistryError(
            f"{command} failed with code {done.returncode}", hint="run it by hand, or give --username"
        )
    try:
        answer = json.loads(done.stdout[:_LARGEST])
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"{command} answered no name and secret", hint="run it by hand") from None
    if not isinstance(user, str) or not isinstance(secret, str):
        raise RegistryError(f"{command} answered no name and secret", hint="run it by hand")
    if user == "<token>":
        return Credentials(identity_token=secret, origin=command)
    return Credentials(username=user, password=secret, origin=command)
