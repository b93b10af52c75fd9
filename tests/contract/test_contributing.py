"""CONTRIBUTING.md says what is: its layers are those of the import contract, what it names exists."""

from __future__ import annotations

import configparser
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_its_layers_are_those_that_the_linter_holds():
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter", encoding="utf-8")
    layers = contracts["importlinter:contract:layers"]["layers"].split("\n")
    held = [set(line.replace("validator.", "").split(" | ")) for line in layers if line]
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    told = [set(re.findall(r"`(\w+)/?`", row)) for row in rows]
    assert told == held
    assert len(held) > 10


def test_every_file_that_it_names_exists():
    named = set(re.findall(r"`((?:[\w.]+/)*[\w.*]+(?:\.(?:py|md|txt|json|yml)|/))`", TEXT))
    assert len(named) > 20
    places = (ROOT, ROOT / "validator")
    missing = {name for name in named if not any(any(place.glob(name.rstrip("/"))) for place in places)}
    assert not missing


def test_every_target_of_make_that_it_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:^|`)make ([a-z-]+)", TEXT, re.MULTILINE))
    assert len(targets) > 5
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)


def test_nothing_lies_at_the_top_that_was_left_there_by_accident():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    tops = {name.split("/", 1)[0] for name in listed.stdout.splitlines()}
    kept = {"Dockerfile", "LICENSE", "Makefile", "action.yml", "mkdocs.yml", "pyproject.toml"}
    folders = {"benchmarks", "container", "docs", "examples", "requirements", "tests", "validator"}
    documents = {"CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md"}
    assert {name for name in tops if not name.startswith(".")} == kept | folders | documents


def test_every_file_with_a_drill_is_reached_by_make_drill():
    line = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "-m drill" in line)
    reached = [ROOT / name for name in line.split("-m drill", 1)[1].split()]
    marked = [
        file
        for file in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\bmark\.drill\b|\bdrilled\(", file.read_text())
    ]
    assert len(marked) > 5
    assert not [file for file in marked if not any(file.is_relative_to(place) for place in reached)]
