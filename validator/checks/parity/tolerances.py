"""How far native and ONNX outputs may be apart, by how the ONNX model computes, and why that far and no further."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The largest relative difference of an output; values below 1 count as 1."""

    value: float
    reason: str


_TOLERANCES = {
    ("exact", "float64"): Tolerance(
        value=1e-9,
        reason="exact trees in double: the sums are the same, the transform's exponential may differ by some ulps",
    ),
    ("exact", "float32"): Tolerance(
        value=1e-5,
        reason="exact trees in float32: the same leaves, whose sum of float32 numbers may round otherwise",
    ),
    ("skl2onnx", "float64"): Tolerance(
        value=1e-7, reason="operators in double: matrix products are summed in another order"
    ),
    ("skl2onnx", "float32"): Tolerance(
        value=1e-4,
        reason="operators in float32, since not all exist in double: inputs, weights and sums round to 24 bits",
    ),
    ("none", "float64"): Tolerance(value=1e-7, reason="an ONNX file made elsewhere, with double inputs"),
    ("none", "float32"): Tolerance(
        value=1e-4, reason="an ONNX file made elsewhere, with float32 inputs: they round to 24 bits"
    ),
}
_OTHER = Tolerance(value=1e-4, reason="an ONNX file with inputs of an unusual type")


def tolerance_for(
    method: str,
    input_dtype: str,
    chosen: float | None,
    *,
    most: float | None = None,
    single: Sequence[str] = (),
    native: str = "",
    inside: bool = False,
) -> Tolerance:
    """The user's tolerance, else the one for this kind of conversion; in any case at most `most`, a policy's.

    `single` are operators in it that compute in float32 although the input is double, `native` is the dtype of the
    native model's own answers; `inside` it may be one that answers in float32 whatever becomes of that.
    """
    if chosen:
        usual = Tolerance(value=chosen, reason="set by `tolerance`")
    else:
        usual = _by_kind(method, input_dtype, single=single, native=native, inside=inside)
    if most is None or usual.value <= most:
        return usual
    return Tolerance(value=most, reason=f"the policy's bound; without it {usual.value:g}: {usual.reason}")


def _by_kind(method: str, input_dtype: str, *, single: Sequence[str], native: str, inside: bool) -> Tolerance:
    if single and method != "exact" and input_dtype == "float64":
        return Tolerance(value=1e-4, reason=f"operators that compute in float32 alone: {', '.join(single)}")
    if native == "float32" and method == "skl2onnx" and input_dtype == "float64":
        return Tolerance(
            value=1e-5,
            reason="the native library answers in float32: its sums and exponentials round to 24 bits",
        )
    if inside and method == "skl2onnx" and input_dtype == "float64":
        return Tolerance(
            value=1e-5,
            reason="a model inside answers in float32: its sums and exponentials round to 24 bits",
        )
    return _TOLERANCES.get((method, input_dtype), _OTHER)
