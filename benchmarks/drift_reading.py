"""10⁸ rows of 30 features through the counting of `drift`, beside Arrow alone decoding the same files.

Both read the same folder in the same process, in turns. Memory is what the process grew by beyond its libraries
and one decoded batch. `python drift_reading.py [MILLION_ROWS]`.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from validator.drift.reading import open_data
from validator.drift.scan import Columns, scan
from validator.profile import Profile
from validator.profile.making import ProfileMaker

FEATURES = 30
GROUP = 250_000
FILE = 4 * GROUP
_MIB = 2**20


def write_folder(folder: Path, millions: int) -> None:
    """One file of a million random rows, under as many names as there are millions: the disk holds it once."""
    random = np.random.default_rng(0)
    first = folder / "part-0000.parquet"
    names = [f"f{i}" for i in range(FEATURES)]
    schema = pa.schema([(name, pa.float64()) for name in names])
    with pq.ParquetWriter(first, schema, use_dictionary=False) as writer:
        for _ in range(FILE // GROUP):
            writer.write_table(pa.table({name: random.normal(size=GROUP) for name in names}))
    for i in range(1, millions):
        os.link(first, folder / f"part-{i:04}.parquet")


def profile() -> Profile:
    random = np.random.default_rng(1)
    maker = ProfileMaker()
    maker.add({f"f{i}": random.normal(size=10_000) for i in range(FEATURES)})
    return maker.finish(source="reference", source_sha256="")


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(millions: int = 100) -> None:
    reference = profile()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_folder(folder, millions)
        data = open_data(str(folder))
        small = open_data(str(folder / "part-0000.parquet"))
        for batch in small.batches(data.columns):
            del batch
        before = peak_mib()
        print(f"{'':<22} {'rows':>12} {'rows/s':>12} {'CPU µs/row':>11} {'peak MiB above':>15}")
        decoded = counted = 0.0
        turns = [open_data(str(folder / f"part-{i:04}.parquet")) for i in range(min(4, millions))]
        for one in turns:
            decoded += _timed(
                "Arrow alone, in turns",
                lambda one=one: sum(b.num_rows for b in one.batches(one.columns)),
                before,
            )
            counted += _timed(
                "drift, in turns", lambda one=one: scan(one, reference, Columns()).whole.rows, before
            )
        print(f"drift counts {decoded / counted:.0%} of the rows per second that Arrow alone decodes")
        _timed("drift, everything", lambda: scan(data, reference, Columns()).whole.rows, before)


def _timed(label: str, work, before: float) -> float:  # type: ignore[no-untyped-def]
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{label:<22} {rows:>12,} {rows / wall:>12,.0f} {cpu / rows * 1e6:>11.3f} {peak_mib() - before:>15.0f}",
        flush=True,
    )
    return wall


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
