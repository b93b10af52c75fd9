"""What a stage needs: candidate requests, and the time that takes at today's traffic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from validator.rollout.judge.bounds import PROMOTE_CONSTANT, looks_bound, newcombe
from validator.rollout.judge.windows import LOOKS

#: Chance that equal arms pass at the last look, were it the only one and planned for exactly.
POWER = 0.9
#: Planned requests of a confirming stage as a multiple of that: with it equal arms pass in 99 of 100.
INFLATION = 2.0
_LARGEST = 10**9
_Z_POWER = 1.2815515655446004


def requests_needed(share: float, margin: float, candidate_share: float) -> int:
    """Candidate requests at which equal arms are shown to be within the margin with probability 0.9.

    Parameters
    ----------
    share : float
        The champion's share of events, in [0, 1).
    margin : float
        The allowed difference.
    candidate_share : float
        The candidate's part of the traffic, in (0, 1).

    Returns
    -------
    int
        At most a thousand million: whatever needs more cannot be shown.

    Notes
    -----
    The smallest n, to one per cent, at which Newcombe's upper bound for equal shares, with the z of the last planned
    look, plus 1.28 standard errors is below the margin.
    """
    share = min(max(share, 1e-6), 1 - 1e-6)
    ratio = (1 - candidate_share) / candidate_share
    z = float(looks_bound(LOOKS, PROMOTE_CONSTANT))
    sizes = 50.0 * 1.01 ** np.arange(math.ceil(math.log(_LARGEST / 50) / math.log(1.01)) + 1)
    base = sizes * ratio
    _, upper = newcombe(sizes * share, sizes, base * share, base, z)
    error = np.sqrt(share * (1 - share) * (1 / sizes + 1 / base))
    enough = upper + _Z_POWER * error < margin
    return int(sizes[enough.argmax()]) if enough.any() else _LARGEST


def planned_requests(shares_and_margins: Sequence[tuple[float, float]], candidate_share: float) -> int:
    """Candidate requests at the last look of a confirming stage: twice what the hardest metric needs."""
    hardest = max(requests_needed(share, margin, candidate_share) for share, margin in shares_and_margins)
    return math.ceil(INFLATION * hardest)
