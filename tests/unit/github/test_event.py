from __future__ import annotations

import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validator.errors import UsageError
from validator.github.event import PULL_KINDS, Target, load_target, target_of

HEAD, MERGE, BEFORE = "a" * 40, "b" * 40, "c" * 40
ENVIRON = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "octo/models",
    "GITHUB_SHA": MERGE,
    "GITHUB_RUN_ID": "77",
    "GITHUB_RUN_ATTEMPT": "2",
}


def of(event_name: str, payload: object, **environ: str) -> Target:
    return target_of({**ENVIRON, "GITHUB_EVENT_NAME": event_name, **environ}, payload)  # type: ignore[arg-type]


def pull(repository: str | None = "octo/models") -> dict[str, object]:
    repo = {"full_name": repository} if repository else None
    return {"pull_request": {"number": 3, "head": {"sha": HEAD, "ref": "f", "repo": repo}}}


def run(**changes: object) -> dict[str, object]:
    fields = {
        "id": 5,
        "run_attempt": 4,
        "event": "pull_request",
        "head_sha": HEAD,
        "head_branch": "feature",
        "head_repository": {"full_name": "mallory/models"},
        "conclusion": "success",
        "path": ".github/workflows/v.yml",
    }
    return {"workflow_run": fields | changes}


def test_a_pull_request_is_about_its_head_not_the_merge_commit():
    target = of("pull_request", pull())
    assert (target.kind, target.head_sha, target.pull_number) == ("pull_request", HEAD, 3)
    assert (target.run_id, target.run_attempt, target.fork, target.read_only) == (77, 2, False, False)
    assert target.why_not_load is None
    assert target.run_url == "https://github.com/octo/models/actions/runs/77/attempts/2"


@pytest.mark.parametrize("repository", ["mallory/models", None])
def test_a_forks_pull_request_is_read_only(repository):
    target = of("pull_request", pull(repository))
    assert target.fork
    assert target.read_only
    assert target.why_not_load is None


def test_names_of_repositories_differ_only_by_more_than_case():
    assert not of("pull_request", pull("Octo/Models")).fork


def test_dependabots_token_is_read_only():
    assert of("pull_request", pull(), GITHUB_ACTOR="dependabot[bot]").read_only


@pytest.mark.parametrize("repository", ["octo/models", "mallory/models", None])
def test_pull_request_target_refuses_to_load(repository):
    target = of("pull_request_target", pull(repository))
    assert target.why_not_load
    assert "secrets" in (target.why_not_load or "")
    assert not target.read_only


def test_workflow_run_speaks_of_the_run_that_judged():
    target = of("workflow_run", run())
    assert (target.run_id, target.run_attempt, target.head_sha) == (5, 4, HEAD)
    assert target.head_branch is not None
    assert (target.head_branch.owner, target.head_branch.branch) == ("mallory", "feature")
    assert (target.fork, target.conclusion, target.pull_number) == (True, "success", None)
    assert target.why_not_load
    assert target.wants_comment


def test_workflow_run_of_our_own_branch_may_load():
    assert of("workflow_run", run(head_repository={"full_name": "octo/models"})).why_not_load is None


def test_workflow_run_of_a_push_has_no_pull_request():
    assert not of("workflow_run", run(event="push")).wants_comment


def test_workflow_run_of_a_deleted_fork():
    target = of("workflow_run", run(head_repository=None))
    assert target.fork
    assert not target.wants_comment


@pytest.mark.parametrize(
    ("name", "payload", "head", "before"),
    [
        ("push", {"after": HEAD, "before": BEFORE}, HEAD, BEFORE),
        ("push", {"after": HEAD, "before": "0" * 40}, HEAD, None),
        ("push", {}, MERGE, None),
        ("merge_group", {"merge_group": {"head_sha": HEAD, "base_sha": BEFORE}}, HEAD, BEFORE),
        ("workflow_dispatch", {}, MERGE, None),
        ("schedule", {}, MERGE, None),
        ("issue_comment", {"issue": {"number": 3}}, None, None),
        ("", {}, None, None),
    ],
)
def test_other_events(name, payload, head, before):
    target = of(name, payload)
    assert (target.head_sha, target.base_sha, target.pull_number) == (head, before, None)
    assert not target.wants_comment
    assert target.why_not_load is None


def test_an_enterprise_servers_addresses():
    target = of(
        "push", {}, GITHUB_API_URL="https://ghe.example/api/v3/", GITHUB_SERVER_URL="https://ghe.example"
    )
    assert target.api_url == "https://ghe.example/api/v3"
    assert target.run_url.startswith("https://ghe.example/octo/models/")


def test_addresses_that_are_none_are_not_used():
    target = of("push", {}, GITHUB_API_URL="file:///etc", GITHUB_SERVER_URL="")
    assert (target.api_url, target.server_url) == ("https://api.github.com", "https://github.com")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=10,
)
shaped = st.fixed_dictionaries(
    {},
    optional={
        "pull_request": st.fixed_dictionaries({}, optional={"number": json_values, "head": json_values}),
        "workflow_run": st.dictionaries(
            st.sampled_from(["id", "head_sha", "head_branch", "head_repository", "event"]), json_values
        ),
        "after": json_values,
        "merge_group": json_values,
        "number": json_values,
    },
)


@given(
    name=st.sampled_from(["pull_request", "pull_request_target", "workflow_run", "push", "merge_group", "x"]),
    payload=shaped,
)
def test_a_malformed_payload_is_never_half_believed(name, payload):
    target = of(name, payload)
    assert target.head_sha is None or (
        len(target.head_sha) in (40, 64) and set(target.head_sha) <= set(string.hexdigits)
    )
    assert target.pull_number is None or target.pull_number > 0
    if name in PULL_KINDS and target.head_repository is None:
        assert target.fork
    if name == "pull_request_target":
        assert target.why_not_load


def test_outside_of_actions_there_is_no_target(tmp_path):
    assert load_target({}) is None
    assert load_target({"GITHUB_ACTIONS": "true"}) is None
    assert load_target({"GITHUB_REPOSITORY": "a/b"}) is None


def test_the_event_file_is_read(tmp_path):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(pull()))
    environ = {**ENVIRON, "GITHUB_EVENT_NAME": "pull_request", "GITHUB_EVENT_PATH": str(file)}
    target = load_target(environ)
    assert target is not None
    assert target.pull_number == 3


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 100_000, "null"])
def test_an_event_file_that_is_none_is_refused(tmp_path, content):
    file = tmp_path / "event.json"
    file.write_text(content)
    with pytest.raises(UsageError, match=r"event\.json"):
        load_target({**ENVIRON, "GITHUB_EVENT_PATH": str(file)})


def test_a_missing_event_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        load_target({**ENVIRON, "GITHUB_EVENT_PATH": str(tmp_path / "none")})


@pytest.mark.parametrize("name", ["", "x", "a/b/c", "a/../b", "a b/c", "../x", "a/..", "a/b?c"])
def test_a_repository_that_is_none_is_refused(name):
    with pytest.raises(UsageError, match="GITHUB_REPOSITORY"):
        of("push", {}, GITHUB_REPOSITORY=name)
