"""The rule of drift: a pure function of the reference's profile and the counts of the data at hand.

Its answer does not depend on how many rows there happen to be: a shift has to be large (PSI above 0.2) *and*
larger than what these rows and the reference's own ups and downs would show without any. Where the two cannot be
told apart the answer is *insufficient*, never *ok*.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from validator.profile.windows import ALPHA, f_quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from validator.profile.columns import Column, Floor

Status = Literal["fail", "insufficient", "warn", "ok"]
STATUSES: tuple[Status, ...] = ("fail", "insufficient", "warn", "ok")
#: A shift of this PSI is drift, of the lower one worth a look: the customary limits.
PSI_FAIL, PSI_WARN = 0.2, 0.1
#: How much more of the rows may have a special value.
SPECIAL_MARGIN = 0.01
EXPECTED = 5.0
SPECIAL_TESTS = 4
#: Where so many rows have left the range, that is no matter of chance any more: the model has seen nothing like them.
_NEARLY_ALL = 0.9
_UNCORRELATED = 4.0
#: Further terms of a tail add nothing.
_TERMS = 2_000


@dataclass(frozen=True, kw_only=True)
class Observed:
    """What the data at hand shows of one column.

    `slots` are its counts by bin and special value; `lag` the correlation of one row's bin with the next one's in
    `lag_rows` rows (0 where nobody looked); `design` how many rows count as one, where rows share a group.
    """

    slots: Mapping[str, int]
    lag: float = 0.0
    lag_rows: int = 0
    design: float = 1.0

    @property
    def rows(self) -> int:
        """All rows, missing ones included."""
        bins = (count for name, count in self.slots.items() if name == "other" or name.isdigit())
        return sum(bins) + self.slots["missing"]


@dataclass(frozen=True, kw_only=True)
class SpecialVerdict:
    """The share of rows with a special value: `before` in the reference, `now` in the data.

    `low` is the lower bound of the increase. Above 0.01 it fails, if it also holds where few rows are independent
    or nearly every row is affected; else it warns.
    """

    name: str
    before: float
    now: float
    low: float
    status: Literal["fail", "warn", "ok"]


@dataclass(frozen=True, kw_only=True)
class ColumnVerdict:
    """What the rule says of one column, and why.

    `psi` and `floor` are None where shape cannot be judged at all. `blind` says that no rows of this number could
    ever show a shape that the floor lets through. `rows_needed` is how many would suffice; None where no
    number does with this reference.
    """

    name: str
    status: Status
    psi: float | None
    floor: float | None
    special: tuple[SpecialVerdict, ...]
    blind: bool
    rows: int
    rows_needed: int | None
    reason: str

    @property
    def shape(self) -> Status:
        """The verdict on the shape alone."""
        if self.psi is None or self.floor is None or self.reason in _UNJUDGED:
            return "insufficient"
        return shape_status(self.psi, self.floor)


FEW_REFERENCE = "the reference has fewer than 400 rows"
FEW_ROWS = "too few rows to tell a shift from chance"
NO_ROWS = "no row has a value"
NO_REFERENCE = "the reference holds no value"
UNORDERED = "the reference is not in time order, but the data is"
_UNJUDGED = (FEW_REFERENCE, NO_ROWS, NO_REFERENCE, UNORDERED)


def judge_column(
    column: Column, seen: Observed, *, n_columns: int, independent: bool = False
) -> ColumnVerdict:
    """Judge one column.

    Parameters
    ----------
    column
        The reference: a feature or output of a profile.
    seen
        The counts of the data at hand, in the same bins.
    n_columns
        How many columns share the 1 % of false alarms: all features and outputs (times windows).
    independent
        The caller vouches that rows are independent, in the reference and in the data: then the reference's windows
        are not looked at.

    Notes
    -----
    The floor is [τ²(1 + 1/K) + (B-1)(1/n + 1/m)] · F(nu, K-1) at 1 - alpha / `n_columns`, with τ² and nu from
    K windows of the reference about as long as the data; with `independent` it is (1/n + 1/m) · chi2(B-1) at the
    same level. Special values are compared by Newcombe's interval (Statist. Med. 17, 1998, method 10) on counts
    divided by the design effect that the same windows show.
    """
    floor_at = _floor_for(column, seen, independent=independent)
    unordered = not independent and seen.design == 1.0 and _lacks_order(column, seen)
    special = _judge_special(column, seen, floor_at, n_columns, independent=independent, unordered=unordered)
    psi, floor, blind, reason = _judge_shape(column, seen, floor_at, n_columns, independent)
    reason = UNORDERED if unordered and not reason else reason
    status: Status = "insufficient" if psi is None or floor is None else shape_status(psi, floor)
    if reason in _UNJUDGED:
        status = "insufficient"
    if any(one.status == "fail" for one in special):
        status = "fail"
    elif status == "ok" and any(one.status == "warn" for one in special):
        status = "warn"
    return ColumnVerdict(
        name=column.name,
        status=status,
        psi=psi,
        floor=floor,
        special=special,
        blind=blind,
        rows=seen.rows,
        rows_needed=rows_needed(column, n_columns=n_columns, independent=independent, design=seen.design),
        reason=reason or (FEW_ROWS if status == "insufficient" else ""),
    )


class HasStatus(Protocol):
    """What was judged: a column, one kind of special value, a window."""

    @property
    def status(self) -> Status: ...


def overall(verdicts: Iterable[HasStatus]) -> Status:
    """The worst of several verdicts: drift before what cannot be known, that before a warning.

    Parameters
    ----------
    verdicts : iterable of ColumnVerdict, or whatever has a `status`

    Returns
    -------
    {"fail", "insufficient", "warn", "ok"}
        `insufficient` where there are no verdicts: absence of data is never a pass.

    Examples
    --------
    >>> from validator.drift import overall
    >>> overall([])
    'insufficient'
    """
    found = {verdict.status for verdict in verdicts}
    return next((status for status in STATUSES if status in found), "insufficient")


def shape_status(psi: float, floor: float) -> Status:
    """The three values of a PSI and its floor, and the warning."""
    if psi > floor and psi > PSI_FAIL:
        return "fail"
    if floor > PSI_FAIL:
        return "insufficient"
    return "warn" if psi > floor and psi > PSI_WARN else "ok"


def psi_of(before: NDArray[Any], now: NDArray[Any]) -> float:
    """Population stability index of counts [B] in the same bins, half a row added to each bin."""
    p = (before + 0.5) / (before.sum() + 0.5 * len(before))
    q = (now + 0.5) / (now.sum() + 0.5 * len(now))
    return float(((p - q) * np.log(p / q)).sum())


def merged(before: NDArray[Any], now: NDArray[Any], *, ordered: bool) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both counts with bins put together until each expects five rows in the smaller of the two.

    `ordered` bins are joined with their neighbours, others with the smallest.
    """
    expected = before * min(1.0, now.sum() / max(before.sum(), 1))
    order = np.arange(len(before)) if ordered else np.argsort(-expected, kind="stable")
    groups: list[list[int]] = [[]]
    for i in order.tolist():
        if groups[-1] and expected[groups[-1]].sum() >= EXPECTED:
            groups.append([])
        groups[-1].append(i)
    if len(groups) > 1 and expected[groups[-1]].sum() < EXPECTED:
        last = groups.pop()
        groups[-1] += last
    pick = [np.array(group) for group in groups]
    return np.array([before[g].sum() for g in pick]), np.array([now[g].sum() for g in pick])


