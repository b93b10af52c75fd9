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
#: Of a process's own data, beyond what it has after its imports. The table's numbers alone are 92 MiB.
ALLOWED_MIB = 88
READ = """
import resource, sys
import numpy, pyarrow.parquet, pyarrow.ipc
from validator.worker.jobs.sample import read_batches
with open("/proc/self/status") as status:
    held = next(int(line.split()[1]) for line in status if line.startswith("VmData")) * 1024
most = held + int(sys.argv[3]) * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
with open(sys.argv[1], "rb") as file:
    print(sum(len(table) for table in read_batches(file.fileno(), sys.argv[2], "sample")))
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
        [sys.executable, "-c", READ, str(path), format, str(ALLOWED_MIB)],
        # Arrow's own allocator reserves far more than it uses.
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT),
            "ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1",
        },
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.stdout == f"{ROWS}\n", done.stderr
