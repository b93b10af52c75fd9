"""Several looks at one ratio of times, each in fresh processes, and what they say together.

One look sees one pair of processes. Two processes of one model differ by a few per cent, for where their memory lies,
and what else happens on the machine during a look can shift all of it; neither shows in that look's own interval. So
no look counts alone: looks are taken until those that say one thing lead by two over those that say the other. No
look erases another, it takes two more to outvote one. Where one look in 50 is wrong, about one verdict in 2,500 is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from validator.checks.latency.judging import read_speed
from validator.results import Ratio

MOST_LOOKS = 5
_LEAD = 2
_VOTES = {"within": 1, "inconclusive": 0, "over": -1}


def look_until_settled(first: Ratio, look: Callable[[], Ratio | None], least: float) -> Ratio:
    """The ratio that the looks show together: its interval contains `least` unless one side leads.

    Parameters
    ----------
    first
        What the first look saw.
    look
        Takes another one, in fresh processes; None where that is not possible, which ends the looking.
    least
        The least that the ratio may be, below 1.

    Returns
    -------
    Ratio
        The medians of value and bounds where one side leads by two and they say the same; the first look where it
        was the only one; else the median of the values, between the lowest and the highest bound.
    """
    looks = [first]
    while not _is_settled(looks, least) and len(looks) < MOST_LOOKS:
        another = look()
        if another is None:
            break
        looks.append(another)
    return first if len(looks) == 1 else _together(looks, least)


def _is_settled(looks: Sequence[Ratio], least: float) -> bool:
    return abs(_lead(looks, least)) >= _LEAD


def _lead(looks: Sequence[Ratio], least: float) -> int:
    """By how many more looks the ratio is within than over; negative the other way round."""
    return sum(_VOTES[read_speed(look, least)] for look in looks)


def _together(looks: Sequence[Ratio], least: float) -> Ratio:
    value, low, high = (median(getattr(look, name) for look in looks) for name in ("value", "low", "high"))
    middle = Ratio(value=value, low=low, high=high, confidence=looks[0].confidence)
    lead = _lead(looks, least)
    if abs(lead) >= _LEAD and _VOTES[read_speed(middle, least)] * lead > 0:
        return middle
    lowest, highest = min(look.low for look in looks), max(look.high for look in looks)
    return middle.model_copy(update={"low": lowest, "high": highest})
