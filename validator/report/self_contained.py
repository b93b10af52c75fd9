"""A page in one file: no script, and a content-security policy that allows its own style and nothing else."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources

from markupsafe import Markup

_PAGE = Markup(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
{refresh}<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{digest}'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""
)


@dataclass(frozen=True, kw_only=True)
class Follow:
    """A page that changes under its reader is for those who ask for it: two pages that lead to each other.

    `live` is the one that loads itself again every so many `seconds`; `other` is where the other one is.
    """

    live: bool
    other: str
    seconds: int

    @property
    def link(self) -> Markup:
        """The way to the other."""
        every = f"It loads itself again every {self.seconds} seconds."
        told = (every, "Hold it still") if self.live else ("", "Follow it as it goes")
        return Markup(
            '<nav aria-label="Following"><p class="soft">{} <a href="{}">{}</a></p></nav>\n'
        ).format(told[0], self.other, told[1])


def self_contained(title: str, body: Markup, *, package: str, follow: Follow | None = None) -> str:
    """The page of this body, in the style of the package's `page.css`."""
    style = Markup(resources.files(package).joinpath("page.css").read_text("utf-8"))  # noqa: S704
    again = Markup("")
    if follow is not None:
        body = follow.link + body
        if follow.live:
            again = Markup('<meta http-equiv="refresh" content="{}">\n').format(follow.seconds)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return str(_PAGE.format(refresh=again, digest=digest, title=title, style=style, body=body))