def _judge_shape(
    column: Column, seen: Observed, floor_at: Floor | None, n_columns: int, independent: bool
) -> tuple[float | None, float | None, bool, str]:
    """PSI, floor, whether blind, and why shape cannot be judged (empty where it can)."""
    before = np.array(column.counts)
    now = np.array([seen.slots[name] for name in column.bins])
    if not now.sum():
        return None, None, False, NO_ROWS
    if not before.sum() or getattr(column, "minimum", 0.0) is None:
        return None, None, False, NO_REFERENCE
    if len(column.bins) == 1:
        return 0.0, 0.0, False, ""
    few, many = merged(before, now, ordered=hasattr(column, "edges"))
    if len(few) < 2:
        return None, None, True, FEW_ROWS
    psi = psi_of(few, many)
    if floor_at is None and not independent:
        return psi, None, False, FEW_REFERENCE
    n, m = now.sum() / seen.design, before.sum() / seen.design
    floor = floor_value(floor_at, bins=len(few), n=n, m=m, n_columns=n_columns)
    blind = floor >= _largest_psi(few, int(now.sum()))
    return psi, floor, blind, ""


def floor_value(floor: Floor | None, *, bins: int, n: float, m: float, n_columns: int) -> float:
    """The PSI that n rows against m of the reference reach by chance in 1 % / `n_columns` of all cases.

    Without a `Floor`, for independent rows.
    """
    alpha, counting = ALPHA / n_columns, (bins - 1) * (1 / n + 1 / m)
    if floor is None:
        return _chi_squared(alpha, bins - 1) * (1 / n + 1 / m)
    directions = min(floor.directions, bins - 1)
    factor = f_quantile(alpha, directions, floor.windows)
    return (floor.between * (1 + 1 / floor.windows) + counting) * factor


