"""What a pull request must bring: a line in the changelog, and no lower floor of the coverage.

    python .ci/only_rises.py BASE        BASE is the commit that the pull request is to be merged into

A change to the package needs a change to CHANGELOG.md; "No changelog: why" in a commit message says that users notice
nothing.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib


def git(*arguments: str) -> str:
    return subprocess.run(
        ["/usr/bin/env", "git", *arguments], check=True, capture_output=True, text=True
    ).stdout


def floor(commit: str) -> float:
    project = tomllib.loads(git("show", f"{commit}:pyproject.toml"))
    return float(project["tool"].get("coverage", {}).get("report", {}).get("fail_under", 0))


def problems(base: str) -> list[str]:
    """What is wrong with the commits since BASE, in words; empty if nothing is."""
    found = []
    before, after = floor(base), floor("HEAD")
    if after < before:
        found.append(f"the floor of the coverage falls from {before:g} to {after:g}: write tests instead")
    changed = git("diff", "--name-only", f"{base}...HEAD").splitlines()
    excused = "No changelog:" in git("log", "--format=%B", f"{base}..HEAD")
    if (
        any(name.startswith("validator/") for name in changed)
        and "CHANGELOG.md" not in changed
        and not excused
    ):
        found.append(
            'the package changes and CHANGELOG.md does not: add a line, or "No changelog: why" to the message'
        )
    return found


if __name__ == "__main__":
    wrong = problems(sys.argv[1])
    for problem in wrong:
        print(problem, file=sys.stderr)
    sys.exit(bool(wrong))
