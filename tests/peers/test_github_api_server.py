"""The stand-in for GitHub's API keeps GitHub's rules."""

import base64
import http.client
import json
import time
import urllib.error
import urllib.request

import pytest

from tests.peers.github_api_server import SEED, GitHub

HEAD = SEED["refs"]["feature"]


@pytest.fixture
def gh():
    with GitHub(
        seed={
            "contents": {"docs/a.md": "hello"},
            "artifacts": [{"name": "base", "run_id": 7, "files": {"m.json": "{}"}}],
        }
    ) as github:
        yield github


def call(gh, method, path, body=None, token="t", raw=None, **headers):
    """(status, reply, headers)"""
    data = raw if raw is not None else None if body is None else json.dumps(body).encode()
    url = (
        path
        if path.startswith("http")
        else gh.url + (path if path.startswith("/_") else f"/repos/{gh.repo}{path}")
    )
    request = urllib.request.Request(
        url, data, method=method, headers={"Authorization": f"Bearer {token}", "User-Agent": "t", **headers}
    )
    try:
        with urllib.request.urlopen(request) as r:
            text = r.read()
            return r.status, json.loads(text) if text else None, r.headers
    except urllib.error.HTTPError as e:
        text = e.read()
        return e.code, json.loads(text) if text[:1] in (b"{", b"[") else text, e.headers


def test_comments_live_and_are_paged(gh):
    for i in range(65):
        assert call(gh, "POST", "/issues/1/comments", {"body": f"c{i}"})[0] == 201
    _status, page, headers = call(gh, "GET", "/issues/1/comments?per_page=30&page=2")
    assert [c["body"] for c in page] == [f"c{i}" for i in range(30, 60)]
    assert [x.split("; ")[1] for x in headers["Link"].split(", ")] == [
        'rel="prev"',
        'rel="next"',
        'rel="last"',
        'rel="first"',
    ]
    assert len(call(gh, "GET", headers["Link"].split(", ")[2].split(">")[0][1:])[1]) == 5
    number = page[0]["id"]
    assert call(gh, "PATCH", f"/issues/comments/{number}", {"body": "new"})[1]["body"] == "new"
    assert call(gh, "DELETE", f"/issues/comments/{number}")[0] == 204
    assert call(gh, "GET", f"/issues/comments/{number}")[0] == 404
    assert page[0]["user"]["login"] == "github-actions[bot]"
    assert len(gh.comments(1)) == 64
    assert gh.problems == []


def test_comment_rules(gh):
    assert call(gh, "POST", "/issues/1/comments", {"body": "x" * 65536})[0] == 201
    assert call(gh, "POST", "/issues/1/comments", {"body": "x" * 65537})[0] == 422
    assert call(gh, "POST", "/issues/1/comments", {"body": " \n"})[0] == 422
    assert call(gh, "POST", "/issues/9/comments", {"body": "x"})[0] == 404
    assert gh.problems == []
    assert call(gh, "POST", "/issues/1/comments", {"body": 5})[1]["message"].endswith(
        "For 'properties/body', 5 is not a string."
    )
    assert call(gh, "POST", "/issues/1/comments", raw=b"{")[0] == 400


def test_checks(gh):
    status, run, _ = call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD, "status": "in_progress"})
    assert (status, run["status"], run["conclusion"], run["app"]["slug"]) == (
        201,
        "in_progress",
        None,
        "github-actions",
    )
    a = {"path": "a", "start_line": 1, "end_line": 1, "annotation_level": "warning", "message": "m"}
    patch = lambda body: call(gh, "PATCH", f"/check-runs/{run['id']}", body)
    assert patch({"output": {"title": "t", "summary": "s", "annotations": [a] * 50}})[0] == 200
    assert (
        patch({"output": {"title": "t", "summary": "s", "annotations": [a] * 5}})[1]["output"][
            "annotations_count"
        ]
        == 55
    )
    assert len(call(gh, "GET", f"/check-runs/{run['id']}/annotations?per_page=100")[1]) == 55
    assert patch({"status": "completed", "conclusion": "failure"})[1]["completed_at"]
    assert call(gh, "GET", f"/commits/{HEAD}/check-runs?check_name=v")[1]["total_count"] == 1
    assert gh.problems == []
    assert patch({"output": {"title": "t", "summary": "s", "annotations": [a] * 51}})[0] == 422
    assert patch({"output": {"title": "t", "summary": "s" * 65536}})[0] == 422
    assert patch({"conclusion": "nope"})[0] == 422
    assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD, "status": "completed"})[0] == 422
    assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": "0" * 40})[0] == 422
    assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD}, token="ghp_x")[0] == 403
    wide = {**a, "end_line": 2, "start_column": 1}
    assert patch({"output": {"title": "t", "summary": "s", "annotations": [wide]}})[0] == 422


