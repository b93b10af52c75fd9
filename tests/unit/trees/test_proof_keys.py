"""Keys order floats, and a cut moved back over a cast is exactly where the cast changes sides."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from validator.trees.proof import keys as k

ANY = st.floats(allow_nan=False, allow_infinity=True)
EDGES = (0.0, 5e-324, 1e-45, 7e-46, 2.0**-149, 1.0, 3.4028234663852886e38, 3.4028235677973366e38, np.inf)


@given(ANY, ANY)
def test_keys_order_as_floats_do(a: float, b: float) -> None:
    assert (a < b) == bool(k.keys(a) < k.keys(b))
    assert (a == b) == bool(k.keys(a) == k.keys(b))
    assert float(k.floats(k.keys(a))) == a


@given(ANY)
def test_the_next_key_is_the_next_float(a: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        if a == np.inf:
            return
        assert float(k.floats(k.keys(a) + 1)) == np.nextafter(a, np.inf)


def _holds(cut: float) -> None:
    before = k.before_rounding(k.keys(cut))
    with np.errstate(over="ignore", under="ignore"):
        if int(before) >= -k.INFINITY:
            assert float(np.float32(k.floats(before))) <= cut
        if int(before) < k.INFINITY:
            assert float(np.float32(k.floats(before + 1))) > cut


@given(ANY)
def test_a_cut_before_rounding(cut: float) -> None:
    _holds(cut)


def test_cuts_at_the_edges_of_float32() -> None:
    for edge in EDGES:
        for cut in (edge, -edge, np.nextafter(edge, 0), np.nextafter(edge, np.inf)):
            _holds(float(cut))


@given(ANY)
def test_float32_neighbours(a: float) -> None:
    down, up = float(k.floats(k.down_to_float32(k.keys(a)))), float(k.floats(k.up_to_float32(k.keys(a))))
    with np.errstate(over="ignore"):
        assert float(np.float32(down)) == down <= a <= up == float(np.float32(up))
        if down < up:
            assert np.nextafter(np.float32(down), np.float32(np.inf)) == np.float32(up)
