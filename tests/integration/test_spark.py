"""The example that counts under Spark, with two local workers: equal to one machine to the last count."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from validator.drift.command import Options, count_data, load_model
from validator.drift.tally import Tally

pyspark_sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java"),
]
EXAMPLE = Path(__file__).parents[2] / "examples" / "spark_drift.py"


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    session = (
        pyspark_sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.driver.memory", "1g")
        .getOrCreate()
    )
    yield session
    session.stop()


def test_spark_counts_what_one_machine_counts(spark: Any, tmp_path: Path) -> None:
    from tests.integration.command import TRADING, run

    fast = ("--latency-budget-s", 0.2, "--boundary-rows", 500, "--batch-sizes", "1,10")
    judged = run(
        "validate", TRADING / "model.pkl", "--data", TRADING / "sample.parquet", "--target", "direction", *fast,
        cwd=tmp_path,
    )  # fmt: skip
    artifact = str(next((judged.folder / "artifact").glob("*/v_*")))
    sample = pd.read_parquet(TRADING / "sample.parquet")
    random = np.random.default_rng(0)
    data = sample.iloc[random.integers(0, len(sample), 20_000)].reset_index(drop=True)
    data.iloc[::50, 0] = 0.0
    path = tmp_path / "data.parquet"
    data.to_parquet(path, index=False)

    spec = importlib.util.spec_from_file_location("spark_drift", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    spark.sparkContext.addPyFile(str(EXAMPLE))
    import sys

    sys.modules["spark_drift"] = example
    table = spark.read.parquet(str(path)).repartition(4)
    parts = example.count_table(table, artifact)

    model = load_model(Options(tool_version="test", artifact=artifact))
    total = Tally(model.profile)
    for content in parts:
        total.merge(Tally.from_json(content, model.profile, name="part"))
    alone = json.loads(count_data(str(path), Options(tool_version="test", artifact=artifact)).to_json())
    added = json.loads(total.to_json())
    assert len(parts) == 4
    assert added["rows"] == 20_000
    assert added["features"] == alone["features"]
    assert added["outputs"] == alone["outputs"]
