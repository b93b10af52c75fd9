from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from validator.github.retry import backoff, is_limited, limit_wait

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "headers", "message", "limited"),
    [
        (429, {}, "", True),
        (403, {"retry-after": "3"}, "", True),
        (403, {"x-ratelimit-remaining": "0"}, "", True),
        (403, {}, "You have exceeded a secondary rate limit.", True),
        (422, {}, "Validation Failed: was submitted too quickly", True),
        (403, {"x-ratelimit-remaining": "12"}, "Resource not accessible by integration", False),
        (422, {}, "Validation Failed", False),
        (404, {"retry-after": "3"}, "", False),
    ],
)
def test_a_limit_is_told_from_a_missing_permission(status, headers, message, limited):
    assert is_limited(status, headers, message) is limited


def test_retry_after_comes_first_then_the_reset_then_a_minute():
    reset = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 90)}
    assert limit_wait({"retry-after": "7", **reset}, 0, NOW) == 7
    assert limit_wait(reset, 0, NOW) == 91
    assert limit_wait({"x-ratelimit-remaining": "5", "x-ratelimit-reset": "99"}, 0, NOW) == 60
    assert limit_wait({}, 0, NOW) == 60
    assert limit_wait({}, 1, NOW) == 120
    assert limit_wait({"retry-after": "0"}, 0, NOW) == 1


def test_the_servers_clock_counts_not_ours():
    server = NOW + timedelta(hours=5)
    headers = {
        "date": format_datetime(server, usegmt=True),
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(int(server.timestamp()) + 10),
    }
    assert limit_wait(headers, 0, NOW) == 11
    after = {
        "date": headers["date"],
        "retry-after": format_datetime(server + timedelta(seconds=8), usegmt=True),
    }
    assert limit_wait(after, 0, NOW) == 8


@pytest.mark.parametrize("after", ["soon", "-5", "1.5", "²"])
def test_a_retry_after_that_is_none_waits_a_minute(after):
    assert limit_wait({"retry-after": after}, 0, NOW) == 60


def test_backoff_grows_and_is_bounded():
    jitter = random.Random(1)
    waits = [backoff(n, jitter) for n in range(12)]
    assert 1 <= waits[0] <= 1.5
    assert 4 <= waits[2] <= 6
    assert max(waits) <= 45
