"""What starts actions here reads what they print and write as GitHub's runner does."""

from __future__ import annotations

import pytest

from tests.peers.run_as_action import commands, fill, read_pairs


def test_files_of_commands_are_read_and_what_is_malformed_is_a_problem(tmp_path):
    file = tmp_path / "output"
    file.write_text("a=1\nb<<END\nfirst\nsecond\nEND\nno pair\nc<<END\nnever ended\n")
    problems: list[str] = []
    assert read_pairs(file, "output", problems) == {"a": "1", "b": "first\nsecond", "c": "never ended"}
    assert [problem.rsplit(". ", 1)[1] for problem in problems] == [
        "Invalid format 'no pair'",
        "Matching delimiter not found 'END'",
    ]


def test_printed_commands_become_annotations_and_masks():
    found = {"annotations": [], "problems": [], "outputs": {}}
    masks = {"t0ken"}
    log = "::error file=a%2Cb.py,line=3::wrong%0Aindeed\n::add-mask::secret\na secret t0ken\n::set-output name=x::1"
    shown = commands(log, found, masks)
    assert found["annotations"] == [
        {"level": "error", "message": "wrong\nindeed", "file": "a,b.py", "line": "3"}
    ]
    assert "a *** ***" in shown
    assert found["problems"] == ["the set-output command is disabled or deprecated: use the file"]


def test_only_plain_paths_are_filled_in():
    scope = {"inputs": {"Command": "validate"}, "github": {"event": {"number": 1}}}
    assert fill("${{ inputs.command }}", scope) == "validate"
    assert fill("[${{ github.event }}]", scope) == '[{"number": 1}]'
    with pytest.raises(SystemExit, match="cannot evaluate"):
        fill("${{ inputs.a || 'b' }}", scope)
