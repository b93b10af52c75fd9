"""The pictures that the documentation shows: made by one program, small, and described in words."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOWN = {
    path: [
        (words, file.partition("#")[0])
        for words, file in re.findall(r"!\[([^\]]*)\]\(([^)]+\.png[^)]*)\)", path.read_text("utf-8"))
    ]
    for path in (*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md")
}


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures_of_the_docs", DOCS / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_picture_is_made_by_the_program_and_shown(maker: ModuleType) -> None:
    made = {f"{one.name}.png" for one in maker.TAKEN}
    assert {path.name for path in (DOCS / "pictures").iterdir()} == made
    assert {Path(file).name for shown in SHOWN.values() for _, file in shown} == made


def test_the_whole_life_is_told_in_pictures(maker: ModuleType) -> None:
    story = {Path(file).stem for _, file in SHOWN[DOCS / "life.md"]}
    assert story >= {"comment", "report", "report-dark", "rollout", "rolled-back", "monitor", "drift"}
    assert story == {one.name for one in maker.TAKEN}


@pytest.mark.parametrize("page", [page for page, shown in SHOWN.items() if shown], ids=lambda page: page.name)
def test_pictures_are_there_and_say_what_is_seen(page: Path) -> None:
    for words, file in SHOWN[page]:
        path = page.parent / file
        assert path.is_file(), file
        assert len(words) >= 40, f"{file}: {words}"
        assert not re.match(r"(?i)(a )?(picture|screenshot|image)", words), words


def test_pictures_are_small(maker: ModuleType) -> None:
    assert maker.MOST_BYTES <= 150_000
    for one in maker.TAKEN:
        path = DOCS / "pictures" / f"{one.name}.png"
        assert path.stat().st_size <= maker.MOST_BYTES, path.name
        with Image.open(path) as picture:
            assert picture.size == (one.width, one.height), f"{path.name} is of another time: make pictures"
