"""An artifact as an image and back: the same bytes twice, the same artifact again, and nothing else taken in."""

from __future__ import annotations

import gzip
import io
import json
import stat
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.registry.artifacts import artifact, version
from validator.artifact.read import SUMS_FILE, TamperedArtifactError, read_artifact
from validator.artifact.signing import signature_of
from validator.errors import ArtifactError
from validator.registry.errors import DamagedError
from validator.registry.fetching import fetch_into, fetched
from validator.registry.image import build, image_of
from validator.registry.layer import pack, unpack
from validator.registry.layout import LayoutRepository
from validator.registry.store import ARTIFACT_TYPE, Image, digest_of, parse_manifest


def layer_of(image: Image) -> bytes:
    return image.blobs[image.manifest.layers[0].digest]


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    one = image_of(read_artifact(artifact(tmp_path / "a")))
    two = image_of(read_artifact(artifact(tmp_path / "somewhere" / "else")))
    assert one.manifest.raw == two.manifest.raw
    assert one.blobs == two.blobs
    other = image_of(read_artifact(artifact(tmp_path / "b", 2)))
    assert other.manifest.digest != one.manifest.digest


def test_the_layer_is_what_tar_and_gzip_read(tmp_path: Path) -> None:
    folder = artifact(tmp_path)
    layer = layer_of(image_of(read_artifact(folder)))
    assert layer[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff", "no time, no name, and no system"
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(layer))) as tar:
        members = tar.getmembers()
        assert members[0].name == "models"
        assert members[0].isdir()
        files = {member.name: tar.extractfile(member).read() for member in members[1:]}  # type: ignore[union-attr]
    assert files == {f"models/{one.name}": one.read_bytes() for one in folder.iterdir()}
    assert {(member.mtime, member.uid, member.gid, member.uname) for member in members} == {(0, 0, 0, "")}


def test_manifest_and_configuration_say_what_it_is(tmp_path: Path) -> None:
    folder = artifact(tmp_path)
    image = image_of(read_artifact(folder))
    document = json.loads(image.manifest.raw)
    assert document["artifactType"] == ARTIFACT_TYPE
    notes = document["annotations"]
    assert notes["org.opencontainers.image.version"] == version(1)
    assert notes["org.opencontainers.image.created"].startswith("2025-01-02T")
    assert notes["org.opencontainers.image.revision"] == "ab" * 20
    assert notes["io.github.model-preflight.verdict"] == "pass"
    assert notes["io.github.model-preflight.sums"] == digest_of((folder / SUMS_FILE).read_bytes())
    config = json.loads(image.blobs[image.manifest.config.digest])
    assert config["config"]["Labels"] == notes
    assert config["rootfs"]["diff_ids"] == [digest_of(gzip.decompress(layer_of(image)))]


def test_a_round_trip_gives_the_artifact_and_its_signature(tmp_path: Path) -> None:
    folder = artifact(tmp_path / "made")
    signature_of(folder).write_bytes(b"a signature")
    repository = LayoutRepository(tmp_path / "registry" / "churn")
    image = image_of(read_artifact(folder))
    repository.add_blobs(image)
    repository.tag(image.manifest, version(1))
    with fetched(repository, version(1)) as found:
        assert found.digest == image.manifest.digest
        assert found.read().files == read_artifact(folder).files
        assert signature_of(found.folder).read_bytes() == b"a signature"
        assert all(stat.S_ISREG(one.lstat().st_mode) for one in found.folder.iterdir())
        again = image_of(found.read())
    assert again.manifest.raw == image.manifest.raw, "what was fetched makes the same image"
    assert not found.folder.exists()


def test_a_signature_makes_another_image(tmp_path: Path) -> None:
    folder = artifact(tmp_path)
    bare = image_of(read_artifact(folder))
    signature_of(folder).write_bytes(b"a signature")
    assert image_of(read_artifact(folder)).manifest.digest != bare.manifest.digest
    signature_of(folder).write_bytes(b"x" * (2**20 + 1))
    with pytest.raises(ArtifactError, match="absurdly large"):
        image_of(read_artifact(folder))


