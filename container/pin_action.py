"""Write an action.yml that names a published image instead of building the Dockerfile.

    python pin_action.py ghcr.io/OWNER/NAME:VERSION@sha256:DIGEST <action.yml >pinned.yml

Ends with an error, and writes nothing, when the image is not named by version and digest or the file does not say
`image: Dockerfile` exactly once.
"""

from __future__ import annotations

import re
import sys

_IMAGE = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9._-]+)+:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}")
_LINE = re.compile(r"^( +image: )Dockerfile$", re.MULTILINE)


def pinned(action: str, image: str) -> str:
    """The text of `action` with the image in place of the Dockerfile. Raises ValueError as described above."""
    if not _IMAGE.fullmatch(image):
        raise ValueError(f"{image!r} is no image named by version and digest")
    text, changed = _LINE.subn(rf"\g<1>docker://{image}", action)
    if changed != 1:
        raise ValueError(f"action.yml says 'image: Dockerfile' {changed} times, not once")
    return text


if __name__ == "__main__":
    try:
        sys.stdout.write(pinned(sys.stdin.read(), sys.argv[1]))
    except ValueError as error:
        sys.exit(f"pin_action: {error}")
