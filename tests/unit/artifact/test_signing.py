"""Signatures by key: made over the checksums, verified by the library itself too, and valid for nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.artifact.conftest import build_result
from validator.artifact.read import SUMS_FILE, TamperedArtifactError
from validator.artifact.signing import SignatureError, main, sign, signature_of, verify
from validator.artifact.write import write_artifact
from validator.errors import ArtifactError, UsageError
from validator.serving.identity import hold_to_key, open_artifact

try:
    import model_signing  # noqa: F401
except ImportError:
    pytest.skip("the extra `signing` is not installed", allow_module_level=True)

Keys = Callable[[str], tuple[Path, Path]]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """Pairs of a private and a public key by name."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    folder = tmp_path_factory.mktemp("keys")

    def pair(name: str) -> tuple[Path, Path]:
        private, public = folder / f"{name}.pem", folder / f"{name}.pub"
        if not private.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            pem = serialization.Encoding.PEM
            secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            private.write_bytes(secret)
            public.write_bytes(
                key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
            )
        return private, public

    return pair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(write_artifact(tmp_path, result=build_result(), onnx=b"onnx", report_md="# r\n").path)


def test_a_signed_artifact_verifies_and_stays_as_it_was(folder: Path, keys: Keys) -> None:
    private, public = keys("ours")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert sign(folder, key=private) == signature_of(folder) == folder.with_name(folder.name + ".sig")
    assert verify(folder, key=public).manifest["verdict"] == "pass"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    hold_to_key(open_artifact(folder, None)[0], public)


def test_another_key_s_signature_is_refused(folder: Path, keys: Keys) -> None:
    sign(folder, key=keys("theirs")[0])
    with pytest.raises(SignatureError, match="no signature by"):
        verify(folder, key=keys("ours")[1])


def test_a_folder_rewritten_with_its_checksums_is_refused(folder: Path, keys: Keys, tmp_path: Path) -> None:
    """Which checksums alone cannot see."""
    private, public = keys("ours")
    sign(folder, key=private)
    forged = write_artifact(tmp_path / "b", result=build_result(), onnx=b"other", report_md="# r\n").path
    shutil.rmtree(folder)
    shutil.copytree(forged, folder)
    with pytest.raises(SignatureError):
        verify(folder, key=public)
    with pytest.raises(SignatureError):
        hold_to_key(open_artifact(folder, None)[0], public)


def test_a_changed_file_is_refused_even_with_an_override(folder: Path, keys: Keys) -> None:
    private, public = keys("ours")
    sign(folder, key=private)
    (folder / "model.onnx").write_bytes(b"changed")
    with pytest.raises(TamperedArtifactError):
        verify(folder, key=public)
    with pytest.raises(SignatureError, match="cannot be held"):
        hold_to_key(open_artifact(folder, "I insist on it")[0], public)


@pytest.mark.parametrize(
    "content", [None, b"", b"{}", b'{"dsseEnvelope": 1}', b"\x00" * 100, b"x" * (2 << 20)]
)
def test_what_is_no_signature_is_refused(folder: Path, keys: Keys, content: bytes | None) -> None:
    if content is not None:
        signature_of(folder).write_bytes(content)
    with pytest.raises(SignatureError):
        verify(folder, key=keys("ours")[1])


def test_the_signature_of_another_version_is_refused(folder: Path, keys: Keys, tmp_path: Path) -> None:
    private, public = keys("ours")
    other = write_artifact(tmp_path / "b", result=build_result(), onnx=b"other", report_md="# r\n").path
    shutil.copy(sign(other, key=private), signature_of(folder))
    with pytest.raises(SignatureError):
        verify(folder, key=public)


def test_a_failed_artifact_is_not_signed(tmp_path: Path, keys: Keys) -> None:
    failed = build_result(verdict="fail", reason="one check failed")
    path = write_artifact(tmp_path, result=failed, onnx=b"onnx", report_md="# r\n").path
    with pytest.raises(ArtifactError, match="did not pass"):
        sign(path, key=keys("ours")[0])
    assert not signature_of(path).exists()


def test_a_key_that_is_none_is_an_error_of_usage(folder: Path, keys: Keys, tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("not a key")
    for key in (tmp_path / "no.pem", tmp_path / "missing.pem", keys("ours")[1]):
        with pytest.raises(UsageError, match="cannot sign"):
            sign(folder, key=key)
    sign(folder, key=keys("ours")[0])
    with pytest.raises(UsageError, match="cannot verify"):
        verify(folder, key=tmp_path / "no.pem")


def test_the_command_line_here_and_the_library_s_own(
    folder: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = keys("ours")
    assert main(["verify", str(folder), "--key", str(public)]) == 1
    assert "there is no signature" in capsys.readouterr().err
    assert main(["sign", str(folder), "--key", str(private)]) == 0
    assert main(["verify", str(folder), "--key", str(public)]) == 0
    assert folder.name in capsys.readouterr().out
    assert main(["sign", str(folder), "--key", str(public)]) == 2
    ours = [sys.executable, "-m", "model_signing", "verify", "key", str(folder / SUMS_FILE)]
    done = subprocess.run(
        [*ours, "--signature", str(signature_of(folder)), "--public_key", str(public)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
