"""Which paths decide a verdict, by the settings, and what no commit can tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from validator.cli.scope import _names_of, deciding_paths, doubt_of_baseline
from validator.github.checkout import Checkout
from validator.settings.table import Settings

DIGEST = f"sha256:{'0a' * 32}"


def names_of(folder: Path, monkeypatch: pytest.MonkeyPatch, **given: Any) -> Any:
    """The names, as if the commit held whatever lies in the folder."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Checkout, "check", lambda *_: None)
    monkeypatch.setattr(Checkout, "has", lambda *_: False)
    repository: Any = SimpleNamespace()
    checkout = Checkout(top=folder, here=folder, repository=repository, tree=b"")
    settings = Settings.model_validate({"model": "m.pkl", **given})
    (found,) = _names_of([settings], settings, checkout)
    return found


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"reference": "data/train.parquet"}, "data/train.parquet"),
        ({"policy": "ci/policy.toml"}, "ci/policy.toml"),
        ({"baseline": "oci:registry/m:champion"}, "registry/m/index.json"),
        ({"baseline": "oci:registry/m"}, "registry/m/index.json"),
        ({"baseline": "registry/m:champion"}, "registry/m/blobs/sha256/00"),
        ({"baseline": f"registry/m@{DIGEST}"}, "registry/m/oci-layout"),
        ({"baseline": f"registry/m:v1@{DIGEST}"}, "registry/m/oci-layout"),
        ({"requirements": ["-r reqs"]}, "reqs"),
    ],
)
def test_a_setting_whose_file_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], name: str
):
    found = names_of(tmp_path, monkeypatch, **given)
    assert (found.doubt, found.meets([name])) == ("", name)
    assert not found.meets(["README.md"])


@pytest.mark.parametrize("lines", ["max_latency_ms = 5", "waiver_days = 3\nmax_latency_ms = 5"])
def test_a_policy_of_lines_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str):
    assert names_of(tmp_path, monkeypatch, policy=lines).doubt == ""


def test_a_registry_moves_without_a_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for moving in ("oci://ghcr.io/acme/m:champion", "oci://ghcr.io/acme/m", "oci+http://localhost:5000/m:v1"):
        assert "may change without a commit" in names_of(tmp_path, monkeypatch, baseline=moving).doubt
    for still in (
        None,
        "none",
        "main",
        "old.pkl",
        "oci:registry/m:champion",
        f"oci://ghcr.io/acme/m@{DIGEST}",
    ):
        assert doubt_of_baseline(still) == ""


def test_every_setting_that_names_a_file_of_one_model_decides():
    given = {"model": "m", "data": "d", "reference": "r", "onnx": "o", "config": "c", "python": "./p"}
    paths, _ = deciding_paths(Settings.model_validate(given))
    assert {"m", "d", "r", "o", "c", "./p"} <= set(paths)