def _floor_for(column: Column, seen: Observed, *, independent: bool) -> Floor | None:
    """The reference's windows that are as long as the data, or the next shorter ones."""
    if independent or not column.floors:
        return None
    wanted = column.rows / max(seen.rows, 1)
    return _level(column.floors, wanted)


def _level(floors: tuple[Floor, ...], wanted: float) -> Floor:
    return next((floor for floor in floors if floor.windows >= wanted), floors[-1])


def _lacks_order(column: Column, seen: Observed) -> bool:
    """Whether rows follow from each other in the data, and nothing of the kind shows in the reference."""
    if column.lag_rows < 3 or seen.lag_rows < 3:
        return False
    none_there = abs(column.lag) < _UNCORRELATED / math.sqrt(column.lag_rows)
    return none_there and seen.lag > _UNCORRELATED * math.sqrt(1 / seen.lag_rows + 1 / column.lag_rows)


def _largest_psi(before: NDArray[Any], n: int) -> float:
    """The largest PSI that n rows can show: all of them in the rarest bin."""
    now = np.zeros(len(before))
    now[int(np.argmin(before))] = n
    return psi_of(before, now)


def _judge_special(
    column: Column,
    seen: Observed,
    floor_at: Floor | None,
    n_columns: int,
    *,
    independent: bool,
    unordered: bool,
) -> tuple[SpecialVerdict, ...]:
    n, m = seen.rows, column.rows
    if not n or not m or (floor_at is None and not independent):
        return ()
    alpha = ALPHA / (SPECIAL_TESTS * n_columns)
    z = _normal_quantile(1 - alpha)
    found = []
    for name in column.specials:
        before, now = column.special[name], seen.slots[name]
        n_design, m_design = _designs(floor_at, name, len(column.bins), n, m, seen.design)
        low = newcombe_low(now / n_design, n / n_design, before / m_design, m / m_design, z)
        # A series stays beyond its range for longer than in a bin within it: simulated, at most twice as long.
        n_range = n_design * min(2.0, n_design) if name in ("below", "above") else n_design
        exact = exact_low(now / n_range, n / n_range, alpha)
        single = n_design == 1.0 or exact > before / m + SPECIAL_MARGIN
        certain = now / n >= _NEARLY_ALL or (single and not unordered)
        certain = certain and by_chance(now, n, before, m) < alpha
        status: Literal["fail", "warn", "ok"] = "fail" if certain else "warn"
        if low <= SPECIAL_MARGIN:
            status = "ok"
        found.append(SpecialVerdict(name=name, before=before / m, now=now / n, low=low, status=status))
    return tuple(found)


