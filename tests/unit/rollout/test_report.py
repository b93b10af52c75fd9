"""Page, log and lines: what they show, and that hostile names stay text."""

from __future__ import annotations

import dataclasses
import html.parser
from pathlib import Path

import pytest

from tests.unit.rollout.world import World
from validator.rollout.report import figures, lines, log, page
from validator.rollout.stages import stages
from validator.rollout.step import Step
from validator.rollout.view import picture

HOSTILE = "<script>alert(1)</script>|`x`\n::error::[a](javascript:b) @everyone"


@pytest.fixture
def done(tmp_path: Path) -> Step:
    world = World(tmp_path)
    world.begin()
    world.to("guard-25")
    world.step()
    world.tick(200)
    return world.step()


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.add(tag)


def test_hostile_names_stay_text(done: Step) -> None:
    arm = dataclasses.replace(done.state.candidate, version=HOSTILE)
    state = dataclasses.replace(done.state, candidate=arm, reason=HOSTILE)
    shown = page(state, done.verdict, ["guard-25"])
    tags = Tags()
    tags.feed(shown)
    assert "script" not in tags.names
    text = log(state, done.verdict)
    assert "<script" not in text
    assert "\n::error" not in text
    assert all("\n" not in line for line in lines(state, done.verdict))


def test_the_page_shows_where_it_is(done: Step) -> None:
    world_stages = ["guard-5", "guard-25", "confirm-50"]
    shown = page(done.state, done.verdict, world_stages)
    assert "<li class=now>guard-25</li>" in shown
    assert "25 % candidate v2" in shown
    assert "http-equiv" in shown
    ended = dataclasses.replace(done.state, state="promoted")
    assert "http-equiv" not in page(ended, done.verdict, world_stages), "what has ended does not reload"


def test_figures_and_pictures(done: Step) -> None:
    assert done.verdict is not None
    metric = done.verdict.metrics[0]
    assert "against" in figures(metric)
    assert "●" in picture(metric)
    assert "┃" in picture(metric)
    nothing = dataclasses.replace(metric, difference=None, lower=None, upper=None)
    assert figures(nothing) == "error: no whole window yet"
    assert "●" not in picture(nothing)
    at_once = dataclasses.replace(nothing, outcome="rollback", reason="far worse")
    assert figures(at_once) == "error: far worse", "it did not wait for a whole window"


def test_stages_are_in_order(tmp_path: Path) -> None:
    names = [stage.name for stage in stages(World(tmp_path, shadow=True).settings)]
    assert names == ["shadow", "guard-5", "guard-25", "confirm-50", "full", "promoted"]
