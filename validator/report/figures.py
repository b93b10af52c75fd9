"""Numbers as people read them."""

from __future__ import annotations

import math

_UNKNOWN = "\N{EN DASH}"
_LONGEST = 10**15


def milliseconds(value: float | None) -> str:
    """Three significant digits or thereabouts, in milliseconds, without the unit."""
    if value is None:
        return _UNKNOWN
    if not math.isfinite(value):
        return number(value)
    if 0 < value < 0.001:
        return "<0.001"
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def number(value: float | None) -> str:
    """A metric, difference or bound: four significant digits, exponents for the very small and large."""
    if value is None:
        return _UNKNOWN
    if isinstance(value, int):
        return f"{value:,}" if abs(value) < _LONGEST else _in_tens(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "\N{MINUS SIGN}∞"
    if value == 0:
        return "0"
    if value == int(value) and abs(value) < 1e9:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 1e6:
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:.1e}"


def signed(value: float | None) -> str:
    """A difference: as `number`, with its sign."""
    return f"+{number(value)}" if value is not None and value > 0 else number(value)


def _in_tens(value: int) -> str:
    """A whole number that no float may hold, and that Python may refuse to write out."""
    exponent = int(math.log10(abs(value)))
    exponent -= abs(value) < 10**exponent  # the logarithm was rounded up
    tenths = abs(value) // 10 ** (exponent - 1)
    return f"{'-' if value < 0 else ''}{tenths // 10}.{tenths % 10}e+{exponent}"


def count(value: int, word: str) -> str:
    """`1 check`, `2 checks`."""
    plural = word[:-1] + "ies" if word.endswith("y") else word + "s"
    return f"{value:,} {word if value == 1 else plural}"


def size(value: int | None) -> str:
    """Bytes in the unit that fits: B, KiB, MiB, GiB."""
    if value is None:
        return _UNKNOWN
    if value >= _LONGEST:
        return f"{number(value)} B"
    amount = float(value)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.1f} GiB"


def factor(value: float | None) -> str:
    """A ratio, as so many times."""
    return _UNKNOWN if value is None else number(round(value, 2)) + "\N{MULTIPLICATION SIGN}"


def scalar(value: bool | int | float | str | None) -> str:
    """Any value of a result. A missing one is named."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else number(value)
