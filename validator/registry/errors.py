"""What can go wrong with a registry, each with what to do."""

from __future__ import annotations

from validator.errors import Exit, PreflightError


class RegistryError(PreflightError):
    """A registry or layout folder cannot be asked, or does not do what it was asked for."""


class NotThereError(RegistryError):
    """There is no such repository, tag or digest."""


class DamagedError(RegistryError):
    """What came is not what its digest, its length or its own form says. Nothing of it was used."""


class SeveralImagesError(DamagedError):
    """What came is no image but an index of images, such as other tools push: of these `digests`."""

    def __init__(self, digests: frozenset[str]) -> None:
        super().__init__(
            "what is there is no image of an artifact: it is an index of several images",
            hint="name an image that `registry push` or `validate --push` wrote",
        )
        self.digests = digests


class RefusedVersionError(PreflightError):
    """This version may not be what was asked for: it did not pass, is not signed, or is another model's."""

    exit_code = Exit.FAILED


class OvertakenError(PreflightError):
    """Somebody else moved the alias, or is about to: nothing was promoted."""

    exit_code = Exit.FAILED