def test_statuses_add_up(gh):
    for state, context in (("pending", "a"), ("success", "a"), ("success", "b")):
        assert (
            call(
                gh,
                "POST",
                f"/statuses/{HEAD}",
                {"state": state, "context": context, "target_url": "https://x.y/"},
            )[0]
            == 201
        )
    assert call(gh, "GET", f"/commits/{HEAD}/status")[1]["state"] == "success"
    assert len(call(gh, "GET", "/commits/feature/statuses")[1]) == 3
    assert call(gh, "POST", f"/statuses/{HEAD}", {"state": "error"})[0] == 201
    assert call(gh, "GET", f"/commits/{HEAD}/status")[1]["state"] == "failure"
    assert gh.problems == []
    assert call(gh, "POST", f"/statuses/{HEAD}", {"state": "success", "description": "x" * 141})[0] == 422
    assert call(gh, "POST", f"/statuses/{HEAD}", {"state": "success", "target_url": "file:///x"})[0] == 422
    assert call(gh, "POST", f"/statuses/{HEAD}", {"state": "ok"})[1]["message"] == (
        'Invalid request.\n\nFor \'properties/state\', "ok" is not a member of ["error", "failure", "pending", "success"].'
    )


def test_deployments(gh):
    new = lambda **k: call(
        gh, "POST", "/deployments", {"ref": "feature", "environment": "qa", "required_contexts": [], **k}
    )
    one, two = new()[1]["id"], new(payload={"model": 3})[1]["id"]
    state = lambda n, s, **k: call(gh, "POST", f"/deployments/{n}/statuses", {"state": s, **k})
    assert state(one, "success", log_url="https://x.y/l")[1]["target_url"] == "https://x.y/l"
    assert state(two, "success", environment_url="https://x.y")[0] == 201
    assert [s["state"] for s in call(gh, "GET", f"/deployments/{one}/statuses")[1]] == ["inactive", "success"]
    assert [d["id"] for d in call(gh, "GET", "/deployments?environment=qa")[1]] == [two, one]
    assert gh.problems == []
    assert new(ref="nowhere")[0] == 422
    call(gh, "POST", f"/statuses/{HEAD}", {"state": "failure", "context": "ci"})
    assert call(gh, "POST", "/deployments", {"ref": "feature"})[0] == 409
    assert new(required_contexts="x")[0] == 422


def test_reading(gh):
    _, pull, _ = call(gh, "GET", "/pulls/1")
    assert pull["head"]["sha"] == HEAD
    assert pull["base"]["ref"] == "main"
    assert pull["number"] == 1
    assert [p["number"] for p in call(gh, "GET", "/pulls?state=open&head=octo:feature")[1]] == [1]
    assert [p["number"] for p in call(gh, "GET", f"/commits/{HEAD}/pulls")[1]] == [1]
    assert [f["filename"] for f in call(gh, "GET", "/pulls/1/files")[1]] == ["models/model.onnx", "README.md"]
    assert base64.b64decode(call(gh, "GET", "/contents/docs/a.md?ref=main")[1]["content"]) == b"hello"
    assert call(gh, "GET", "/contents/docs%2Fnone")[0] == 404
    assert call(gh, "PUT", "/issues/1/labels", {"labels": ["a"]})[0] == 200
    assert [x["name"] for x in call(gh, "POST", "/issues/1/labels", {"labels": ["b"]})[1]] == ["a", "b"]
    assert call(gh, "DELETE", "/issues/1/labels/a")[0] == 200
    assert call(gh, "GET", gh.url + "/rate_limit")[0] == 200
    assert call(gh, "GET", gh.url + "/api/v3/repos/octo/models/pulls/1")[0] == 200
    _status, run, _ = call(gh, "GET", "/actions/runs/7/artifacts?name=base")
    etag = call(gh, "GET", "/pulls/1")[2]["ETag"]
    assert call(gh, "GET", "/pulls/1", **{"If-None-Match": etag})[0] == 304
    assert gh.problems == []
    call(gh, "GET", run["artifacts"][0]["archive_download_url"])  # urllib sends the token on to the storage
    assert gh.problems == ["GET /_fake/blob/1: the API token was sent on to the artifact storage"]