def _designs(floor: Floor | None, name: str, bins: int, n: int, m: int, design: float) -> tuple[float, float]:
    """How many rows count as one in the data and in the reference, whose windows average their differences.

    Leaving the range goes along with the column's ups and downs; values that are missing, zero or unseen go along
    with their own, and where the reference has none at all, each row of them is news.
    """
    if floor is None:
        return design, design
    spread = floor.special.get(name, 0.0)
    if name in ("below", "above"):
        spread = max(spread, floor.between / max(1, bins - 1))
    return max(design, 1 + spread * n), max(design, 1 + spread * m / floor.windows)


def newcombe_low(s1: float, n1: float, s2: float, n2: float, z: float) -> float:
    """Lower bound of s1/n1 - s2/n2 from Wilson's bounds of each (counts need not be whole)."""
    p1, p2 = s1 / n1, s2 / n2
    low, high = _wilson(p1, n1, -z), _wilson(p2, n2, z)
    return p1 - p2 - math.sqrt((p1 - low) ** 2 + (high - p2) ** 2)


def exact_low(s: float, n: float, alpha: float) -> float:
    """Clopper and Pearson's lower bound of s/n (counts need not be whole), true for few rows too."""
    from scipy import special

    return float(special.betaincinv(s, n - s + 1, alpha)) if s > 0 else 0.0


def by_chance(now: int, n: int, before: int, m: int) -> float:
    """Fisher's exact probability that of n rows so many or more have what `now` + `before` of n + m rows have.

    Newcombe's interval is an approximation that a single row of few can pass.
    """
    from scipy import special

    total = now + before
    if now * m <= before * n:
        return 1.0
    some = np.arange(now, min(n, total, now + _TERMS) + 1)

    def ways(of: Any, taken: Any) -> Any:
        return special.gammaln(of + 1) - special.gammaln(taken + 1) - special.gammaln(of - taken + 1)

    return float(np.exp(ways(n, some) + ways(m, total - some) - ways(n + m, total)).sum())


def _chi_squared(alpha: float, degrees: int) -> float:
    """The point that chi-squared exceeds with probability `alpha`."""
    from scipy import special

    return float(special.chdtri(degrees, alpha))


def _wilson(p: float, n: float, z: float) -> float:
    return (p + z * z / (2 * n) + z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / (1 + z * z / n)


def _normal_quantile(p: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(p)


def rows_needed(
    column: Column, *, n_columns: int, independent: bool = False, design: float = 1.0
) -> int | None:
    """The fewest rows with which the floor is no higher than 0.2; None where no number of rows suffices."""
    bins, m = int(np.count_nonzero(column.counts)), sum(column.counts)
    if bins < 2 or not m:
        return 1 if m else None
    least = math.ceil(EXPECTED * bins)
    if independent:
        factor = _chi_squared(ALPHA / n_columns, bins - 1) / (bins - 1)
        return _enough(factor, 0.0, bins, m / design, design, least)
    for i, floor in enumerate(reversed(column.floors)):
        factor = f_quantile(ALPHA / n_columns, min(floor.directions, bins - 1), floor.windows)
        between = floor.between * (1 + 1 / floor.windows)
        shortest = least if i == 0 else max(least, math.ceil(m / floor.windows))
        found = _enough(factor, between, bins, m / design, design, shortest)
        longer = column.floors[len(column.floors) - 2 - i] if i + 1 < len(column.floors) else None
        if found is not None and (longer is None or found < m / longer.windows):
            return found
    return None


def _enough(factor: float, between: float, bins: int, m: float, design: float, least: int) -> int | None:
    room = PSI_FAIL / factor - between - (bins - 1) / m
    return max(least, math.ceil(design * (bins - 1) / room)) if room > 0 else None
