"""The rule by which one of a commit's many verdicts stands."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from validator.github.standing import Entry, Mark, job_key, link_for, parse_link, seat_key, standing

STATES = {"g": "success", "r": "failure", "e": "error"}


def entry(number: int, state: str, run: int = 1, attempt: int = 1, **mark: Any) -> Entry:
    found = Mark(state=STATES[state], run_id=run, run_attempt=attempt, **mark)  # type: ignore[arg-type]
    return Entry(id=number, shown="pending", mark=found)


def stands(*entries: Entry, closed: frozenset[int] = frozenset()) -> str:
    """The state that stands, whatever the order in which the entries are listed."""
    found = {
        one.state
        for order in itertools.permutations(entries)
        if (one := standing(order, lambda number: number not in closed)) is not None
    }
    assert len(found) == 1
    return found.pop()[0]


A, B, C = "a" * 8, "b" * 8, "c" * 8


def test_a_mark_survives_its_link():
    mark = Mark(
        state="error",
        run_id=5,
        run_attempt=2,
        kind="unaccepted",
        pull=7,
        job=A,
        seat=B,
        time=1_700_000_000,
        publisher=(9, 3),
        workflow=C,
    )
    page = "https://github.com/octo/models/actions/runs/5/attempts/2"
    url = link_for(page, mark)
    assert parse_link(url) == (page, mark)
    for other in (None, "", "https://example.org", url.replace("#preflight-x", "#preflight-y"), url + "-x"):
        assert parse_link(other) is None


def test_nothing_stands_where_nothing_was_said():
    assert standing([], lambda _: True) is None


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        # the newest run, in whatever order they arrive
        ([entry(1, "r", 8), entry(2, "g", 7)], "f"),
        ([entry(1, "r", 7), entry(2, "g", 8)], "s"),
        ([entry(1, "g", 8, 2), entry(2, "r", 8, 1)], "s"),
        # the worst of one run
        ([entry(1, "r", job=A), entry(2, "g", job=B)], "f"),
        ([entry(1, "g", job=A), entry(2, "r", job=A)], "f"),
        ([entry(1, "e", job=A), entry(2, "g", job=B)], "e"),
        # one job of it run again, not the other
        ([entry(1, "r", job=A), entry(2, "g", job=B), entry(3, "g", attempt=2, job=B)], "f"),
        ([entry(1, "r", job=A), entry(2, "g", job=B), entry(3, "g", attempt=2, job=A)], "s"),
        # an older run again: later for certain, or about as new
        ([entry(1, "r", 8, time=1_000), entry(2, "g", 7, 2, time=5_000)], "s"),
        ([entry(1, "r", 8, time=5_000), entry(2, "g", 7, 2, time=1_000)], "f"),
        ([entry(1, "r", 8), entry(2, "g", 7, 2)], "f"),
        ([entry(1, "g", 8), entry(2, "r", 7, 2)], "f"),
        ([entry(1, "g", 8, time=5_000), entry(2, "r", 7, 2, time=1_000)], "s"),
        # jobs that nothing tells apart: one of them again may be the green one, all of them again are not
        ([entry(1, "r", seat=A), entry(2, "g", seat=B), entry(3, "g", attempt=2, seat=C)], "f"),
        (
            [
                entry(1, "r", seat=A),
                entry(2, "g", seat=B),
                entry(3, "g", attempt=2, seat=C),
                entry(4, "g", attempt=3, seat=A),
                entry(5, "g", attempt=3, seat=B),
            ],
            "s",
        ),
        ([entry(1, "g", seat=A), entry(2, "g", seat=B), entry(3, "g", attempt=2, seat=C)], "s"),
        ([entry(1, "g", seat=A), entry(2, "g", seat=B), entry(3, "r", attempt=2, seat=C)], "f"),
        ([entry(1, "r", seat=A), entry(2, "g", attempt=2, seat=B)], "s"),
        # workflows under one name: one says nothing of what the other judges
        ([entry(1, "r", 7, workflow=A), entry(2, "g", 8, workflow=B)], "f"),
        ([entry(1, "r", 7, workflow=A), entry(2, "g", 8, workflow=B), entry(3, "g", 9, workflow=A)], "s"),
        ([entry(1, "r", 7, workflow=A), entry(2, "g", 8, pull=1, workflow=B)], "f"),
        ([entry(1, "r", 7, workflow=A), entry(2, "g", 8, pull=1, workflow=A)], "s"),
        ([entry(1, "e", 7, pull=1, kind="unaccepted", workflow=A), entry(2, "g", 8, workflow=B)], "s"),
        # that nothing changed is no verdict
        ([entry(1, "r", 7), entry(2, "g", 8, kind="unchanged")], "f"),
        ([entry(1, "g", 7), entry(2, "g", 8, kind="unchanged")], "s"),
        ([entry(1, "r", 7), entry(2, "g", 8), entry(3, "g", 9, kind="unchanged")], "s"),
        ([entry(1, "r", 7), entry(2, "g", 7, 2, kind="unchanged", time=9_000)], "f"),
        # nothing found to publish, then published; by another machine it is another job's
        ([entry(1, "e", kind="void"), entry(2, "g")], "s"),
        ([entry(2, "e", kind="void"), entry(1, "g")], "e"),
        ([entry(1, "e", kind="void", seat=A), entry(2, "g", seat=B)], "e"),
        ([entry(1, "e", kind="void", publisher=(9, 1)), entry(2, "g", seat=B, publisher=(9, 2))], "s"),
        # several pull requests
        ([entry(1, "r", 7, pull=1), entry(2, "g", 8, pull=2)], "f"),
        ([entry(1, "g", 7, pull=1), entry(2, "e", 8, pull=2)], "e"),
        # a run of none
        ([entry(1, "r", 7, pull=1), entry(2, "g", 8)], "f"),
        ([entry(1, "r", 7), entry(2, "g", 8, pull=1)], "s"),
        ([entry(1, "r", 7), entry(2, "g", 8, pull=1, kind="unchanged")], "f"),
        ([entry(1, "g", 7, pull=1), entry(2, "r", 8)], "f"),
        ([entry(1, "e", 7, pull=1, kind="unaccepted"), entry(2, "g", 8)], "s"),
        ([entry(1, "e", 9, pull=1, kind="unaccepted"), entry(2, "g", 8)], "e"),
        # what a run wrote before it knew its pull request
        ([entry(1, "e", 7, publisher=(9, 1)), entry(2, "g", 7, pull=1, publisher=(9, 2))], "s"),
    ],
)
def test_what_stands(entries: list[Entry], expected: str):
    assert stands(*entries) == expected


def test_a_closed_pull_request_does_not_count_beside_an_open_one():
    both = [entry(1, "r", 7, pull=1), entry(2, "g", 8, pull=2)]
    assert stands(*both, closed=frozenset({1})) == "s"
    assert stands(*both, closed=frozenset({1, 2})) == "s"
    assert stands(both[0], closed=frozenset({1})) == "f"


def test_jobs_are_told_apart_by_what_they_are_given_and_not_by_secrets():
    one = {"GITHUB_JOB": "a", "INPUT_MODEL": "m.pkl", "INPUT_GITHUB-TOKEN": "1", "RUNNER_NAME": "x"}
    assert job_key(one) == job_key(
        one | {"INPUT_GITHUB-TOKEN": "2", "RUNNER_NAME": "y", "GITHUB_RUN_ID": "3"}
    )
    for change in (
        {"GITHUB_JOB": "b"},
        {"INPUT_MODEL": "n.pkl"},
        {"RUNNER_OS": "Linux"},
        {"INPUT_MATRIX": '{"python": "3.12"}'},
    ):
        assert job_key(one) != job_key(one | change)
    assert job_key(one, "--model a") != job_key(one, "--model b")
    assert seat_key(one) != seat_key({"RUNNER_NAME": "y"})
