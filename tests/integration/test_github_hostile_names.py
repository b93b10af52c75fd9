"""Names and texts that a model or a fork chooses reach comment, status, summary, log and outputs harmless."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest

from validator.errors import SampleError
from validator.github.marker import parse
from validator.github.outcome import Outcome

NAMES = [
    "::error::pwned",
    "  ::add-mask::e",
    "##[error]pwned",
    "a\r::error::b\n::set-output name=verdict::pass",
    "verdict<<EOF\npass\nEOF\nverdict=pass",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</td></tr></table> | a | b |\n|---|---|",
    "`` ` ``` @octocat @octo/team #1 GH-1 https://evil.example www.evil.example",
    "[click](javascript:alert(1)) ![x](https://evil.example/p.png)",
    "<!-- model-preflight key=default sha=" + "0" * 40 + " run=999999999 attempt=1 -->",
    "-->\n# Heading\n- item\n> quote",
    "\x1b[31mred\x07\x00\x9b1m",
    "\u202egnp.exe\u2066\u200b\ufeff",
    "%0A::error::x%0D",
    "x" * 1_000,
    "ü漢字🦊" * 50,
    " ",
]


def unseen(text: str) -> set[str]:
    return {c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}}


def log_commands(log: str) -> list[str]:
    """Every command that the runner would find in the log, by the rules of both syntaxes."""
    lines = re.split(r"\r\n|\r|\n", log)
    return [line for line in lines if re.match(r"\s*::[\w-]+.*?::", line) or re.search(r"##\[\w+", line)]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_names(make_job, peer, make_result, make_check, name):
    check = make_check("fail", title=name, message=f"{name} {name}"[:5_000], hint=name)
    result = make_result(
        "fail", name=name[:1_000] or "x", path=name, reason=name, checks=(check,), version=name
    )
    job = make_job()
    report = job.publish(Outcome.judged([result]), check_run=True, status_context="ctx")
    assert report.failed == ()

    log = job.log.getvalue()
    assert len(log_commands(log)) == 1
    assert log_commands(log)[0].startswith("::error ")
    assert unseen(log) == set()

    assert set(job.outputs) == {
        "verdict", "version", "report-path", "result-path", "artifact-path", "parity", "speedup", "comment-url",
    }  # fmt: skip
    assert job.outputs["verdict"] == "fail"

    (status,) = peer.statuses(peer.s["refs"]["feature"])
    assert unseen(status["description"]) == set()
    assert len(status["description"]) <= 140

    (comment,) = peer.comments(1)
    assert parse(comment["body"]).run.run_id == 7
    for body in (comment["body"].split("\n", 1)[1], job.summary):
        assert unseen(body) == set()
        words = re.sub(r"`[^`\n]*`", "", body)  # nothing inside inline code is more than letters
        assert "<script" not in words
        assert "<!--" not in words
        assert "@octocat" not in words
        assert re.search(r"(?<!\\)\]\(javascript", words) is None
    (run,) = peer.check_runs()
    assert all(a["path"] and unseen(a["message"] + a["title"]) == set() for a in peer.annotations[run["id"]])


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_hostile_errors(make_job, peer, name):
    job = make_job()
    job.publish(Outcome.could_not_judge(SampleError(f"s.csv: {name}", hint=name)))
    assert len(log_commands(job.log.getvalue())) == 1
    (comment,) = peer.comments(1)
    assert "<script" not in comment["body"]
    assert comment["body"].count("<!--") == 1


def test_texts_of_100_000_characters(make_job, peer, make_result, make_check):
    long = "|`<b>" * 20_000
    checks = tuple(make_check("fail", id=f"smoke.c{i}", message=long, hint=long) for i in range(5))
    job = make_job()
    report = job.publish(Outcome.judged([make_result("fail", checks=checks, reason=long)]), check_run=True)
    assert report.failed == ()
    assert len(peer.comments(1)[0]["body"]) <= 65_536
    assert max(map(len, job.log.getvalue().splitlines())) < 10_000


def _refusing(peer: Any, message: str) -> None:
    peer.fault("read_only", method="POST", times=-1, message=message)


def test_what_the_server_says_is_no_command_either(make_job, peer, make_result):
    _refusing(peer, "::add-mask::x\n::error::pwned <script>")
    job = make_job()
    job.publish(Outcome.judged([make_result()]))
    assert all(line.startswith("::warning ") for line in log_commands(job.log.getvalue()))
    assert "<script" not in job.summary
