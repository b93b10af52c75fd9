from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from validator.github.marker import Marker, Run, parse

shas = st.text("0123456789abcdef", min_size=40, max_size=40)
runs = st.builds(Run, head_sha=shas, run_id=st.integers(1, 10**15), run_attempt=st.integers(1, 99))


@given(key=st.text(min_size=1, max_size=100).filter(lambda t: t.isprintable()), run=runs, tail=st.text())
def test_a_marker_survives_any_key_and_any_report(key, run, tail):
    marker = Marker(key=key, run=run)
    line = marker.line()
    assert "\n" not in line
    assert line.count("-->") == 1
    assert parse(f"{line}\n{tail}") == marker


def test_a_quoted_marker_is_no_marker():
    line = Marker(key="k", run=Run(head_sha="a" * 40, run_id=1, run_attempt=1)).line()
    assert parse(f"> {line}") is None
    assert parse(f"hello\n{line}") is None
    assert parse(None) is None
    assert parse("<!-- model-preflight key=k sha=x run=1 attempt=1 -->") is None


def _run(run_id: int, attempt: int = 1, sha: str = "a") -> Run:
    return Run(head_sha=sha * 40, run_id=run_id, run_attempt=attempt)


def test_who_may_replace_whom():
    assert _run(8).may_replace(_run(7))
    assert not _run(7).may_replace(_run(8))
    assert _run(7).may_replace(_run(7))
    assert _run(7, 2).may_replace(_run(7, 1))
    assert not _run(7, 1).may_replace(_run(7, 2))
    assert _run(7, 2).may_replace(_run(8, 1))
    assert not _run(7, 2, "b").may_replace(_run(8, 1, "a"))
    assert _run(9, 1, "b").may_replace(_run(8, 5, "a"))


@given(first=runs, second=runs)
def test_of_two_runs_one_at_least_gives_way(first, second):
    assert first.may_replace(second) or second.may_replace(first)
