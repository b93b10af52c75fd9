"""Artifacts of models that are monitored, with features whose names are attacks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.serving.conftest import contract_of, features, logistic_graph, result_of
from validator.artifact.write import write_artifact
from validator.monitoring.init import Options, watch
from validator.monitoring.rule import Watched
from validator.profile import profile_json
from validator.profile.document import Quality
from validator.profile.making import ProfileMaker
from validator.results import ModelInfo

#: Ends a string, a selector, a template and a line of YAML.
HOSTILE = 'a"} or vector(1) # {{ .X }}\n- b: !!python/object:x \\'
NAMES = (HOSTILE, "income", "age", "region {{ $labels.x }}")


def make_artifact(
    folder: Path,
    *,
    names: Sequence[str] = NAMES,
    rows: int = 4_000,
    name: str = "churn",
    day: int = 5,
    tail: Sequence[Any] = (),
    quality: Sequence[Quality] = (Quality(metric="auc", value=0.83, low=0.81, high=0.85, rows=4_000),),
) -> Path:
    """An artifact with a profile of random rows."""
    random = np.random.default_rng(7)
    maker = ProfileMaker()
    values = {one: random.normal(size=rows) for one in names}
    matrix = np.column_stack([values[one] for one in names])

    def answers(kept: np.ndarray) -> dict[str, np.ndarray]:
        return {
            "probabilities[1]": 1
            / (1 + np.exp(-matrix[kept] @ np.resize([0.5, -1.0, 0.25, 2.0], len(names))))
        }

    maker.add(values, answers)
    profile = maker.finish(
        source="reference", source_sha256="0" * 64, slo_ms=50.0, target="stays", quality=quality
    )
    sha = hashlib.sha256(b"pickle").hexdigest()
    contract = contract_of(features(*names))
    result = result_of(
        contract,
        version=f"v_202511{day:02}T093000Z_{sha[:8]}",
        created_at=f"2025-11-{day:02}T09:30:00Z",
        model=ModelInfo(path="m.pkl", name=name, format="pickle", sha256=sha, size_bytes=6),
    )
    written = write_artifact(
        folder,
        result=result,
        onnx=logistic_graph(width=len(names), tail=tail),
        report_md="# R\n",
        profile=profile_json(profile),
    )
    return Path(written.path)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_artifact(tmp_path_factory.mktemp("artifacts"))


@pytest.fixture(scope="session")
def watched(artifact: Path) -> Watched:
    return watch(Options(artifact=str(artifact)))[0]


@pytest.fixture(scope="session")
def artifact_of() -> Callable[..., Path]:
    return make_artifact
