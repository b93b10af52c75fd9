"""What is written keeps to the image specification of the Open Container Initiative (1.1): image.md and its parts."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.registry.artifacts import artifact, version
from validator.artifact.read import read_artifact
from validator.registry.image import image_of
from validator.registry.layout import LayoutRepository
from validator.registry.store import Image

MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\Z")
REF_NAME = re.compile(r"[A-Za-z0-9]+([-._:@/+][A-Za-z0-9]+|--)*\Z")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_of(read_artifact(artifact(tmp_path / "made")))


def check_descriptor(value: dict[str, Any], content: bytes) -> None:
    assert MEDIA_TYPE.match(value["mediaType"])
    assert value["size"] == len(content)
    assert value["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()


def check_texts(value: dict[str, Any]) -> None:
    """Labels and annotations map texts to texts, their names not empty."""
    assert all(name and type(text) is str for name, text in value.items())


def test_the_manifest_describes_its_blobs(image: Image) -> None:
    manifest = json.loads(image.manifest.raw)
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (
        2, "application/vnd.oci.image.manifest.v1+json",
    )  # fmt: skip
    assert MEDIA_TYPE.match(manifest["artifactType"])
    check_texts(manifest["annotations"])
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert [layer["mediaType"] for layer in manifest["layers"]] == [
        "application/vnd.oci.image.layer.v1.tar+gzip"
    ]
    for described in (manifest["config"], *manifest["layers"]):
        check_descriptor(described, image.blobs[described["digest"]])


def test_the_configuration_is_that_of_a_container(image: Image) -> None:
    manifest = json.loads(image.manifest.raw)
    config = json.loads(image.blobs[manifest["config"]["digest"]])
    assert config["architecture"]
    assert config["os"] == "linux"
    for moment in (config["created"], *(step["created"] for step in config["history"])):
        assert datetime.fromisoformat(moment).tzinfo is not None
    check_texts(config["config"]["Labels"])
    layers = [gzip.decompress(image.blobs[layer["digest"]]) for layer in manifest["layers"]]
    assert config["rootfs"] == {
        "type": "layers",
        "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest() for layer in layers],
    }
    assert len([step for step in config["history"] if not step.get("empty_layer")]) == len(layers)


def test_a_folder_is_an_image_layout(image: Image, tmp_path: Path) -> None:
    repository = LayoutRepository(tmp_path / "registry")
    repository.add_blobs(image)
    for tag in (version(1), "champion"):
        repository.tag(image.manifest, tag)
    folder = tmp_path / "registry"
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_bytes())
    assert index["schemaVersion"] == 2
    assert index.get("mediaType", "application/vnd.oci.image.index.v1+json") == (
        "application/vnd.oci.image.index.v1+json"
    )
    assert {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]} == {
        version(1), "champion",
    }  # fmt: skip
    for entry in index["manifests"]:
        check_texts(entry["annotations"])
        assert REF_NAME.match(entry["annotations"]["org.opencontainers.image.ref.name"])
        check_descriptor(entry, image.manifest.raw)
    for blob in (folder / "blobs" / "sha256").iterdir():
        assert blob.name == hashlib.sha256(blob.read_bytes()).hexdigest()
