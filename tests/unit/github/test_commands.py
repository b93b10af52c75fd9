from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.github import commands
from validator.github.wording import Annotation

any_text = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


def as_the_runner_reads(line: str) -> tuple[str, dict[str, str], str]:
    match = re.fullmatch(r"::([\w-]+)(?: (.*?))?::(.*)", line, re.DOTALL)
    assert match is not None

    def unescaped(text: str, pairs: str = "") -> str:
        for code, char in [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]:
            if pairs or char not in ":,":
                text = text.replace(code, char)
        return text

    listed = [p.partition("=") for p in (match[2] or "").split(",") if p]
    return match[1], {k: unescaped(v, "all") for k, _, v in listed}, unescaped(match[3])


@given(message=any_text, title=any_text, file=any_text)
def test_a_command_means_what_was_put_in_and_is_one_line(message, title, file):
    line = commands.command("error", message, title=title, file=file)
    assert "\n" not in line
    assert "\r" not in line
    name, properties, text = as_the_runner_reads(line)
    assert (name, text) == ("error", message)
    assert properties == {k: v for k, v in {"title": title, "file": file}.items() if v}


def test_annotations_have_one_budget_and_come_in_their_order():
    def found(count: int) -> list[Annotation]:
        return [Annotation(level="error", title=f"t{i}", message="m") for i in range(count)]

    warning = Annotation(level="warning", title="w", message="m")
    for errors, shown, warnings in ((7, 7, 1), (8, 8, 0), (9, 8, 0), (500, 8, 0)):
        log = io.StringIO()
        commands.emit(log, [*found(errors), warning])
        assert log.getvalue().count("::error") == shown
        assert log.getvalue().count("::warning") == warnings
    assert "494 more are in the report" in log.getvalue()


@given(value=any_text)
def test_no_value_sets_another_output(value, tmp_path_factory):
    path = tmp_path_factory.mktemp("o") / "output"
    commands.set_outputs(path, {"a": value, "b": "x"})
    text = path.read_bytes().decode()
    match = re.fullmatch(r"a<<(\S+)\n(.*)\n\1\nb<<(\S+)\nx\n\3\n", text, re.DOTALL)
    assert match is not None
    assert match[2] == value
    assert match[1] not in value
    assert match[1] != match[3]


def test_a_summary_that_is_too_long_is_not_begun(tmp_path):
    path = tmp_path / "summary"
    assert commands.append_summary(path, "hello")
    size = path.stat().st_size
    assert not commands.append_summary(path, "ü" * (commands.SUMMARY_BYTES // 2))
    assert path.stat().st_size == size
    room = commands.summary_room(path)
    assert commands.append_summary(path, "x" * (room - 2))
    assert commands.summary_room(path) == 0


def test_an_unwritable_file_says_so(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        commands.set_outputs(tmp_path / "none" / "x", {"a": "b"})