def test_problems_are_noted(gh):
    assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD, "outptu": 1})[0] == 201
    call(gh, "GET", "/issues/1/comments?per_page=200&sort=x")
    call(gh, "GET", "/pulls?state=bad")
    call(gh, "GET", "/nowhere")
    assert [p.split(": ", 1)[1] for p in gh.problems] == [
        "unknown field body.outptu",
        "query per_page=200: more than 100 a page",
        "unknown query parameter 'sort'",
        'For \'query/state\', "bad" is not a member of ["open", "closed", "all"].',
        "this method and path are not in the description's subset",
    ]
    assert call(gh, "GET", "/_fake/problems")[1] == gh.problems


def test_tokens(gh):
    assert (
        call(gh, "POST", "/issues/1/comments", {"body": "x"}, token="read-only")[1]["message"]
        == "Resource not accessible by integration"
    )
    assert call(gh, "GET", "/issues/1/comments", token="read-only")[0] == 200
    assert call(gh, "GET", "/pulls/1", token="bad")[0] == 401
    gh.seed({"tokens": {"t": {"issues": "write", "contents": "read", "statuses": "read"}}})
    assert call(gh, "POST", "/issues/1/comments", {"body": "x"})[0] == 201
    assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD})[0] == 403
    assert call(gh, "POST", f"/statuses/{HEAD}", {"state": "success"})[0] == 403
    assert call(gh, "GET", f"/commits/{HEAD}/status")[0] == 200
    assert call(gh, "GET", "/deployments")[0] == 403
    assert call(gh, "POST", "/issues/1/comments", {"body": "x"}, token="other")[0] == 401


def test_faults(gh):
    post = lambda: call(gh, "POST", "/issues/1/comments", {"body": "x"})
    gh.fault("secondary_limit", method="POST", path="/comments$", retry_after=3, after=1)
    assert post()[0] == 201
    status, body, headers = post()
    assert (status, headers["Retry-After"]) == (429, "3")
    assert "secondary rate limit" in body["message"]
    assert post()[0] == 201
    call(gh, "POST", "/_fake/faults", {"kind": "bad_gateway", "times": 2})
    assert [post()[0] for _ in range(3)] == [502, 502, 201]
    gh.fault("drop")
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected, urllib.error.URLError)):
        post()
    before = len(gh.comments(1))
    gh.fault("drop_after")
    with pytest.raises((ConnectionResetError, http.client.RemoteDisconnected, urllib.error.URLError)):
        post()
    assert len(gh.comments(1)) == before + 1
    gh.fault("truncate")
    with pytest.raises(http.client.IncompleteRead):
        post()
    gh.fault("slow", seconds=0.3)
    start = time.time()
    assert post()[0] == 201
    assert time.time() - start > 0.3
    gh.fault("primary_limit")
    assert post()[2]["X-RateLimit-Remaining"] == "0"
    assert [c["fault"] for c in gh.calls if c["fault"]][-3:] == ["truncate", "slow", "primary_limit"]
    assert gh.problems == []


def test_strict():
    with GitHub(strict=True) as gh:
        assert call(gh, "POST", "/check-runs", {"name": "v", "head_sha": HEAD, "outptu": 1})[0] == 422


def test_control_over_http(gh):
    assert (
        call(gh, "POST", "/_fake/seed", {"pulls": [{**SEED["pulls"][0], "number": 5, "fork": True}]})[0]
        == 200
    )
    assert call(gh, "GET", "/pulls/5")[1]["head"]["repo"]["full_name"] == "octocat/models"
    assert call(gh, "GET", "/_fake/calls")[1][0]["operation"] == "pulls/get"
    call(gh, "POST", "/_fake/reset")
    assert gh.calls == []
    assert call(gh, "GET", "/pulls/5")[0] == 404


@pytest.mark.parametrize(
    "hook",
    ["pull-request-" + k for k in ("opened", "synchronize", "reopened", "labeled", "closed")]
    + ["push", "workflow-dispatch", "issue-comment-created"],
)
def test_events_fit_githubs_schema(gh, hook):
    event = call(gh, "GET", f"/_fake/event/{hook}?number=1")[1]
    assert event["repository"]["full_name"] == gh.repo
