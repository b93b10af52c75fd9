"""Where an image is: `oci://HOST/REPOSITORY`, or the folder of an OCI layout; and which: `:TAG` or `@sha256:…`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from validator.errors import UsageError
from validator.registry.store import is_digest, is_tag

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://")
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*")
_LOOPBACK = re.compile(r"(?:localhost|127\.[0-9.]+|\[::1\])(?::[0-9]+)?")
_REMOTE, _PLAIN, _ENCRYPTED = "oci://", "oci+http://", "oci+https://"
_SCHEMES = (_REMOTE, _PLAIN, _ENCRYPTED)
_FORMS = (
    "oci://HOST/REPOSITORY or the folder of an OCI layout, with :TAG or @sha256:… where one version is meant"
)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A place, and what of it: `host` and `repository` for a registry, `folder` for a layout.

    `tag` and `digest` are None where none is given; where both are, the digest decides.
    """

    host: str = ""
    repository: str = ""
    folder: Path | None = None
    is_plain: bool = False
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self) -> str:
        """The place as a person writes it."""
        return str(self.folder) if self.folder is not None else f"{self.host}/{self.repository}"

    @property
    def wanted(self) -> str | None:
        """What to ask the place for."""
        return self.digest or self.tag

    @property
    def place(self) -> Reference:
        """The same without tag and digest."""
        return replace(self, tag=None, digest=None)

    @property
    def address(self) -> str:
        """The place in a form that `parse` takes."""
        if self.folder is not None:
            return self.name
        usual = is_loopback(self.host)
        scheme = _REMOTE if self.is_plain == usual else (_PLAIN if self.is_plain else _ENCRYPTED)
        return f"{scheme}{self.name}"

    def at(self, wanted: str) -> str:
        """The whole reference to a tag or digest there, in a form that `parse` takes."""
        return f"{self.address}{'@' if is_digest(wanted) else ':'}{wanted}"


def looks_remote(text: str) -> bool:
    """Whether a text names a registry, also without a scheme: its first part is a host, as Docker reads it."""
    if text.startswith(_SCHEMES):
        return True
    host, slash, rest = text.partition("/")
    named = "." in host.strip(".") or ":" in host or host == "localhost"
    return bool(slash and rest) and not host.startswith((".", "~")) and named and bool(_HOST.fullmatch(host))


def is_loopback(host: str) -> bool:
    """Whether a host, with its port, is this machine."""
    return _LOOPBACK.fullmatch(host) is not None


def is_reference(text: str) -> bool:
    """Whether a text means an image: a registry's, or one in a folder that is an OCI layout."""
    if text.startswith((*_SCHEMES, "oci:")):
        return True
    if Path(text).exists():
        return (Path(text) / "oci-layout").is_file()
    return looks_remote(text) or (_split(text)[0].joinpath("oci-layout")).is_file()


def parse(text: str) -> Reference:
    """Read a reference.

    Raises
    ------
    UsageError
        If it is none, naming the part that is wrong.

    Examples
    --------
    >>> parse("oci://ghcr.io/acme/models/trading:champion").name
    'ghcr.io/acme/models/trading'
    >>> parse("registry/trading:champion").tag
    'champion'
    """
    if looks_remote(text):
        return _remote(text)
    if _SCHEME.match(text):
        raise _wrong(text, "no such kind of address is known")
    text = text.removeprefix("oci:")
    if not text or "\0" in text:
        raise _wrong(text, "it is empty")
    folder, tag, digest = _split(text)
    return Reference(folder=folder, tag=tag, digest=digest)


def _remote(text: str) -> Reference:
    scheme = next((one for one in _SCHEMES if text.startswith(one)), _REMOTE)
    rest = text.removeprefix(scheme)
    host, _, path = rest.partition("/")
    if not _HOST.fullmatch(host) or len(host) > 255:
        raise _wrong(text, f"{host[:80]!r} is no host")
    path, at, digest = path.partition("@")
    path, colon, tag = path.partition(":")
    if at and not is_digest(digest):
        raise _wrong(text, f"{digest[:80]!r} is no digest")
    if colon and not is_tag(tag):
        raise _wrong(text, f"{tag[:80]!r} is no tag")
    if not _REPOSITORY.fullmatch(path) or len(path) > 255:
        lower = " (it takes lower case alone)" if _REPOSITORY.fullmatch(path.lower()) else ""
        raise _wrong(text, f"{path[:80]!r} is no repository{lower}")
    return Reference(
        host=host.lower(),
        repository=path,
        is_plain=scheme == _PLAIN or (scheme == _REMOTE and is_loopback(host.lower())),
        tag=tag or None,
        digest=digest or None,
    )


def _split(text: str) -> tuple[Path, str | None, str | None]:
    """Folder, tag and digest of a path. A colon belongs to the path where a folder of that name is there."""
    digest: str | None = None
    before, at, after = text.rpartition("@")
    if at and is_digest(after):
        text, digest = before, after
    before, colon, tag = text.rpartition(":")
    if colon and before and is_tag(tag) and not Path(text).exists():
        return Path(before), tag, digest
    return Path(text), None, digest


def _wrong(text: str, why: str) -> UsageError:
    return UsageError(f"{text[:200]!r} is no reference: {why}", hint=f"give {_FORMS}")
