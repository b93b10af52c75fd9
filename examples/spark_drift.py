"""Drift over a Spark table: the product's own counting on every executor, its rule on the driver.

    spark-submit spark_drift.py TABLE.parquet ARTIFACT [OUT]

Each partition is counted with `validator.drift.tally.Tally` in `mapInArrow`, and sends its counts back as one small
JSON text; they are added and judged where this script runs. Executors need model-preflight (extra `gate`)
and to see the artifact's folder under the same path.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any


def count_partition(batches: Iterator[Any], *, artifact: str) -> Iterator[Any]:
    """The counts of one partition: a batch of one row that holds them as JSON. Runs on an executor."""
    import pyarrow as pa

    from validator import __version__
    from validator.drift import arrays
    from validator.drift.command import Options, load_model
    from validator.drift.tally import Tally
    from validator.profile import NumericColumn

    model = load_model(Options(tool_version=__version__, artifact=artifact))
    tally = Tally(model.profile)
    for batch in batches:
        values: dict[str, Any] = {}
        for column in model.profile.features:
            array = batch.column(column.name)
            numeric = isinstance(column, NumericColumn)
            values[column.name] = (arrays.numbers if numeric else arrays.categories)(array, column.name)
        tally.add(values)
        rows = {name: one if hasattr(one, "dtype") else one.decoded() for name, one in values.items()}
        outputs, _ = model.answerer.answers(rows)
        if outputs:
            tally.add_outputs(outputs, in_order=False)
    yield pa.RecordBatch.from_pydict({"counts": [tally.to_json().decode()]})


def count_table(table: Any, artifact: str) -> list[bytes]:
    """The counts of every partition of a Spark DataFrame."""
    found = table.mapInArrow(partial(count_partition, artifact=artifact), "counts string").collect()
    return [row["counts"].encode() for row in found]


def main(path: str, artifact: str, out: str = "drift") -> int:
    """Count, add, judge, and write the report."""
    from pyspark.sql import SparkSession

    from validator.cli.main import main as command

    spark = SparkSession.builder.appName("drift").getOrCreate()
    try:
        parts = count_table(spark.read.parquet(path), artifact)
    finally:
        spark.stop()
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, content in enumerate(parts):
        files.append(str(folder / f"counts-{i:05}.json"))
        Path(files[-1]).write_bytes(content)
    return command(["drift", *files, "--artifact", artifact, "--out", out])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
