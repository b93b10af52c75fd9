"""Reading a large sample takes the memory of a few batches, whatever the file looks like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[3]
ROWS, COLUMNS = 1_500_000, 8
READ = """
import resource, sys
import numpy, pyarrow.parquet, pyarrow.ipc
from validator.worker.jobs.sample import read_batches
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with open(sys.argv[1], "rb") as file:
    rows = sum(len(table) for table in read_batches(file.fileno(), sys.argv[2], "sample"))
print(rows, (peak() - before) // 1024)
"""


@pytest.mark.parametrize("format", ["parquet", "arrow"])
def test_one_row_group_of_all_rows_is_not_held_whole(tmp_path, format):
    rng = np.random.default_rng(0)
    table = pa.table({f"c{i}": rng.random(ROWS) for i in range(COLUMNS)})
    path = tmp_path / f"large.{format}"
    if format == "parquet":
        pq.write_table(table, path, row_group_size=ROWS)
    else:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=100_000)
    assert path.stat().st_size > 90 * 2**20
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path), format],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows, grown_mib = map(int, done.stdout.split())
    assert rows == ROWS
    assert grown_mib < 60
