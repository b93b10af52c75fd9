"""The client's policies, with a scripted server, a clock that only sleeping moves, and no network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from validator.errors import PublishError
from validator.github.api import GitHubApi
from validator.github.refusals import READ_COMMENTS, WRITE_COMMENT, RefusedError, UnreachableError
from validator.github.replies import Comment
from validator.github.session import MAX_REPLY_BYTES, Effects

COMMENT = {"id": 1, "html_url": "https://github.com/c", "body": "b"}
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]
TOKEN = "ghs_s3cret"


@dataclass
class Script:
    """Answers in order; the last one for ever."""

    answers: list[Answer]
    seen: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def api(self, **changes: Any) -> GitHubApi:
        effects = Effects(
            transport=httpx.MockTransport(self.answer),
            clock=lambda: self.seconds,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds),
            sleep=self.sleep,
        )
        fields = {"base_url": "https://api.example/v3", "token": TOKEN, "user_agent": "t/1", "seed": 1}
        return GitHubApi(**(fields | changes), effects=effects)


def ok(body: Any = COMMENT, status: int = 200, **headers: str) -> Answer:
    return lambda _: httpx.Response(status, json=body, headers=headers)


def said(status: int, message: str = "no", **headers: str) -> Answer:
    return lambda _: httpx.Response(status, json={"message": message}, headers=headers)


def get(script: Script, **changes: Any) -> Comment:
    return script.api(**changes).get("/x", Comment, need=READ_COMMENTS)


def test_what_is_sent():
    script = Script([ok()])
    assert get(script).id == 1
    (request,) = script.seen
    assert str(request.url) == "https://api.example/v3/x"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"] == "t/1"
    assert request.headers["x-github-api-version"] == "2022-11-28"


@pytest.mark.parametrize(
    "broken",
    [
        said(500),
        said(502),
        said(503),
        said(504),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("late"),
        httpx.RemoteProtocolError("half"),
        lambda _: httpx.Response(200, text="<html>"),
        lambda _: httpx.Response(200, json=[COMMENT]),
        lambda _: httpx.Response(200, json={"id": "no"}),
        lambda _: httpx.Response(200, content=b"[" * 100_000),
        lambda _: httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"no gzip")
        ),
    ],
)
def test_a_read_is_repeated_and_then_given_up(broken: Answer):
    assert get(Script([broken, broken, ok()])).id == 1
    script = Script([broken])
    with pytest.raises(UnreachableError, match="could not read the pull request's comments"):
        get(script)
    assert len(script.seen) == 4
    assert 7 <= sum(script.slept) <= 11


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 418, 422])
def test_a_refusal_is_final(status: int):
    script = Script([said(status, "because")])
    with pytest.raises(RefusedError, match=f"GitHub said {status} because") as caught:
        get(script)
    assert len(script.seen) == 1
    assert caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("status", "message", "read_only", "words"),
    [
        (401, "Bad credentials", False, "invalid or has expired"),
        (403, "Resource not accessible", False, "{ contents: read, pull-requests: write, statuses: write }`"),
        (403, "Resource not accessible", True, "workflow_run"),
        (403, "Issue is locked.", False, "unlock it"),
        (404, "Not Found", False, "pull-requests: write"),
        (422, "Validation Failed", False, "pull-requests: write"),
    ],
)
def test_a_refusal_names_the_permission(status: int, message: str, read_only: bool, words: str):
    script = Script([said(status, message)])
    with pytest.raises(RefusedError) as caught:
        script.api(read_only=read_only).update("/x", {}, Comment, need=WRITE_COMMENT)
    assert words in caught.value.hint


def test_details_of_a_refusal_are_told():
    body = {
        "message": "Validation Failed",
        "errors": [{"message": "Body is too long"}, "x", {"code": "custom"}],
    }
    with pytest.raises(RefusedError, match="Validation Failed Body is too long x custom"):
        get(Script([ok(body, 422)]))


def test_limits_are_waited_for_until_the_deadline():
    script = Script([said(429, "slow", **{"retry-after": "9"}), ok()])
    assert get(script).id == 1
    assert script.slept == [9]
    script = Script([said(429, "slow", **{"retry-after": "50"})])
    with pytest.raises(UnreachableError, match="rate limit: slow"):
        get(script)
    assert script.slept == [50, 50]


def test_the_deadline_is_for_all_calls_together():
    script = Script(
        [said(429, "slow", **{"retry-after": "70"}), ok(), said(429, "x", **{"retry-after": "70"})]
    )
    api = script.api()
    api.get("/x", Comment, need=READ_COMMENTS)
    with pytest.raises(UnreachableError):
        api.get("/x", Comment, need=READ_COMMENTS)
    script.seconds = 121
    before = len(script.seen)
    with pytest.raises(UnreachableError, match="120 s allowed"):
        api.get("/x", Comment, need=READ_COMMENTS)
    assert len(script.seen) == before


def test_a_lost_post_is_looked_for_before_it_is_repeated():
    script = Script([httpx.ReadError("lost"), ok(status=201)])
    looks: list[int] = []

    def landed() -> Comment | None:
        looks.append(len(script.seen))
        return None

    api = script.api()
    api.create("/x", {"body": "b"}, Comment, need=WRITE_COMMENT, landed=landed)
    assert looks == [1]
    assert [r.method for r in script.seen] == ["POST", "POST"]


def test_a_lost_post_that_landed_is_not_repeated():
    script = Script([httpx.ReadError("lost")])
    found = Comment(id=5, html_url="u")
    made = script.api().create("/x", {}, Comment, need=WRITE_COMMENT, landed=lambda: found)
    assert made is found
    assert len(script.seen) == 1


def test_the_last_lost_post_is_looked_for_too():
    script = Script([said(502)])
    looks: list[None] = []
    with pytest.raises(UnreachableError):
        script.api().create("/x", {}, Comment, need=WRITE_COMMENT, landed=lambda: looks.append(None))
    assert len(script.seen) == len(looks) == 4


def test_writes_are_a_second_apart_reads_are_not():
    script = Script([ok()])
    api = script.api()
    api.update("/x", {}, Comment, need=WRITE_COMMENT)
    api.get("/x", Comment, need=READ_COMMENTS)
    assert script.slept == []
    api.update("/x", {}, Comment, need=WRITE_COMMENT)
    assert script.slept == [1.0]


def pages(count: int) -> Iterator[Answer]:
    for n in range(count):
        link = f'<https://api.example/v3/x?page={n + 2}>; rel="next"' if n + 1 < count else ""
        yield ok([COMMENT | {"id": n}], link=link)


def test_all_pages_are_read():
    script = Script(list(pages(3)))
    found = script.api().pages("/x", Comment, need=READ_COMMENTS, params={"state": "open"})
    assert [c.id for c in found] == [0, 1, 2]
    assert [r.url.query for r in script.seen] == [b"state=open&per_page=100", b"page=2", b"page=3"]


def test_pages_stop_early_where_told_and_never_half_way():
    script = Script(list(pages(9)))
    assert len(script.api().pages("/x", Comment, need=READ_COMMENTS, stop=lambda c: c.id == 1)) == 2
    with pytest.raises(UnreachableError, match="more than 3 pages"):
        Script(list(pages(9))).api().pages("/x", Comment, need=READ_COMMENTS, max_pages=3)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/v3/x?page=2",
        "http://api.example/v3/x",
        "https://api.example:444/x",
        "//evil.example/",
    ],
)
def test_the_token_goes_to_no_other_server(elsewhere: str):
    for answers in (
        [ok([COMMENT], link=f'<{elsewhere}>; rel="next"')],
        [said(302, location=elsewhere)],
        [said(307, location=elsewhere)],
    ):
        script = Script(answers)
        with pytest.raises(PublishError):
            script.api().pages("/x", Comment, need=READ_COMMENTS)
        assert {r.url.host for r in script.seen} == {"api.example"}
        assert {r.url.scheme for r in script.seen} == {"https"}


def test_redirects_of_a_renamed_repository_are_followed():
    script = Script([said(307, location="https://api.example/v3/repositories/1"), ok()])
    assert script.api().update("/x", {"body": "b"}, Comment, need=WRITE_COMMENT).id == 1
    assert [r.method for r in script.seen] == ["PATCH", "PATCH"]
    with pytest.raises(UnreachableError, match="too many redirects"):
        get(Script([said(302, location="/v3/x")]))


def test_a_reply_without_end_is_cut():
    with pytest.raises(UnreachableError, match="more than"):
        get(Script([lambda _: httpx.Response(200, content=b" " * (MAX_REPLY_BYTES + 1))]))


@pytest.mark.parametrize("status", [404, 410, 204])
def test_what_is_gone_is_deleted(status: int):
    script = Script([lambda _: httpx.Response(status)])
    script.api().delete("/x", need=WRITE_COMMENT)
    assert [r.method for r in script.seen] == ["DELETE"]


def test_a_deletion_must_be_confirmed():
    with pytest.raises(UnreachableError, match="204"):
        Script([ok("<html>")]).api().delete("/x", need=WRITE_COMMENT)
    with pytest.raises(RefusedError):
        Script([said(403)]).api().delete("/x", need=WRITE_COMMENT)


@pytest.mark.parametrize("token", ["", " ", "a b", "a\nb", "ghs_ü", "x\x00"])
def test_what_cannot_be_a_token_is_refused_unseen(token: str):
    with pytest.raises(PublishError) as caught:
        Script([ok()]).api(token=token)
    assert not token.strip() or token not in str(caught.value)


def test_the_token_is_never_shown(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    script = Script([said(403, f"no {TOKEN} here")])
    api = script.api()
    with pytest.raises(RefusedError) as caught:
        api.get("/x", Comment, need=READ_COMMENTS)
    broken = Script([httpx.ReadError(f"with {TOKEN}")])
    with pytest.raises(UnreachableError) as lost:
        get(broken)
    shown = [
        repr(api),
        repr(api._session),
        str(caught.value),
        repr(caught.value),
        str(lost.value),
        caplog.text,
    ]
    assert all(TOKEN not in text for text in shown)
    assert "***" in str(caught.value)


@pytest.mark.parametrize(("token", "personal"), [("ghp_a", True), ("github_pat_a", True), ("ghs_a", False)])
def test_whose_token(token: str, personal: bool):
    assert Script([ok()]).api(token=token).is_personal is personal