def tar_of(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as tar:
        for entry, content in entries:
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def entry_of(name: str, content: bytes = b"", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(entry, key, value)
    return entry, content


PLAIN = tar_of(entry_of("models", type=tarfile.DIRTYPE), entry_of("models/manifest.json", b"{}"))
HOSTILE = {
    "absolute": tar_of(entry_of("/models/manifest.json", b"{}")),
    "upwards": tar_of(entry_of("models/../../manifest.json", b"{}")),
    "upwards within": tar_of(entry_of("models/x/../manifest.json", b"{}")),
    "another name": tar_of(entry_of("models/start.sh", b"#!")),
    "another place": tar_of(entry_of("etc/passwd", b"root")),
    "deeper": tar_of(entry_of("models/models/manifest.json", b"{}")),
    "symbolic link": tar_of(entry_of("models/manifest.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")),
    "hard link": tar_of(entry_of("models/manifest.json", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
    "linked folder": tar_of(entry_of("models", type=tarfile.SYMTYPE, linkname="/tmp")),
    "device": tar_of(entry_of("models/manifest.json", type=tarfile.CHRTYPE)),
    "pipe": tar_of(entry_of("models/manifest.json", type=tarfile.FIFOTYPE)),
    "folder for a file": tar_of(entry_of("models/manifest.json", type=tarfile.DIRTYPE)),
    "file for a folder": tar_of(entry_of("models", b"x")),
    "twice": tar_of(entry_of("models/manifest.json", b"{}"), entry_of("models/manifest.json", b"[]")),
    "whiteout": tar_of(entry_of("models/.wh.manifest.json")),
    "extended": tar_of(
        entry_of("models/manifest.json", b"{}", pax_headers={"path": "etc/x"}), form=tarfile.PAX_FORMAT
    ),
    "long name": tar_of(entry_of("models/" + "x" * 200), form=tarfile.GNU_FORMAT),
    "prefix": PLAIN[:857] + b"x" + PLAIN[858:],
    "checksum": PLAIN[:612] + b"7" + PLAIN[613:],
    "cut off": PLAIN[:700],
    "no end": PLAIN[:1536],
    "behind the end": PLAIN + b"x" * 512,
    "size beyond the end": tar_of(entry_of("models/manifest.json", b"x" * 600))[:1024],
    "nothing": b"",
}


def opened(plain: bytes, into: Path, *, packed: bytes | None = None, limit: int = 2**20) -> None:
    into.mkdir()
    data = gzip.compress(plain) if packed is None else packed
    unpack(io.BytesIO(data), into, diff_id=digest_of(plain), limit=limit)


def test_what_is_honest_is_unpacked(tmp_path: Path) -> None:
    opened(PLAIN, tmp_path / "in")
    assert (tmp_path / "in" / "models" / "manifest.json").read_bytes() == b"{}"


@pytest.mark.parametrize("plain", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_other_entry_is_taken(tmp_path: Path, plain: bytes) -> None:
    with pytest.raises(DamagedError):
        opened(plain, tmp_path / "in")
    outside = {one.name for one in tmp_path.iterdir()}
    assert outside == {"in"}
    assert not any(one.is_symlink() for one in (tmp_path / "in").rglob("*"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data + data,
        lambda data: data[:20] + bytes([data[20] ^ 255]) + data[21:],
        lambda data: b"no gzip at all",
        lambda data: zlib.compress(PLAIN),
    ],
    ids=["cut", "longer", "two members", "flipped", "text", "zlib"],
)
def test_no_other_packing_is_taken(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(DamagedError):
        opened(PLAIN, tmp_path / "in", packed=spoil(gzip.compress(PLAIN)))


def test_a_layer_that_swells_is_given_up_at_the_limit(tmp_path: Path) -> None:
    plain = tar_of(entry_of("models/report.md", bytes(64 * 2**20)))
    with pytest.raises(DamagedError, match="larger than any artifact"):
        opened(plain, tmp_path / "in", limit=2**20)
    assert sum(one.stat().st_size for one in (tmp_path / "in").rglob("*") if one.is_file()) <= 2**20


def test_what_is_in_it_is_held_to_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DamagedError, match="configuration says"):
        unpack(io.BytesIO(gzip.compress(PLAIN)), tmp_path / "in", diff_id=digest_of(b""))


@given(st.binary(max_size=2000))
def test_packing_and_unpacking_are_each_others_inverse(content: bytes) -> None:
    import tempfile

    layer = pack({"models/report.md": content, "models.sig": content[::-1]})
    with tempfile.TemporaryDirectory() as folder:
        unpack(io.BytesIO(layer.data), Path(folder), diff_id=layer.diff_id)
        assert (Path(folder) / "models" / "report.md").read_bytes() == content
        assert (Path(folder) / "models.sig").read_bytes() == content[::-1]


def stored(repository: LayoutRepository, image: Image, tag: str) -> None:
    repository.add_blobs(image)
    repository.tag(image.manifest, tag)


def test_a_label_that_lies_and_a_tag_that_was_moved_are_found(tmp_path: Path) -> None:
    repository = LayoutRepository(tmp_path / "churn")
    good = read_artifact(artifact(tmp_path / "a"))
    files = {f"models/{name}": content for name, content in good.files.items()}
    lying = build(files, {"org.opencontainers.image.version": version(9)}, kind="x", created="")
    stored(repository, lying, "candidate")
    stored(repository, image_of(good), version(2))
    (tmp_path / "in").mkdir()
    with pytest.raises(DamagedError, match="is labelled"):
        fetch_into(repository, "candidate", tmp_path / "in")
    (tmp_path / "in2").mkdir()
    with pytest.raises(DamagedError, match=r"the tag .* leads to"):
        fetch_into(repository, version(2), tmp_path / "in2")


def test_an_image_of_something_else_is_no_artifact(tmp_path: Path) -> None:
    repository = LayoutRepository(tmp_path / "churn")
    stored(repository, build({"models/report.md": b"# R"}, {}, kind="x", created=""), "odd")
    with pytest.raises(DamagedError, match="holds no artifact"), fetched(repository, "odd"):
        pass
    good = read_artifact(artifact(tmp_path / "a"))
    changed = {f"models/{name}": content for name, content in good.files.items()} | {
        "models/report.md": b"# X"
    }
    stored(repository, build(changed, {}, kind="x", created=""), "changed")
    with pytest.raises(TamperedArtifactError), fetched(repository, "changed") as found:
        found.read()


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[]", b"{}", b'{"layers":[]}', b'{"manifests":[]}', b'{"layers":[1],"config":{}}', b"{" * 100,
        b'{"config":{"mediaType":"x","digest":"sha256:zz","size":1},"layers":[{}]}',
        b'{"a":1,"a":2}', b"x" * (4 * 2**20 + 1),
    ],
)  # fmt: skip
def test_a_manifest_that_is_none_is_refused(raw: bytes) -> None:
    with pytest.raises(DamagedError, match="no image of an artifact"):
        parse_manifest(raw)
