"""When a reply of GitHub's means "later", and how much later: pure.

GitHub's documented order: `Retry-After`, then `x-ratelimit-reset` where nothing remains, else a minute, growing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

ATTEMPTS_AFTER_FAILURE = 4
ATTEMPTS_UNDER_LIMIT = 6
SECONDARY_WAIT_SECONDS = 60.0
LONGEST_BACKOFF_SECONDS = 30.0
TRANSIENT = frozenset({500, 502, 503, 504})


def is_limited(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Whether a refusal is a rate limit rather than a missing permission; GitHub uses 429, 403 and 422 for it."""
    if status == 429:
        return True
    text = message.lower()
    if status == 403:
        return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0" or "rate limit" in text
    return status == 422 and "submitted too quickly" in text


def limit_wait(headers: Mapping[str, str], attempt: int, now: datetime) -> float:
    """Seconds to wait under a limit, at least one. `attempt` counts from 0; `now` serves where no `Date` came along.

    The server's own `Date` is the clock for its `x-ratelimit-reset`, so that a runner's wrong clock does no harm.
    """
    after = headers.get("retry-after", "").strip()
    if _is_number(after):
        return max(1.0, float(after))
    server_now = _date(headers.get("date", "")) or now
    if (moment := _date(after)) is not None:
        return max(1.0, (moment - server_now).total_seconds())
    reset = headers.get("x-ratelimit-reset", "")
    if headers.get("x-ratelimit-remaining") == "0" and _is_number(reset):
        return max(1.0, float(reset) - server_now.timestamp() + 1.0)
    return SECONDARY_WAIT_SECONDS * 2.0**attempt


def backoff(attempt: int, jitter: random.Random) -> float:
    """Seconds to wait after a failure of the server or the network: 1, 2, 4 ... with up to a half added."""
    wait: float = min(LONGEST_BACKOFF_SECONDS, 2.0**attempt)
    return wait * (1.0 + jitter.random() / 2.0)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
