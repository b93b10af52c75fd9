"""The folder: written whole or not at all, read only as it was written, one writer at a time."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path

import pytest

from tests.unit.registry.artifacts import artifact, version
from validator.artifact.read import read_artifact
from validator.registry.errors import DamagedError, NotThereError, OvertakenError, RegistryError
from validator.registry.image import image_of
from validator.registry.layout import LayoutRepository
from validator.registry.store import Image


@pytest.fixture
def repository(tmp_path: Path) -> LayoutRepository:
    return LayoutRepository(tmp_path / "churn")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_of(read_artifact(artifact(tmp_path / "made")))


def put(repository: LayoutRepository, image: Image, *tags: str) -> None:
    repository.add_blobs(image)
    for tag in tags:
        repository.tag(image.manifest, tag)


def test_an_absent_folder_is_no_registry_and_stays_absent(repository: LayoutRepository) -> None:
    with pytest.raises(NotThereError):
        repository.tags()
    with pytest.raises(NotThereError):
        repository.manifest("champion")
    assert repository.find("champion") is None
    assert not Path(repository.name).exists()


def test_tags_move_and_what_they_named_stays(
    repository: LayoutRepository, image: Image, tmp_path: Path
) -> None:
    put(repository, image, version(1), "champion")
    assert sorted(repository.tags()) == ["champion", version(1)]
    second = image_of(read_artifact(artifact(tmp_path / "made", 2)))
    put(repository, second, "champion")
    assert repository.find("champion") == second.manifest.digest
    assert repository.find(version(1)) == image.manifest.digest
    assert repository.manifest(image.manifest.digest).raw == image.manifest.raw


def test_blobs_without_a_tag_are_seen_by_nobody(repository: LayoutRepository, image: Image) -> None:
    repository.add_blobs(image)
    assert repository.tags() == []
    assert repository.find(image.manifest.digest) is None


def test_a_tag_needs_its_blobs(repository: LayoutRepository, image: Image) -> None:
    with pytest.raises(DamagedError, match="lacks the blob"):
        repository.tag(image.manifest, "champion")
    assert repository.tags() == []


def test_deleting_takes_what_nothing_else_names(
    repository: LayoutRepository, image: Image, tmp_path: Path
) -> None:
    put(repository, image, version(1))
    second = image_of(read_artifact(artifact(tmp_path / "made", 2)))
    put(repository, second, version(2))
    repository.delete(image.manifest.digest)
    repository.delete(image.manifest.digest)
    assert repository.tags() == [version(2)]
    blobs = {f"sha256:{one.name}" for one in (Path(repository.name) / "blobs" / "sha256").iterdir()}
    assert blobs == {second.manifest.digest, *second.blobs}


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-1], lambda data: data + b"x", lambda data: b"x" + data[1:]]
)
def test_a_changed_blob_is_found(
    repository: LayoutRepository, image: Image, tmp_path: Path, spoil: object
) -> None:
    put(repository, image, "champion")
    for digest in (image.manifest.digest, image.manifest.layers[0].digest):
        place = Path(repository.name) / "blobs" / "sha256" / digest[7:]
        good = place.read_bytes()
        place.write_bytes(spoil(good))  # type: ignore[operator]
        with pytest.raises(DamagedError, match="was changed"), (tmp_path / "out").open("wb") as into:
            repository.read(repository.manifest("champion").layers[0], into)
        place.write_bytes(good)
    put(repository, image, "champion")


def test_a_damaged_blob_is_mended_by_storing_it_again(repository: LayoutRepository, image: Image) -> None:
    put(repository, image, "champion")
    place = Path(repository.name) / "blobs" / "sha256" / image.manifest.layers[0].digest[7:]
    place.write_bytes(b"x" * place.stat().st_size)
    put(repository, image, "champion")
    assert place.read_bytes() == image.blobs[image.manifest.layers[0].digest]


@pytest.mark.parametrize(
    "index",
    ["", "[]", "{}", '{"manifests": 3}', '{"manifests": [{"digest": "../../etc/passwd"}]}', "{" * 200],
)
def test_a_broken_index_is_refused(repository: LayoutRepository, image: Image, index: str) -> None:
    put(repository, image, "champion")
    (Path(repository.name) / "index.json").write_text(index)
    with pytest.raises(DamagedError):
        repository.tags()


def test_a_folder_of_other_things_is_not_made_a_registry(tmp_path: Path, image: Image) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "notes.txt").write_text("mine")
    with pytest.raises(RegistryError, match=r"holds 'notes\.txt'"):
        put(LayoutRepository(tmp_path / "work"), image, "champion")
    assert [one.name for one in (tmp_path / "work").iterdir()] == ["notes.txt"]


def test_one_at_a_time(repository: LayoutRepository, image: Image) -> None:
    other = LayoutRepository(Path(repository.name), patience_s=0.1)
    with repository.exclusive():
        put(repository, image, version(1))
        with pytest.raises(OvertakenError), other.exclusive():
            pass
    with other.exclusive():
        pass


def test_writers_side_by_side_lose_nothing(repository: LayoutRepository, image: Image) -> None:
    put(repository, image, version(1))
    tags = [f"t{number}" for number in range(12)]
    threads = [
        threading.Thread(target=LayoutRepository(Path(repository.name)).tag, args=(image.manifest, tag))
        for tag in tags
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(repository.tags()) == {*tags, version(1)}


def test_whoever_waits_is_let_in(repository: LayoutRepository, image: Image) -> None:
    put(repository, image, version(1))
    waiting = threading.Thread(
        target=LayoutRepository(Path(repository.name)).tag, args=(image.manifest, "late")
    )
    with repository.exclusive():
        waiting.start()
        assert LayoutRepository(Path(repository.name)).tags() == [version(1)], "readers do not wait"
        repository.tag(image.manifest, "early")
    waiting.join()
    assert repository.tags() == ["early", "late", version(1)]


def test_the_first_of_two_makes_it_and_the_second_keeps_what_is_there(
    repository: LayoutRepository, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins where there is nothing yet, and goes on when the first has ended."""
    second, look = LayoutRepository(Path(repository.name)), LayoutRepository._refuse_other_things

    def meanwhile(self: LayoutRepository) -> None:
        look(self)
        if self is second and not (Path(self.name) / "oci-layout").exists():
            put(repository, image, "first")

    monkeypatch.setattr(LayoutRepository, "_refuse_other_things", meanwhile)
    put(second, image, "second")
    assert repository.tags() == ["first", "second"]


