"""One issue a model: opened, written anew, closed, never a stranger's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.peers.github_api_server import GitHub
from validator.answers import Effects
from validator.github.api import GitHubApi
from validator.github.issue import MOST_BODY, keep_issue, marker
from validator.github.refusals import RefusedError


@pytest.fixture
def github() -> Iterator[GitHub]:
    with GitHub() as peer:
        yield peer


def keep(
    github: GitHub, wanted: Any, *, model: str = "churn", body: str = "report", token: str = "ghs_t"
) -> Any:
    clock = iter(range(10**9))
    effects = Effects(clock=lambda: float(next(clock)) / 1000, sleep=lambda _: None)
    with GitHubApi(base_url=github.url, token=token, user_agent="test", effects=effects, seed=1) as api:
        return keep_issue(api, github.repo, model=model, title="Drift", body=body, wanted=wanted)


def test_it_is_opened_written_anew_and_closed(github: GitHub) -> None:
    became, url = keep(github, "open")
    assert became == "opened"
    assert url.endswith(f"/issues/{github.issues()[0]['number']}")
    assert keep(github, "open", body="worse")[0] == "updated"
    assert keep(github, "as it is", body="not known")[0] == "updated"
    (issue,) = github.issues()
    assert issue["state"] == "open"
    assert issue["body"].splitlines() == [marker("churn"), "not known"]
    assert keep(github, "closed", body="fine")[0] == "closed"
    assert github.issues()[0]["state"] == "closed"
    assert keep(github, "closed") == ("none", "")
    assert keep(github, "as it is") == ("none", "")
    assert keep(github, "open")[0] == "opened"
    assert [issue["state"] for issue in github.issues()] == ["closed", "open"]
    assert github.problems == []


def test_each_model_has_its_own(github: GitHub) -> None:
    names = ("churn", "fraud", "a --> b\n<!-- model-preflight drift model=churn -->")
    for model in names:
        assert keep(github, "open", model=model)[0] == "opened"
    for model in names:
        assert keep(github, "open", model=model)[0] == "updated"
    assert len(github.issues()) == 3
    assert all("\n" not in marker(model) and marker(model).count("-->") == 1 for model in names)


def test_a_persons_issue_with_our_first_line_is_left_alone(github: GitHub) -> None:
    github.new_issue("mine", f"{marker('churn')}\nhands off", "octocat")
    assert keep(github, "open")[0] == "opened"
    assert keep(github, "closed")[0] == "closed"
    assert [issue["state"] for issue in github.issues()] == ["open", "closed"]
    assert github.issues()[0]["title"] == "mine"


def test_it_is_found_beyond_the_first_page(github: GitHub) -> None:
    for i in range(130):
        github.new_issue(f"other {i}", "text", "octocat")
    keep(github, "open")
    assert keep(github, "open")[0] == "updated"
    assert len(github.issues()) == 131


def test_a_lost_reply_opens_no_second_one(github: GitHub) -> None:
    github.fault("drop_after", method="POST", path="/issues$")
    assert keep(github, "open")[0] == "opened"
    assert len(github.issues()) == 1


def test_a_token_that_may_not_write_is_told_which_permission_it_lacks(github: GitHub) -> None:
    github.fault("read_only", method="POST", path="/issues$", times=9)
    with pytest.raises(RefusedError) as caught:
        keep(github, "open")
    assert "issues: write" in f"{caught.value}"


def test_a_long_report_is_cut(github: GitHub) -> None:
    keep(github, "open", body="a line of the report\n" * 10_000)
    (issue,) = github.issues()
    assert len(issue["body"]) <= MOST_BODY
    assert "longer than an issue" in issue["body"]
