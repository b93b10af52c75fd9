"""The ONNX bytes: what onnx itself reads in them, thresholds and labels at their edges, and what is refused."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.unit.trees.chain import chain
from validator.errors import ConversionError
from validator.libraries.convert import convert_trees
from validator.trees import writer
from validator.trees.answer_nodes import binary_cut
from validator.trees.ensemble import (
    MAX_DEPTH,
    BranchMode,
    CategoryRule,
    LabelRule,
    Transform,
    TransformKind,
    TreeEnsemble,
)
from validator.trees.mirror import turned
from validator.trees.onnx_wire import packed_varints
from validator.trees.proof import Status, prove
from validator.trees.tree_node import float32_cut, foreseen_bytes
from validator.trees.walk import raw_scores
from validator.trees.writer import write

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
FINITE64 = st.floats(allow_nan=False, allow_infinity=False)
FINITE32 = st.floats(allow_nan=False, allow_infinity=False, width=32)


def category_node(members: list[float], rule: CategoryRule) -> TreeEnsemble:
    return chain(
        1,
        threshold=np.zeros(1),
        comparison=np.full(1, BranchMode.MEMBER, dtype=np.uint8),
        category_set=np.zeros(1, dtype=np.int32),
        set_indptr=np.array([0, len(members)]),
        set_values=np.array(members, dtype=np.float64),
        category_rule=rule,
    )


def run(ensemble: TreeEnsemble, rows: np.ndarray) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        convert_trees(ensemble, str(rows.dtype)).data, providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_outputs()]
    return dict(zip(names, session.run(None, {"features": rows}), strict=True))


@pytest.mark.parametrize("width", [1, 40])
def test_size_is_foreseen_and_what_no_file_can_hold_refused(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = chain(3_000)
    trees = replace(
        trees,
        n_targets=width,
        base_score=np.zeros(width),
        leaf_value=np.repeat(trees.leaf_value, width, axis=1),
    )
    size = len(write(trees, input_dtype="float64"))
    assert 0.95 * size < foreseen_bytes(trees) <= size
    monkeypatch.setattr(writer, "MOST_BYTES", size // 2)
    with pytest.raises(
        ConversionError, match=r"3,000 splits and 3,001 leaves .* GiB, and ONNX ends at 2 GiB"
    ):
        write(trees, input_dtype="float64")


def test_onnx_finds_the_file_valid_and_the_bytes_never_change() -> None:
    first = write(chain(3), input_dtype="float64", metadata={"version": "v1", "contract": "{}"})
    assert first == write(chain(3), input_dtype="float64", metadata={"contract": "{}", "version": "v1"})
    model = onnx.load_from_string(first)
    onnx.checker.check_model(model, full_check=True)
    assert {prop.key: prop.value for prop in model.metadata_props} == {"version": "v1", "contract": "{}"}
    assert model.producer_name == "model-preflight"
    signature = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert signature == {"features": ["N", 1], "prediction": ["N"]}


def test_unknown_input_type_is_refused() -> None:
    with pytest.raises(ConversionError, match="int8"):
        convert_trees(chain(1), "int8")


def test_the_input_type_follows_the_native_library() -> None:
    assert convert_trees(chain(1)).input_dtype == "float64"
    assert convert_trees(chain(1, comparison_dtype="float32")).input_dtype == "float32"


@given(hnp.arrays(np.int64, st.integers(0, 50), elements=st.integers(0, (1 << 35) - 1)))
def test_packed_varints_are_protobufs(values: np.ndarray) -> None:
    attribute = onnx.AttributeProto(ints=values.tolist())
    plain = attribute.SerializeToString()
    body = packed_varints(values)
    size = len(body)
    head = bytes([8 << 3 | 2]) + (bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7]))
    parsed = onnx.AttributeProto.FromString(head + body if len(values) else b"")
    assert parsed.SerializeToString() == plain


def test_packed_varints_refuse_what_they_cannot_hold() -> None:
    with pytest.raises(ValueError, match="negative"):
        packed_varints(np.array([-1]))


@settings(max_examples=300)
@given(threshold=st.one_of(FINITE64, FINITE32), value=FINITE32, strict=st.booleans(), near=st.booleans())
def test_float32_cuts_part_float32_numbers_alike(
    threshold: float, value: float, strict: bool, near: bool
) -> None:
    with np.errstate(over="ignore"):
        x = np.float32(threshold) if near else np.float32(value)
    cut = float32_cut(np.array([threshold]), strict=np.array([strict]))[0]
    expected = float(x) < threshold if strict else float(x) <= threshold
    assert bool(x < cut if strict else x <= cut) == expected


@settings(max_examples=300)
@given(threshold=FINITE64, value=FINITE64, strict=st.booleans(), step=st.sampled_from([None, -1, 0, 1]))
def test_a_mirrored_test_is_the_opposite_of_the_test(
    threshold: float, value: float, strict: bool, step: int | None
) -> None:
    x = value if step is None else (threshold if step == 0 else math.nextafter(threshold, math.inf * step))
    if math.isinf(x):
        return
    other = turned(np.array([threshold]), np.array([strict]))[0]
    assert (-x < other if strict else -x <= other) != (x < threshold if strict else x <= threshold)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [1.0, 0.3, 2.0])
def test_the_binary_cut_is_where_the_label_changes(dtype: str, factor: float) -> None:
    transform = Transform(kind=TransformKind.SIGMOID, factor=factor, dtype=dtype)
    number = np.dtype(dtype).type
    cut = number(binary_cut(transform, LabelRule.ARGMAX_PROBABILITY))

    def is_one(score: Any) -> bool:
        p = number(1) / (number(1) + number(math.exp(float(number(-factor * float(score))))))
        return bool(p > number(1) - p)

    assert cut >= 0
    assert not is_one(cut)
    assert is_one(np.nextafter(cut, number(1), dtype=dtype))


def test_cuts_on_the_raw_score() -> None:
    assert binary_cut(Transform(), LabelRule.RAW_POSITIVE) == 0.0
    assert binary_cut(Transform(), LabelRule.RAW_NOT_NEGATIVE) == -5e-324
    assert binary_cut(Transform(kind=TransformKind.STEP), LabelRule.PROBABILITY_ABOVE_HALF) == 0.0


@pytest.mark.parametrize("base_first", [True, False])
@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bases_divisors_and_vector_leaves(base_first: bool, width: int, dtype: str) -> None:
    rng = np.random.default_rng(2)
    ensemble = chain(
        5, n_targets=width, leaf_value=rng.normal(size=(6, width)), base_score=rng.normal(size=width),
        base_first=base_first, divisor=3.0, comparison_dtype=dtype, accumulation_dtype=dtype,
        transform=Transform(dtype=dtype),
    )  # fmt: skip
    ensemble = replace(
        ensemble,
        leaf_value=ensemble.leaf_value.astype(dtype).astype(np.float64),
        base_score=ensemble.base_score.astype(dtype).astype(np.float64),
    )
    rows = np.linspace(-1, 6, 29).astype(dtype)[:, None]
    found = run(ensemble, rows)["prediction"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.reshape(-1, width), raw_scores(ensemble, rows))


@pytest.mark.parametrize(
    ("rule", "members", "inside", "outside"),
    [
        (
            CategoryRule.TRUNCATE,
            [0.0, 3.0],
            [-0.5, 0.0, 0.9, 3.7],
            [-1.0, -3.0, 1.0, 4.0, np.nan, np.inf, -np.inf],
        ),
        (
            CategoryRule.TRUNCATE_NON_NEGATIVE,
            [0.0, 3.0],
            [0.0, -0.0, 0.9, 3.7],
            [-0.5, -3.0, 1.0, np.nan, np.inf],
        ),
        (CategoryRule.EXACT, [-2.0, 0.0, 3.0], [-2.0, -0.0, 3.0], [-2.5, 0.5, 3.7, np.nan, np.inf]),
        (CategoryRule.EXACT, [-1.0, 4.0], [-1.0, 4.0], [-0.5, 5.0, 4.5, -1.5, 2.0**32 - 1, -np.inf]),
        (CategoryRule.EXACT, [0.0, 5.0, 40.0, 63.0], [0.0, 63.0], [0.5, 5.5, 62.9, 2.0**31, 2.0**32 + 5]),
        (CategoryRule.TRUNCATE, [], [], [0.0, 1.0, -1.0, np.nan, np.inf, -np.inf]),
        (CategoryRule.EXACT, [], [], [0.0, 0.5, np.nan, -np.inf]),
        (CategoryRule.TRUNCATE, list(map(float, range(0, 900, 3))), [0.0, 300.9, 897.0], [1.0, 898.0, 900.0]),
    ],
)
def test_categories(
    rule: CategoryRule, members: list[float], inside: list[float], outside: list[float]
) -> None:
    found = run(category_node(members, rule), np.array(inside + outside)[:, None])["prediction"]
    assert found.tolist() == [0.0] * len(inside) + [1.0] * len(outside)


def test_the_proof_knows_category_sets_of_every_kind() -> None:
    for rule in CategoryRule:
        for members in ([], [0.0, 3.0], [float(i) for i in range(0, 900, 3)]):
            ensemble = category_node(members, rule)
            for dtype in ("float32", "float64"):
                proof = prove(ensemble, convert_trees(ensemble, dtype).data)
                assert proof.status is Status.PROVED, (rule, members, dtype, proof.reason)


@pytest.mark.parametrize("members", [[2.5], [2.0**31], [-(2.0**31)]])
def test_categories_that_onnx_cannot_look_up_are_refused(members: list[float]) -> None:
    with pytest.raises(ConversionError, match="whole numbers of 31 bits"):
        convert_trees(category_node(members, CategoryRule.EXACT))


def test_a_missing_value_is_led_past_an_empty_set() -> None:
    ensemble = replace(category_node([], CategoryRule.TRUNCATE), missing_true=np.ones(1, dtype=bool))
    assert run(ensemble, np.array([[0.0], [np.nan], [-np.inf]]))["prediction"].tolist() == [1.0, 0.0, 1.0]
    assert prove(ensemble, convert_trees(ensemble).data).status is Status.PROVED


def test_infinite_thresholds_are_met_by_infinite_features() -> None:
    ensemble = chain(2, threshold=np.array([0.0, np.inf]))
    rows = np.array([-np.inf, 0.0, 1.0, np.finfo(np.float64).max, np.inf, np.nan])[:, None]
    assert run(ensemble, rows)["prediction"].tolist() == [0.0, 0.0, 1.0, 1.0, 1.0, 2.0]
    with pytest.raises(ConversionError, match="largest finite"):
        convert_trees(chain(2, threshold=np.array([np.finfo(np.float64).max, np.inf])))


def test_deep_trees_load_and_deeper_ones_are_refused() -> None:
    assert run(chain(MAX_DEPTH), np.array([[4321.5]]))["prediction"].tolist() == [4322.0]
    with pytest.raises(ConversionError, match="deeper than"):
        convert_trees(chain(MAX_DEPTH + 1))


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (TransformKind.EXP, [0.0, 1.0], [1.0, math.e]),
        (TransformKind.SIGNED_SQUARE, [-3.0, 2.0], [-9.0, 4.0]),
        (TransformKind.LOG1P_EXP, [-50.0, 800.0, 0.0], [math.exp(-50), math.inf, math.log(2)]),
        (TransformKind.LOG1P_EXP, [-800.0, 40.0], [0.0, 40.0]),
        (TransformKind.STEP, [-1.0, 0.0, 1e-300], [0.0, 0.0, 1.0]),
        (TransformKind.SIGMOID, [-1000.0, 0.0, 1000.0], [0.0, 0.5, 1.0]),
        (TransformKind.ISOLATION, [0.0, 2.0], [-1.5, -1.0]),
    ],
)
def test_transforms(kind: TransformKind, raw: list[float], expected: list[float]) -> None:
    transform = Transform(kind=kind, factor=2.0 if kind is TransformKind.ISOLATION else 1.0,
                          offset=0.5 if kind is TransformKind.ISOLATION else 0.0)  # fmt: skip
    values = np.array([*raw, 0.0])[:, None]
    found = run(
        chain(len(raw), leaf_value=values, transform=transform), np.arange(len(raw), dtype=float)[:, None]
    )
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-15)
