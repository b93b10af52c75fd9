"""How a cluster is reached: as a pod, or by a kubeconfig; whatever would run programs or skip checks is refused."""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.peers.kubernetes_api import KubernetesAPI
from tests.unit.rollout.test_kserve import CLUSTER, service
from validator.errors import SettingsError
from validator.rollout.parts import opened
from validator.rollout.traffic import EngineError
from validator.rollout.traffic.cluster import Access, Cluster, from_kubeconfig, in_cluster

HERE = ipaddress.ip_address("127.0.0.1")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key of 127.0.0.1, signed by itself."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(HERE)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "ca.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "ca.crt", folder / "key"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def kubeconfig(
    folder: Path, server: str, change: Callable[[dict[str, Any], dict[str, Any]], None] | None = None
) -> Path:
    """One context; `change` is given its cluster and its user."""
    cluster: dict[str, Any] = {"server": server}
    user: dict[str, Any] = {"token": "t"}
    if change is not None:
        change(cluster, user)
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}], "users": [{"name": "u", "user": user}],
    }  # fmt: skip
    path = folder / "kube.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def settings(path: Path) -> Any:
    kserve = CLUSTER.kserve.model_copy(update={"kubeconfig": path})
    return CLUSTER.model_copy(update={"kserve": kserve})


def test_by_a_kubeconfig_with_the_clusters_certificate(
    tmp_path: Path, tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    def data(cluster: dict[str, Any], _: dict[str, Any]) -> None:
        cluster["certificate-authority-data"] = base64.b64encode(certificate[0].read_bytes()).decode()

    def file(cluster: dict[str, Any], user: dict[str, Any]) -> None:
        cluster["certificate-authority"] = str(certificate[0])
        user["tokenFile"] = "token"
        (tmp_path / "token").write_text("t\n")

    def client(cluster: dict[str, Any], user: dict[str, Any]) -> None:
        data(cluster, user)
        for name, path in zip(("client-certificate-data", "client-key-data"), certificate, strict=True):
            user[name] = base64.b64encode(path.read_bytes()).decode()

    with KubernetesAPI(service(), tls=tls) as api:
        for change in (data, file, client):
            with opened(settings(kubeconfig(tmp_path, api.url, change))) as parts:
                assert parts.engine.read()["blue"].weight == 100
        with (
            opened(settings(kubeconfig(tmp_path, api.url))) as parts,
            pytest.raises(EngineError, match="certificate"),
        ):
            parts.engine.read()


def test_as_a_pod_the_token_is_read_anew(
    tmp_path: Path, tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    (tmp_path / "ca.crt").write_bytes(certificate[0].read_bytes())
    (tmp_path / "token").write_text("first")
    with KubernetesAPI(service(), tls=tls, token="second") as api:
        host, port = api.url.removeprefix("https://").split(":")
        access = in_cluster({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, tmp_path)
        assert access.trust is not None
        with httpx.Client(verify=access.trust) as client:
            cluster = Cluster(access=access, client=client)
            with pytest.raises(EngineError, match="401"):
                cluster.get("/apis/x")
            (tmp_path / "token").write_text("second")
            with pytest.raises(EngineError, match="403"):
                cluster.get("/apis/x")
            (tmp_path / "token").unlink()
            with pytest.raises(EngineError, match="cannot read the cluster's token"):
                cluster.get("/apis/x")


def test_outside_of_a_cluster_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no pod of a cluster"):
        in_cluster({}, tmp_path)
    with pytest.raises(SettingsError, match="has no token"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, tmp_path)
    (tmp_path / "token").write_text("t")
    with pytest.raises(SettingsError, match="certificate cannot be read"):
        in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path)


REFUSED: dict[str, tuple[str, Any, str]] = {
    "no check of the certificate": (
        "cluster",
        {"insecure-skip-tls-verify": True},
        "give the token to anybody",
    ),
    "a proxy": ("cluster", {"proxy-url": "http://evil"}, "proxy-url"),
    "a program": ("user", {"exec": {"command": "rm"}}, "logs in by 'exec'"),
    "a plugin": ("user", {"auth-provider": {"name": "x"}}, "logs in by 'auth-provider'"),
    "a password": ("user", {"username": "a", "password": "b"}, "logs in by 'username'"),
    "a token of two lines": ("user", {"token": "a\nb"}, "token is none"),
    "a token that is none": ("user", {"token": 5}, "token is none"),
    "no base64": ("cluster", {"certificate-authority-data": "%"}, "no base64"),
    "no certificate": ("cluster", {"certificate-authority-data": "aGk="}, "certificate cannot be read"),
    "no key": ("user", {"client-certificate-data": "aGk=", "client-key-data": "aGk="}, "user's certificate"),
    "plain HTTP": ("cluster", {"server": "http://10.0.0.1:8080"}, "in the clear"),
    "no address": ("cluster", {"server": "ftp://x"}, "no address"),
}


@pytest.mark.parametrize(("where", "change", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_kubeconfigs_that_are_refused(tmp_path: Path, where: str, change: dict[str, Any], told: str) -> None:
    path = kubeconfig(
        tmp_path,
        "https://10.0.0.1:6443",
        lambda cluster, user: (cluster if where == "cluster" else user).update(change),
    )
    with pytest.raises(SettingsError, match=told) as caught:
        from_kubeconfig(path)
    assert "a\nb" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[", "- 1", "{}", "current-context: x\ncontexts: 5", "!!python/object:os.x {}"]
)
def test_what_is_no_kubeconfig_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "k"
    path.write_text(text)
    with pytest.raises(SettingsError):
        from_kubeconfig(path)
    with pytest.raises(SettingsError, match="cannot read"):
        from_kubeconfig(tmp_path / "nowhere")


def test_a_token_is_not_shown() -> None:
    assert "secret" not in repr(Access(server="https://x", trust=None, token="secret"))
