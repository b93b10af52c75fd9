"""A page in one file: no script, and a content-security policy that allows its own style and nothing else."""

from __future__ import annotations

import base64
import hashlib
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


def self_contained(title: str, body: Markup, *, package: str, refresh_s: int | None = None) -> str:
    """The page of this body, in the style of the package's `page.css`; with `refresh_s` it loads itself again."""
    style = Markup(resources.files(package).joinpath("page.css").read_text("utf-8"))  # noqa: S704
    again = Markup('<meta http-equiv="refresh" content="{}">\n').format(refresh_s) if refresh_s else ""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return str(_PAGE.format(refresh=again, digest=digest, title=title, style=style, body=body))
