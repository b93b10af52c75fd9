"""Links that leave the documentation's folder lead to the repository."""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """What is beside `docs/`, such as SECURITY.md, has no page of its own here."""
    del page, files
    return re.sub(r"\]\(\.\./", f"]({config['repo_url'].rstrip('/')}/blob/main/", markdown)
