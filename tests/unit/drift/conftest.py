"""A judged model with a profile, and data like and unlike what it was judged on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from validator.artifact.write import write_artifact
from validator.drift.answering import Answerer
from validator.profile import profile_json
from validator.profile.making import ProfileMaker
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

ROWS = 4_000


def frame_of(n: int, seed: int) -> pd.DataFrame:
    """Rows of independent features and the true answer to them."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "plan": random.choice(["basic", "plus", "pro"], n, p=[0.5, 0.3, 0.2]),
            "visits": random.integers(0, 50, n),
            "spend": random.gamma(2.0, 10.0, n),
        }
    )
    chance = 1 / (1 + np.exp(-(frame["spend"] + frame["visits"] - 45) / 5))
    return frame.assign(
        stays=np.where(random.random(n) < chance, "stays", "goes"),
        id=[f"r{i}" for i in range(n)],
        day=pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(n) * 10, unit="min"),
        customer=[f"c{i // 10}" for i in range(n)],
    )


@pytest.fixture(scope="session")
def frame() -> Callable[[int, int], pd.DataFrame]:
    return frame_of


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the gate would have written for a small pipeline."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    sample = frame_of(ROWS, 1)
    columns = ["plan", "visits", "spend"]
    steps = ColumnTransformer(
        [
            ("c", OneHotEncoder(handle_unknown="ignore"), ["plan"]),
            ("n", StandardScaler(), ["visits", "spend"]),
        ]
    )
    pipeline = make_pipeline(steps, LogisticRegression()).fit(sample[columns], sample["stays"])
    types = [("plan", StringTensorType([None, 1])), ("visits", Int64TensorType([None, 1]))]
    types.append(("spend", FloatTensorType([None, 1])))
    model = to_onnx(pipeline, initial_types=types, options={"zipmap": False}, target_opset=17)
    onnx = bytes(model.SerializeToString())
    contract = Contract(
        features=(
            FeatureSpec(name="plan", dtype="string", missing=True),
            FeatureSpec(name="visits", dtype="int64"),
            FeatureSpec(name="spend", dtype="float64", missing=True),
        ),
        task="binary",
        classes=("goes", "stays"),
        allow_missing=True,
    )
    document = contract.model_dump(mode="json") | {"schema_version": 1}
    answerer = Answerer(Deployment.for_validation(onnx=onnx, contract=document, on_invalid="flag"))
    values: dict[str, Any] = {name: sample[name].to_numpy() for name in columns}
    values["plan"] = values["plan"].astype(object)
    maker = ProfileMaker()
    maker.add(values, lambda rows: answerer.answers({name: array[rows] for name, array in values.items()})[0])
    profile = maker.finish(source="reference", source_sha256="0" * 64, slo_ms=50.0, target="stays")
    sha = hashlib.sha256(b"pickle").hexdigest()
    result = GateResult(
        tool_version="0.1.0",
        verdict="pass",
        reason="all checks passed",
        version=f"v_20251105T093000Z_{sha[:8]}",
        created_at="2025-11-05T09:30:00Z",
        model=ModelInfo(path="m.pkl", name="churn", format="pickle", sha256=sha, size_bytes=6),
        contract=contract,
        conversion=Conversion(method="skl2onnx"),
        parity=Parity(level="measured"),
        latency=Latency(),
        checks=(),
        environment=Environment(python="3.11.7", platform="Linux", cpus=2, git_commit="ab" * 20),
    )
    folder = tmp_path_factory.mktemp("artifacts")
    written = write_artifact(
        folder, result=result, onnx=onnx, report_md="# R\n", profile=profile_json(profile)
    )
    return Path(written.path)
