"""What a base version is, as bytes and facts; and that there is none."""

from __future__ import annotations

from dataclasses import dataclass, field

from validator.results import Contract


@dataclass(frozen=True, kw_only=True)
class Base:
    """A version to compare with.

    `data` are the bytes of one model file of the format `format` (of an artifact: its ONNX file). `sha256` and
    `size_bytes` are those of the model that was judged or is to be, so that the same model is known again.
    `origin` says where it was found, in words that follow the name.
    """

    name: str
    format: str
    data: bytes = field(repr=False)
    sha256: str
    size_bytes: int
    origin: str = ""
    version: str = ""
    contract: Contract | None = None
    profile: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class NoBase:
    """Nothing to compare with, and why. `missing` when there should have been something."""

    reason: str
    name: str = ""
    missing: bool = False
