"""Small graphs whose answers are known, one LightGBM model and one mixed pipeline, as artifacts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from validator.artifact.write import write_artifact
from validator.results import (
    Contract,
    Conversion,
    Environment,
    FeatureSpec,
    GateResult,
    Latency,
    ModelInfo,
    Parity,
)
from validator.serving import Deployment

NAMES = tuple(f"f{i}" for i in range(4))
WEIGHTS = np.array([0.5, -1.0, 0.25, 2.0])


def features(*names: str, **changes: Any) -> tuple[FeatureSpec, ...]:
    return tuple(FeatureSpec(**({"name": name, "dtype": "float64"} | changes)) for name in names)


def contract_of(specs: Sequence[FeatureSpec], **changes: Any) -> Contract:
    fields: dict[str, Any] = {
        "features": tuple(specs),
        "task": "binary",
        "classes": (0, 1),
        "allow_missing": any(spec.missing for spec in specs),
    }
    return Contract(**(fields | changes))


def result_of(contract: Contract | None, **changes: Any) -> GateResult:
    sha = hashlib.sha256(b"pickle").hexdigest()
    fields: dict[str, Any] = {
        "tool_version": "0.1.0",
        "verdict": "pass",
        "reason": "all checks passed",
        "version": f"v_20251105T093000Z_{sha[:8]}",
        "created_at": "2025-11-05T09:30:00Z",
        "model": ModelInfo(path="m.pkl", name="m", format="pickle", sha256=sha, size_bytes=6),
        "contract": contract,
        "conversion": Conversion(method="exact", input_dtype="float64"),
        "parity": Parity(level="proved", bound=0.0),
        "latency": Latency(),
        "checks": (),
        "environment": Environment(python="3.11.7", platform="Linux", cpus=2, git_commit="ab" * 20),
    }
    return GateResult(**(fields | changes))


def logistic_graph(*, width: int = 4, double: bool = True, tail: Sequence[Any] = (), **names: str) -> bytes:
    """sigmoid(features @ WEIGHTS) as two probabilities and a label. `tail` are nodes put between p and the outputs:
    (operator, inputs, outputs, attributes) from `p` to `probabilities`; none for the plain thing.
    """
    from onnx import TensorProto, helper, numpy_helper

    kind = TensorProto.DOUBLE if double else TensorProto.FLOAT
    dtype = np.float64 if double else np.float32
    weights = np.resize(WEIGHTS, (width, 1)).astype(dtype)
    nodes = [
        helper.make_node("MatMul", ["features", "w"], ["raw"]),
        helper.make_node("Sigmoid", ["raw"], ["one"]),
        helper.make_node("Sub", ["unit", "one"], ["zero"]),
        helper.make_node("Concat", ["zero", "one"], ["p"], axis=1),
        helper.make_node("ArgMax", ["p"], ["label"], axis=1, keepdims=0),
    ]
    steps = tail or [("Identity", ["p"], ["probabilities"], {})]
    nodes += [helper.make_node(op, given, gives, **attributes) for op, given, gives, attributes in steps]
    constants = {"w": weights, "unit": np.ones((1, 1), dtype), "nan": np.full((1, 1), np.nan, dtype)}
    constants |= {"two": np.full((1, 1), 2.0, dtype), "zero64": np.array([0], dtype=np.int64)}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", kind, [None, width])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, None),
            helper.make_tensor_value_info("probabilities", kind, None),
        ],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="session")
def logistic() -> Callable[..., bytes]:
    return logistic_graph


@pytest.fixture(scope="session")
def serve() -> Callable[..., Deployment]:
    """A deployment of a graph under a contract, options as for `Deployment`."""

    def make(
        onnx: bytes | None = None, specs: Sequence[FeatureSpec] | None = None, **changes: Any
    ) -> Deployment:
        options = {
            key: changes.pop(key) for key in ("on_invalid", "extra", "on_call", "on_range") if key in changes
        }
        contract = contract_of(specs or features(*NAMES), **changes)
        document = json.loads(contract.model_dump_json()) | {"schema_version": 1}
        return Deployment.for_validation(onnx=onnx or logistic_graph(), contract=document, **options)

    return make


@pytest.fixture
def make_artifact(tmp_path: Path) -> Callable[..., Path]:
    """The folder of an artifact that the gate might have written."""

    def make(onnx: bytes | None = None, contract: Contract | None = None, **changes: Any) -> Path:
        contract = contract or contract_of(features(*NAMES))
        artifact = write_artifact(
            tmp_path, result=result_of(contract, **changes), onnx=onnx or logistic_graph(), report_md="# R\n"
        )
        return Path(artifact.path)

    return make


@pytest.fixture(scope="session")
def row() -> Mapping[str, float]:
    return {"f0": 0.1, "f1": -0.5, "f2": 2.0, "f3": 0.25}


@pytest.fixture(scope="session")
def expected() -> Callable[[Any], Any]:
    """The logistic graph's probability of class 1 for a matrix [N, 4]."""
    return lambda matrix: 1 / (1 + np.exp(-(np.asarray(matrix, dtype=float) @ WEIGHTS)))


@pytest.fixture(scope="session")
def mixed() -> tuple[bytes, Any, Any, Contract]:
    """A pipeline of text categories, whole numbers and floats: its ONNX file, itself, its sample and contract."""
    import pandas as pd
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    rng = np.random.default_rng(7)
    sample = pd.DataFrame(
        {
            "plan": rng.choice(["basic", "plus", "pro"], 200),
            "visits": rng.integers(0, 50, 200),
            "spend": rng.gamma(2.0, 10.0, 200),
        }
    )
    answer = np.where(sample["spend"] + sample["visits"] > 45, "stays", "goes")
    pipeline = make_pipeline(
        ColumnTransformer(
            [
                ("c", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
                ("n", StandardScaler(), ["visits", "spend"]),
            ]
        ),
        LogisticRegression(),
    ).fit(sample, answer)
    types = [("plan", StringTensorType([None, 1])), ("visits", Int64TensorType([None, 1]))]
    types.append(("spend", FloatTensorType([None, 1])))
    model = to_onnx(pipeline, initial_types=types, options={"zipmap": False}, target_opset=17)
    specs = (
        FeatureSpec(name="plan", dtype="string", categories=("basic", "plus", "pro")),
        FeatureSpec(name="visits", dtype="int64"),
        FeatureSpec(name="spend", dtype="float64"),
    )
    return model.SerializeToString(), pipeline, sample, contract_of(specs, classes=("goes", "stays"))
