"""Small pieces of PromQL. Values become string literals, whatever is in them."""

from __future__ import annotations

import json

_OPERATORS = ("=", "!=", "=~", "!~")


def select(metric: str, *matchers: tuple[str, str, str], over: str = "", offset: str = "") -> str:
    """A selector: `matchers` are (label, operator, value); `over` makes it a range.

    >>> select("up", ("job", "=", 'a"b'), over="5m")
    'up{job="a\\\\"b"}[5m]'
    """
    if any(operator not in _OPERATORS for _, operator, _ in matchers):
        raise ValueError(f"{matchers} hold an operator that is none")
    inside = ",".join(f"{label}{operator}{quoted(value)}" for label, operator, value in matchers)
    return f"{metric}{{{inside}}}{f'[{over}]' if over else ''}{f' offset {offset}' if offset else ''}"


def quoted(value: str) -> str:
    """A PromQL string literal: JSON's escapes are among Go's, which PromQL takes."""
    return json.dumps(value, ensure_ascii=False)


def number(value: float) -> str:
    """A number as PromQL reads it, without noise in its last digits."""
    return f"{value:.10g}"
