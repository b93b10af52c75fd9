"""References: what is meant by them, and what is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from validator.errors import UsageError
from validator.registry.reference import is_reference, looks_remote, parse

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "name", "tag", "digest", "plain"),
    [
        ("oci://ghcr.io/acme/models/trading", "ghcr.io/acme/models/trading", None, None, False),
        ("ghcr.io/acme/trading:champion", "ghcr.io/acme/trading", "champion", None, False),
        (f"oci://ghcr.io/a/b@{D}", "ghcr.io/a/b", None, D, False),
        (f"oci://ghcr.io/a/b:v_1@{D}", "ghcr.io/a/b", "v_1", D, False),
        ("oci://127.0.0.1:5000/m", "127.0.0.1:5000/m", None, None, True),
        ("localhost/m:x", "localhost/m", "x", None, True),
        ("oci://localhost.evil.example/m", "localhost.evil.example/m", None, None, False),
        ("oci+http://registry.lan:5000/m", "registry.lan:5000/m", None, None, True),
        ("oci+https://localhost:5000/m", "localhost:5000/m", None, None, False),
        ("oci+https://ghcr.io/m:t", "ghcr.io/m", "t", None, False),
        ("oci+http://[::1]/m:t", "[::1]/m", "t", None, True),
        ("oci://harbor/m/x", "harbor/m/x", None, None, False),
        ("oci://[::1]:5000/m:t", "[::1]:5000/m", "t", None, True),
        ("registry/trading", "registry/trading", None, None, False),
        ("./registry.d/trading:champion", "registry.d/trading", "champion", None, False),
        (f"/srv/reg/trading@{D}", "/srv/reg/trading", None, D, False),
        ("oci:reg:champion", "reg", "champion", None, False),
    ],
)
def test_what_is_meant(text: str, name: str, tag: str | None, digest: str | None, plain: bool) -> None:
    found = parse(text)
    assert (found.name, found.tag, found.digest, found.is_plain) == (name, tag, digest, plain)
    again = parse(found.at(found.wanted)) if found.wanted else found
    assert (again.name, again.wanted, again.is_plain) == (found.name, found.wanted, found.is_plain)


@pytest.mark.parametrize(
    "text",
    [
        "https://ghcr.io/a/b", "s3://bucket/model", "oci://", "oci://ghcr.io", "oci://ghcr.io/", "oci://ghcr.io/A/B",
        "oci://ghcr.io/a/../b", "oci://ghcr.io/a//b", "oci://ghcr.io/a:", "oci://ghcr.io/a:-x", "oci://ghcr.io/a@sha256:12",
        "oci://user:password@ghcr.io/a", "oci://gh cr.io/a", "oci://ghcr.io/a?x=y", "oci://ghcr.io/a#x", "",
        "oci://ghcr.io/a\nHost: x", f"oci://ghcr.io/{'a' * 300}", "oci://-x.io/a",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is no reference"):
        parse(text)


def test_a_folder_of_that_name_is_meant_where_paths_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_reference("ghcr.io/acme/trading")
    assert looks_remote("ghcr.io/acme/trading")
    (tmp_path / "out.d" / "v_1").mkdir(parents=True)
    assert not is_reference("out.d/v_1"), "an artifact's folder whose name looks like a host"
    assert not is_reference("preflight/artifact/x")
    (tmp_path / "reg").mkdir()
    assert not is_reference("reg:champion")
    (tmp_path / "reg" / "oci-layout").write_text("{}")
    assert is_reference("reg:champion")
    assert is_reference("reg")
