"""What commands print for people: colours where a terminal shows them, characters that it has."""

from __future__ import annotations

import io
import sys

import pytest

from validator.cli import console

TEXT = (
    "  ok    error\n  FAIL  slow: 3 of 10\n! nobody listens\nPASSED on its own\n  okay\nDRIFT  m  v1\n?     a"
)


class Screen(io.TextIOWrapper):
    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def shown(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


def said(monkeypatch: pytest.MonkeyPatch, text: str, screen: Screen, **environ: str) -> str:
    for name, value in {"NO_COLOR": "", "TERM": "xterm", **environ}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", screen)
    console.say(text)
    return screen.shown()


def test_on_a_terminal_the_first_word_has_the_colour_of_what_it_means(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = said(monkeypatch, TEXT, Screen(terminal=True)).splitlines()
    assert lines[0] == "  \x1b[32mok\x1b[0m    error"
    assert lines[1] == "  \x1b[31;1mFAIL\x1b[0m  slow: 3 of 10"
    assert lines[2] == "\x1b[33m!\x1b[0m nobody listens"
    assert lines[3:5] == ["PASSED on its own", "  okay"], "words that only begin so"
    assert lines[5:] == ["\x1b[31;1mDRIFT\x1b[0m  m  v1", "\x1b[33m?\x1b[0m     a"]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, TEXT, Screen(terminal=True), **{name: value}) == TEXT + "\n"


def test_in_a_file_or_a_pipe_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, TEXT, Screen(terminal=False)) == TEXT + "\n"


def test_a_screen_that_knows_ascii_alone_gets_that(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Screen(terminal=False, encoding="ascii")
    assert said(monkeypatch, "  ✗ é → b", old) == "  x \\xe9 > b\n"
