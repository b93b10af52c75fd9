"""`publish`: post what an earlier run wrote to the pull request it belongs to."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from validator.cli.github_job import GitHubJob
from validator.settings.sources import resolve


def run(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """Post what an earlier run wrote, as hostile data, to the pull request it belongs to."""
    folder = flags.pop("result_dir", None)
    settings = resolve(flags, environ, Path.cwd())
    place = Path(folder or settings.out)
    job = GitHubJob.of(settings, environ, sys.stdout, {**flags, "result_dir": str(place)})
    report = job.publish_folder(place)
    return report.exit_code(require_publish=settings.require_publish)
