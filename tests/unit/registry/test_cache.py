"""Images that came from a registry, kept by digest: bounded, healed, and never the reason that nothing is served."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.unit.registry.artifacts import artifact, version
from tests.unit.registry.peer import Peer, error
from validator.registry import cache as module
from validator.registry.cache import Cache, cache_of
from validator.registry.errors import DamagedError, RegistryError
from validator.registry.fetching import private_folder
from validator.registry.layout import LayoutRepository
from validator.registry.pushing import push


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    made = Peer()
    for number in (1, 2, 3):
        push(made.repository(), artifact(tmp_path / "made", number))
    made.requests.clear()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


def fetch(folder: Path, peer: Peer, number: int) -> str:
    """A version through the cache; its digest."""
    with private_folder() as into:
        found = Cache(LayoutRepository(folder)).fetch_through(peer.repository(), version(number), into)
        assert found.read().manifest["version"] == version(number)
        return found.digest


def kept(folder: Path, digest: str) -> bool:
    with private_folder() as into:
        return Cache(LayoutRepository(folder)).fetch(digest, into) is not None


def blobs_asked(peer: Peer) -> list[str]:
    return [path for path in peer.paths("GET") if "/blobs/" in path]


def test_an_image_is_fetched_once(folder: Path, peer: Peer) -> None:
    digest = fetch(folder, peer, 1)
    assert len(blobs_asked(peer)) == 2
    assert fetch(folder, peer, 1) == digest
    assert len(blobs_asked(peer)) == 2
    assert kept(folder, digest)
    assert not list(folder.rglob(".writing-*"))


def test_those_used_last_are_kept(folder: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_IMAGES", 2)
    digests = {}
    for number, age in ((1, 300), (2, 200)):
        digests[number] = fetch(folder, peer, number)
        seconds = time.time() - age
        os.utime(folder / "blobs" / "sha256" / digests[number].removeprefix("sha256:"), (seconds, seconds))
    assert kept(folder, digests[1]), "which is a use"
    digests[3] = fetch(folder, peer, 3)
    assert [kept(folder, digests[number]) for number in (1, 2, 3)] == [True, False, True]
    assert len(list((folder / "blobs" / "sha256").iterdir())) == 6, "the third image's blobs are gone"


def test_room_is_bounded_and_the_last_is_kept(
    folder: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    first, second = fetch(folder, peer, 1), fetch(folder, peer, 2)
    assert (kept(folder, first), kept(folder, second)) == (False, True)


def changed_blob(folder: Path) -> None:
    for place in (folder / "blobs" / "sha256").iterdir():
        place.write_bytes(b"changed" + place.read_bytes())


def lost_blob(folder: Path) -> None:
    max((folder / "blobs" / "sha256").iterdir(), key=lambda place: place.stat().st_size).unlink()


def broken_index(folder: Path) -> None:
    (folder / "index.json").write_text("[1")


@pytest.mark.parametrize("spoil", [changed_blob, lost_blob, broken_index])
def test_what_is_damaged_is_fetched_again_and_mended(
    folder: Path, peer: Peer, spoil: Callable[[Path], None]
) -> None:
    digest = fetch(folder, peer, 1)
    spoil(folder)
    assert fetch(folder, peer, 1) == digest
    fetch(folder, peer, 2)
    fetch(folder, peer, 1)
    assert kept(folder, digest), "mended by now"


def test_a_cache_that_cannot_be_written_keeps_nobody_from_an_image(folder: Path, peer: Peer) -> None:
    fetch(folder, peer, 1)
    (folder / "blobs" / "sha256").rename(folder / "aside")
    (folder / "blobs" / "sha256").write_text("in the way")
    fetch(folder, peer, 2)
    (folder / "index.json").unlink()
    (folder / "index.json").mkdir()
    fetch(folder, peer, 3)


def test_what_the_registry_falsified_is_not_kept(folder: Path, peer: Peer) -> None:
    peer.lie = lambda request, answer: (
        httpx.Response(200, content=b"other") if "/blobs/" in request.url.path else answer
    )
    with pytest.raises(DamagedError), private_folder() as into:
        Cache(LayoutRepository(folder)).fetch_through(peer.repository(), version(1), into)
    assert not folder.exists()
    peer.lie = lambda _request, _answer: error(403, "DENIED")
    with pytest.raises(RegistryError, match="DENIED"), private_folder() as into:
        Cache(LayoutRepository(folder)).fetch_through(peer.repository(), version(1), into)


def test_where_it_is(tmp_path: Path) -> None:
    assert cache_of({}) is None
    (tmp_path / "file").touch()
    assert cache_of({"XDG_CACHE_HOME": str(tmp_path / "file")}) is None
    assert cache_of({"HOME": str(tmp_path)}) is not None
    assert (tmp_path / ".cache" / "model-preflight" / "images").is_dir()
