"""A small client of the Kubernetes API: one object read, one object patched, and how the cluster is reached."""

from __future__ import annotations

import base64
import binascii
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx
import yaml

from validator.answers import answer_of
from validator.errors import SettingsError, in_words
from validator.report.escape import clean
from validator.rollout.traffic import EngineError

#: Where Kubernetes puts a pod's own account.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LARGEST = 8 * 2**20
_HINT = "see that the cluster is reached, and that this account may get and patch the one InferenceService"
_HOMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, kw_only=True)
class Access:
    """How a cluster is reached.

    Parameters
    ----------
    server : str
        The API's address.
    trust : ssl.SSLContext or None
        Whom to trust, and perhaps a client's certificate; None for plain HTTP on this machine.
    token : str
        A fixed one, empty if there is none.
    token_file : Path or None
        Read again for each request: Kubernetes renews a pod's token.
    """

    server: str
    trust: ssl.SSLContext | None
    token: str = field(default="", repr=False)
    token_file: Path | None = None

    def bearer(self) -> str:
        """The token of this moment."""
        if self.token_file is None:
            return self.token
        try:
            token = self.token_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EngineError(
                f"cannot read the cluster's token from {self.token_file}", hint=_HINT
            ) from error
        if not token.isprintable():
            raise EngineError(f"{self.token_file} holds no token", hint=_HINT)
        return token


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Asks a Kubernetes API.

    Parameters
    ----------
    access : Access
    client : httpx.Client
        With `access.trust` and its timeouts; follows no redirects.
    """

    access: Access
    client: httpx.Client

    def get(self, path: str) -> dict[str, Any]:
        """An object.

        Raises
        ------
        EngineError
            If it is not there, or the API cannot be asked or refuses.
        """
        return self._send("GET", path)

    def patch(self, path: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object (RFC 7386); gives the object as it is stored now.

        Fields that the cluster does not know are refused, not dropped. Name ``metadata.resourceVersion`` in the
        change, and it is refused, too, if somebody changed the object meanwhile.
        """
        query = "fieldManager=model-preflight&fieldValidation=Strict"
        return self._send("PATCH", f"{path}?{query}", change)

    def _send(self, method: str, path: str, change: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        if bearer := self.access.bearer():
            headers["Authorization"] = f"Bearer {bearer}"
        content = None
        if change is not None:
            headers["Content-Type"] = "application/merge-patch+json"
            content = json.dumps(change).encode()
        url = f"{self.access.server}{path}"
        try:
            with self.client.stream(
                method, url, headers=headers, content=content, follow_redirects=False
            ) as response:
                body = answer_of(response, most=_LARGEST)
        except httpx.HTTPError as error:
            told = f"cannot ask the cluster at {self.access.server}: {in_words(error)}"
            raise EngineError(told, hint=_HINT) from error
        return _understood(f"{method} {path.partition('?')[0]}", response.status_code, body)


def _understood(what: str, status: int, body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise EngineError(f"{what} is answered with status {status} and no JSON", hint=_HINT) from error
    if status != 200:
        told = document.get("message", "") if isinstance(document, dict) else ""
        raise EngineError(
            f"{what} is answered with status {status}: {clean(str(told), limit=400)}", hint=_HINT
        )
    if not isinstance(document, dict):
        raise EngineError(f"{what} is answered with no object", hint=_HINT)
    return document


# how the cluster is reached ---------------------------------------------------------------------------------------


def in_cluster(environ: Mapping[str, str], account: Path = SERVICE_ACCOUNT) -> Access:
    """As a pod reaches its cluster: by its service account.

    Raises
    ------
    SettingsError
        If this is no pod, or it has no account.
    """
    hint = "run it as a pod with a service account, or name kserve.kubeconfig in rollout.toml"
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise SettingsError("this is no pod of a cluster, and rollout.toml names no kubeconfig", hint=hint)
    if not (account / "token").is_file():
        raise SettingsError(f"the pod has no token in {account}", hint=hint)
    name = f"[{host}]" if ":" in host else host
    return Access(
        server=_server(f"https://{name}:{port}", account),
        trust=_trust(account, cafile=account / "ca.crt"),
        token_file=account / "token",
    )


def from_kubeconfig(path: Path) -> Access:
    """The current context of a kubeconfig file, with a token or a client's certificate.

    Whatever would run another program (`exec`), and everything that skips the check of the server's certificate, is
    refused.

    Raises
    ------
    SettingsError
        If it cannot be read, or is not enough.
    """
    document = _document(path)
    context = _named(path, document, "contexts", "context", document.get("current-context"))
    cluster = _named(path, document, "clusters", "cluster", context.get("cluster"))
    user = _named(path, document, "users", "user", context.get("user"))
    if cluster.get("insecure-skip-tls-verify"):
        _refuse(
            path, "insecure-skip-tls-verify would give the token to anybody", "name the cluster's certificate"
        )
    for other in ("exec", "auth-provider", "username", "password"):
        if other in user:
            _refuse(
                path,
                f"the user logs in by {other!r}",
                "use a service account's token: `kubectl create token`",
            )
    if "proxy-url" in cluster:
        _refuse(path, "proxy-url is not supported", "reach the API's server directly")
    server = _server(str(cluster.get("server", "")), path)
    trust = None
    if server.startswith("https:"):
        trust = _trust(path, **_authority(path, cluster))
        _identify(path, trust, user)
    token = user.get("token", "")
    if not isinstance(token, str) or not token.isprintable() or not token.isascii():
        _refuse(path, "the user's token is none", "use a service account's token")
    file = user.get("tokenFile")
    return Access(
        server=server,
        trust=trust,
        token="" if file else token,
        token_file=path.parent / str(file) if file else None,
    )


def _document(path: Path) -> dict[str, Any]:
    hint = "give a kubeconfig file as `kubectl config view --raw --minify --flatten` writes it"
    try:
        if path.stat().st_size > 2**20:
            raise SettingsError(f"{path} is too large for a kubeconfig", hint=hint)
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}", hint=hint) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is no YAML", hint=hint) from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path} is no kubeconfig", hint=hint)
    return document


