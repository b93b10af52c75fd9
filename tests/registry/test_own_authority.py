"""A registry by https of an authority of one's own, and through a proxy: Debian's `docker-registry` behind both."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.drill import drilled
from tests.registry.real import TOOLS, registry
from tests.unit.registry.artifacts import artifact, version
from validator.registry.errors import RegistryError
from validator.registry.opening import opened
from validator.registry.promoting import Why, promote
from validator.registry.pulling import pull
from validator.registry.pushing import push
from validator.registry.reference import parse

pytestmark = drilled(TOOLS, seconds=120)
NAME = "registry.test"


def authority(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine and for a host that no name server knows, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now, day = dt.datetime.now(dt.UTC), dt.timedelta(days=1)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(NAME)]
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, private = folder / "ca.pem", folder / "key.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    private.write_bytes(key.private_bytes(*plain))
    return certificate, private


@contextmanager
def proxy(to: str) -> Iterator[tuple[str, list[str]]]:
    """A proxy for https that leads every name to one place; its address, and the names that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            asked.append(self.path)
            host, _, port = to.rpartition(":")
            with socket.create_connection((host, int(port))) as up:
                self.send_response(200)
                self.end_headers()
                back = threading.Thread(target=copy, args=(up, self.connection), daemon=True)
                back.start()
                copy(self.connection, up)
                back.join()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_an_authority_of_ones_own_and_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = authority(tmp_path)
    made = artifact(tmp_path / "made")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with registry(tmp_path, tls=(certificate, key)) as real, proxy(real.host) as (address, asked):
        here = parse(f"oci+https://{real.host}/team/project/churn")
        with opened(here, {}) as repository, pytest.raises(RegistryError, match="not trusted") as caught:
            push(repository, made)
        assert "SSL_CERT_FILE" in caught.value.hint
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setenv("HTTPS_PROXY", address)
        with opened(here, {}, writes=True) as repository:
            done = push(repository, made)
        assert asked == [], "this machine itself is asked directly"
        with opened(parse(f"oci://{NAME}/team/project/churn"), {}, writes=True) as repository:
            assert promote(repository, version(1), Why(by="anna")).reference.endswith(done.digest)
            assert pull(repository, "champion", tmp_path / "got").digest == done.digest
        assert set(asked) == {f"{NAME}:443"}
        with opened(parse(f"oci://{real.host}/team/project/churn"), {}) as repository:
            with pytest.raises(RegistryError, match="status 400") as caught:
                repository.tags()
            assert f"oci+https://{real.host}/" in caught.value.hint
