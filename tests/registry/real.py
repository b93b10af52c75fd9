"""Debian's `docker-registry` on a free port, with and without credentials, and skopeo beside it."""

from __future__ import annotations

import base64
import datetime as dt
import http.server
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from validator.integration.rehearsal import free_ports

TOOLS = ("docker-registry", "skopeo")


@dataclass(frozen=True, kw_only=True)
class Real:
    """A registry that answers at `host`."""

    host: str

    @property
    def place(self) -> str:
        return f"oci://{self.host}/models/churn"

    def skopeo(self, *arguments: str) -> str:
        return subprocess.run(["skopeo", *arguments], capture_output=True, text=True, check=True).stdout

    def inspect(self, tag: str, *more: str) -> dict[str, Any]:
        place = f"docker://{self.host}/models/churn:{tag}"
        found: dict[str, Any] = json.loads(self.skopeo("inspect", "--tls-verify=false", *more, place))
        return found


@contextmanager
def registry(
    folder: Path, auth: Mapping[str, object] | None = None, *, tls: tuple[Path, Path] | None = None
) -> Iterator[Real]:
    """A registry that keeps its files in `folder`, until the block ends. `tls` is a certificate with its key."""
    (port,) = free_ports(1)
    settings: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "of these tests"}
        | ({"tls": {"certificate": str(tls[0]), "key": str(tls[1])}} if tls else {}),
    }
    config = folder / "registry.yml"
    config.write_text(json.dumps(settings | ({"auth": auth} if auth else {})))
    program = shutil.which("docker-registry")
    assert program is not None
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(config)], stdout=log, stderr=log)
        try:
            _until_it_answers(f"http://127.0.0.1:{port}/v2/", process, folder / "log")
            yield Real(host=f"127.0.0.1:{port}")
        finally:
            process.terminate()
            process.wait(10)


def _until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


def _encoded(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


def _signer(folder: Path) -> Callable[[list[str], bool], str]:
    """Makes tokens; the certificate that the registry trusts comes to lie in `folder`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    certificate = builder.sign(key, hashes.SHA256())
    (folder / "token.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()]

    def token(scopes: list[str], may_write: bool) -> str:
        access = []
        for scope in scopes:
            kind, repository, actions = scope.split(":")
            allowed = [one for one in actions.split(",") if one == "pull" or may_write]
            access.append({"type": kind, "name": repository, "actions": allowed})
        seconds = int(time.time())
        claims = {"iss": "tests", "aud": "registry", "sub": "", "access": access}
        claims |= {"exp": seconds + 60, "nbf": seconds - 60}
        signed = _encoded({"alg": "RS256", "typ": "JWT", "x5c": chain}) + b"." + _encoded(claims)
        signature = base64.urlsafe_b64encode(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
        return (signed + b"." + signature.rstrip(b"=")).decode()

    return token


@contextmanager
def token_server(folder: Path, password: str) -> Iterator[dict[str, object]]:
    """Gives tokens as registries' own servers do: pull for all, push for anna. Yields the registry's settings."""
    token = _signer(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = httpx.BasicAuth("anna", password)._auth_header
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            body = json.dumps({"token": token(scopes, self.headers.get("authorization") == wanted)}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        realm = f"http://127.0.0.1:{server.server_port}/token"
        settings = {"realm": realm, "service": "registry", "issuer": "tests"}
        yield {"token": settings | {"rootcertbundle": str(folder / "token.pem")}}
    finally:
        server.shutdown()
        server.server_close()
