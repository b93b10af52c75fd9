"""Page, log and lines: what they show, and that hostile names stay text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html.parser
from pathlib import Path

import pytest

from tests.unit.rollout.world import World
from validator.rollout.page import page
from validator.rollout.report import figures, lines, log
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
    assert (
        '<li class="done">✓ guard-5</li><li class="now">guard-25</li><li class="later">confirm-50</li>'
        in shown
    )
    assert '<span class="candidate w5">25 % candidate <small>v2</small></span>' in shown
    assert 'http-equiv="refresh"' not in shown, "nothing changes under readers who have not asked for it"
    live = page(done.state, done.verdict, world_stages, live=True)
    assert 'http-equiv="refresh" content="5"' in live
    assert ('href="rollout-live.html"' in shown, 'href="rollout.html"' in live) == (True, True)
    assert shown.count('<div class="card">') == len(done.verdict.metrics) == 3
    assert "style=" not in shown, "the policy forbids it"
    assert f"sha256-{hashed(shown)}" in shown, "the policy allows the style that is there, and no other"


@pytest.mark.parametrize(
    ("state", "badge", "last"),
    [
        ("promoted", "ok", '<li class="done">✓ guard-25</li>'),
        ("rolled_back", "fail", '<li class="left">✗ guard-25</li>'),
    ],
)
def test_the_page_shows_how_it_ended(done: Step, state: str, badge: str, last: str) -> None:
    names = ["guard-5", "guard-25", "confirm-50", "full", "promoted"]
    ended = dataclasses.replace(done.state, state=state)
    if state == "promoted":
        events = [dataclasses.replace(done.state.history[-1], after=name) for name in names[1:]]
        ended = dataclasses.replace(ended, history=(*ended.history, *events))
    shown = page(ended, done.verdict, names, live=True)
    assert 'http-equiv="refresh"' not in shown, "what has ended does not load itself again"
    assert f'<h1><span class="badge {badge}">{state.replace("_", " ")}</span> m</h1>' in shown
    assert last in shown
    assert ('class="later"' in shown) is (state == "rolled_back")
    at_once = dataclasses.replace(
        done.verdict.metrics[0],
        difference=None,
        lower=None,
        upper=None,
        outcome="rollback",
        reason="error: far worse",
    )
    shown = page(ended, dataclasses.replace(done.verdict, metrics=(at_once,)), names)
    assert "<p>far worse</p>" in shown
    assert "<svg" not in shown
    assert page(ended, None, names).count("<h2>") == 1, "without a verdict the history alone"


def hashed(shown: str) -> str:
    style = shown.partition("<style>")[2].partition("</style>")[0]
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


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
    named = dataclasses.replace(at_once, reason="error: far worse")
    assert figures(named) == "error: far worse", "the metric is named once"


def test_without_a_champion_beside_it_a_figure_is_held_to_its_limit(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.begin()
    world.to("full")
    world.step()
    world.tick(200)
    done = world.step()
    assert done.verdict is not None
    error, refused = done.verdict.metrics[0], done.verdict.metrics[2]
    assert (error.base_requests, refused.limit) == (0, None)
    assert "against" not in figures(error)
    assert " pp" not in figures(error)
    assert figures(error).endswith("limit 2.000")
    assert figures(refused).endswith("no limit")
    shown = page(done.state, done.verdict, [stage.name for stage in stages(world.settings)])
    assert "No champion beside it." in shown
    assert shown.count("<svg") == 2, "no picture against a limit that is none"
    assert "no limit |" in log(done.state, done.verdict)


def test_stages_are_in_order(tmp_path: Path) -> None:
    names = [stage.name for stage in stages(World(tmp_path, shadow=True).settings)]
    assert names == ["shadow", "guard-5", "guard-25", "confirm-50", "full", "promoted"]
