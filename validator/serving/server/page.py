"""The files of the page at `/` and of `/docs`: plain HTML, one script each, nothing from elsewhere."""

from __future__ import annotations

from importlib.resources import files


def _web(name: str) -> str:
    return (files("validator.serving.server") / "web" / name).read_text(encoding="utf-8")


PAGE = _web("page.html")
DOCS = _web("docs.html")
SCRIPTS = {"page.js": _web("page.js"), "docs.js": _web("docs.js")}
STYLE = _web("page.css")