def test_what_a_killed_writer_left_is_in_nobodys_way(repository: LayoutRepository, image: Image) -> None:
    folder = Path(repository.name)
    (folder / "blobs" / "sha256").mkdir(parents=True)
    for place in (folder, folder / "blobs" / "sha256"):
        (place / ".writing-0123456789abcdef").write_text("half")
    (folder / ".lock").touch()
    put(repository, image, version(1))
    assert not list(folder.rglob(".writing-*"))
    orphan = folder / "blobs" / "sha256" / ("0" * 64)
    orphan.write_bytes(b"of a push that was killed")
    repository.delete()
    assert not orphan.exists()
    assert repository.tags() == [version(1)]


def test_a_place_that_is_full_is_not_called_a_damaged_blob(
    repository: LayoutRepository, image: Image
) -> None:
    put(repository, image, version(1))

    class Full(io.BytesIO):
        def write(self, _part: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        repository.read(image.manifest.layers[0], Full())


def test_an_index_is_read_again_when_somebody_replaced_it(repository: LayoutRepository, image: Image) -> None:
    put(repository, image, "one")
    other = LayoutRepository(Path(repository.name))
    assert other.tags() == ["one"]
    for tag in ("two", "three"):
        put(repository, image, tag)
        assert tag in other.tags()


def test_a_full_disk_leaves_what_was_there(
    repository: LayoutRepository, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(repository, image, version(1))
    before = (Path(repository.name) / "index.json").read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RegistryError, match="No space left"):
        repository.tag(image.manifest, "champion")
    assert (Path(repository.name) / "index.json").read_bytes() == before
    assert not list(Path(repository.name).rglob(".writing-*"))


def test_what_others_keep_there_is_left(repository: LayoutRepository, image: Image) -> None:
    put(repository, image, version(1))
    place = Path(repository.name) / "index.json"
    document = json.loads(place.read_text())
    theirs = {
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "digest": f"sha256:{'0' * 64}",
        "size": 2,
    }
    document["manifests"].append(theirs)
    place.write_text(json.dumps(document))
    repository.tag(image.manifest, "champion")
    assert theirs in json.loads(place.read_text())["manifests"]
    repository.delete(image.manifest.digest)
    assert (Path(repository.name) / "blobs" / "sha256" / image.manifest.layers[0].digest[7:]).exists()