def _named(path: Path, document: Mapping[str, Any], plural: str, single: str, name: object) -> dict[str, Any]:
    entries = document.get(plural)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(single), dict):
            return dict(entry[single])
    return _refuse(path, f"there is no {single} {name!r}", "choose one with `kubectl config use-context`")


def _server(text: str, where: Path) -> str:
    parts = urlsplit(text)
    if parts.scheme == "http" and parts.hostname not in _HOMES:
        _refuse(where, f"{text!r} would send the token in the clear", "use https")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        _refuse(where, f"{text!r} is no address of a cluster", "give one such as https://10.0.0.1:6443")
    return text.rstrip("/")


def _authority(path: Path, cluster: Mapping[str, Any]) -> dict[str, Any]:
    if "certificate-authority-data" in cluster:
        return {"cadata": _decoded(path, cluster["certificate-authority-data"]).decode("ascii", "replace")}
    if "certificate-authority" in cluster:
        return {"cafile": path.parent / str(cluster["certificate-authority"])}
    return {}


def _trust(where: Path, **authority: Any) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(ssl.Purpose.SERVER_AUTH, **authority)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        _refuse(where, "the cluster's certificate cannot be read", f"correct it ({type(error).__name__})")


def _identify(path: Path, trust: ssl.SSLContext, user: Mapping[str, Any]) -> None:
    """A client's certificate. OpenSSL takes files only: data is written for a moment where nobody else reads."""
    certificate, key = user.get("client-certificate"), user.get("client-key")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, file in (("client-certificate", certificate), ("client-key", key)):
            if f"{name}-data" in user:
                target = Path(folder) / name
                handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(handle, "wb") as out:
                    out.write(_decoded(path, user[f"{name}-data"]))
                files.append(target)
            elif file is not None:
                files.append(path.parent / str(file))
        if not files:
            return
        try:
            trust.load_cert_chain(files[0], files[1] if len(files) > 1 else None, password=_no_password)
        except (OSError, ValueError, TypeError) as error:
            _refuse(path, "the user's certificate cannot be read", f"correct it ({type(error).__name__})")


def _no_password() -> NoReturn:
    raise ValueError("the key is encrypted")


def _decoded(path: Path, text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except binascii.Error:
        _refuse(path, "a certificate is no base64", "write the file anew with `kubectl config view --raw`")


def _refuse(path: Path, why: str, hint: str) -> NoReturn:
    raise SettingsError(f"{path}: {why}", hint=hint)
