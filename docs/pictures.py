"""The pictures of this documentation, taken of what the product wrote: `make life`, then `make pictures`.

Chromium draws the pages as they are. The comment is the Markdown that a pull request gets, as GitHub draws it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

from validator import __version__
from validator.github.outcome import Outcome
from validator.results import GateResult

PICTURES = Path(__file__).parent / "pictures"
#: Of one picture: a page of documentation is no album.
MOST_BYTES = 150_000
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_COMMENT = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; padding: 16px; background: #fff; color: #1f2328; font: 14px/1.5 system-ui, "Noto Sans", sans-serif }
.comment { border: 1px solid #d1d9e0; border-radius: 6px } .head { padding: 8px 16px; background: #f6f8fa;
  border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0; color: #59636e } .head b { color: #1f2328 }
.head i { border: 1px solid #d1d9e0; border-radius: 2em; padding: 0 7px; font: 12px/18px system-ui, sans-serif }
.text { padding: 16px } .text > :first-child { margin-top: 0 } h2, h3 { margin: 24px 0 16px; line-height: 1.25 }
h2 { font-size: 1.5em; padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3 } h3 { font-size: 1.25em }
p, table, details { margin: 0 0 16px } table { border-collapse: collapse; display: block; overflow: auto }
th, td { padding: 6px 13px; border: 1px solid #d1d9e0 } tr:nth-child(2n) td { background: #f6f8fa }
code { padding: .2em .4em; font: 85% ui-monospace, "DejaVu Sans Mono", monospace; background: #eff1f2;
  border-radius: 6px }
blockquote { margin: 0 0 16px; padding: 0 1em; color: #59636e; border-left: .25em solid #d1d9e0 } a { color: #0969da }
</style><div class="comment"><div class="head"><b>github-actions</b> <i>bot</i> commented now</div>
<div class="text">{text}</div></div>"""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """`page` is a file below the life's folder, or made of it; `width` and `height` in pixels."""

    name: str
    page: str | Callable[[Path], str]
    width: int
    height: int
    dark: bool = False


def comment(life: Path) -> str:
    """The comment about the second version, whose base version is the first."""
    result = GateResult.model_validate_json((life / "second/preflight/result.json").read_bytes())
    body = Outcome.judged([result]).body(
        tool_version=__version__,
        url="https://github.com/acme/models/actions/runs/1",
        limit_chars=65_000,
        limit_bytes=None,
    )
    reader = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
    return _COMMENT.replace("{text}", reader.render(body))


TAKEN = (
    Picture(name="report", page="second/preflight/report.html", width=1000, height=1250),
    Picture(name="report-dark", page="second/preflight/report.html", width=1000, height=1250, dark=True),
    Picture(name="comment", page=comment, width=1000, height=1250),
    Picture(name="rollout", page="rollout-promoted/rollout.html", width=1000, height=760),
    Picture(name="rolled-back", page="rollout/rollout.html", width=1000, height=620),
    Picture(name="monitor", page="monitor.html", width=1200, height=1600),
    Picture(name="drift", page="drift/drift.html", width=1000, height=1300),
)


def take(picture: Picture, life: Path, browser: str) -> Path:
    """One picture, as small as it may be. Ends where its page is not there, or the browser draws nothing."""
    to = PICTURES / f"{picture.name}.png"
    with tempfile.TemporaryDirectory() as scratch:
        if isinstance(picture.page, str):
            page = (life / picture.page).resolve()
            if not page.is_file():
                sys.exit(
                    f"there is no {page}: run `make life` first, where HAProxy and Prometheus are installed"
                )
        else:
            page = Path(scratch, "page.html")
            page.write_text(picture.page(life), encoding="utf-8")
        raw = Path(scratch, "raw.png")
        scheme = ["--blink-settings=preferredColorScheme=0"] if picture.dark else []
        size = [f"--window-size={picture.width},{picture.height}", f"--user-data-dir={scratch}/profile"]
        line = [browser, *_FLAGS, *scheme, *size, f"--screenshot={raw}", page.as_uri()]
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=120)
        if not raw.is_file():
            sys.exit(f"{browser} drew nothing of {page}:\n{done.stderr[-2_000:]}")
        with Image.open(raw) as shot:
            # A palette is enough for pages, and takes a third of the room.
            shot.convert("RGB").quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
                to, optimize=True
            )
    if to.stat().st_size > MOST_BYTES:
        sys.exit(f"{to} has {to.stat().st_size:,} bytes, more than {MOST_BYTES:,}: make it lower or narrower")
    return to


def main() -> int:
    """Take all of them of the life in the folder that is named."""
    browser = next((one for one in map(shutil.which, _BROWSERS) if one), None)
    if browser is None:
        sys.exit(f"no browser to draw with: install one of {', '.join(_BROWSERS)}")
    life = Path(sys.argv[1] if len(sys.argv) > 1 else "life")
    for picture in TAKEN:
        made = take(picture, life, browser)
        print(f"{os.path.relpath(made)}  {made.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
