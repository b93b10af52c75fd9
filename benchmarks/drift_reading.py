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
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from validator.drift.reading import BATCH_ROWS, Data, open_data
from validator.drift.scan import Columns, scan
from validator.profile import Profile
from validator.profile.making import ProfileMaker

FEATURES = 30
GROUP = 250_000
FILE = 4 * GROUP
#: So many files of a million rows a turn.
TURN = 5


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


def default_rows(folder: Path, files: range) -> int:
    """What Arrow's own reader does when it is only asked for batches: all cores, its own bounds."""
    return sum(
        batch.num_rows
        for i in files
        for batch in pq.ParquetFile(folder / f"part-{i:04}.parquet").iter_batches(BATCH_ROWS)
    )


def main(millions: int = 100) -> None:
    reference = profile()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_folder(folder, millions)
        one = open_data(str(folder / "part-0000.parquet"))
        for _ in range(2):
            for batch in one.batches(one.columns):
                del batch
        before = peak_mib()
        print(f"{'':<28} {'rows':>12} {'rows/s':>12} {'CPU us/row':>11} {'peak MiB above':>15}")
        each = min(TURN, millions)
        turns = [range(i, i + each) for i in range(0, min(4 * each, millions - each + 1), each)]
        took = {"Arrow alone": [0.0, 0.0], "drift": [0.0, 0.0], "Arrow with its defaults": [0.0, 0.0]}
        for turn in turns:
            part = Data(
                path="", files=tuple(folder / f"part-{i:04}.parquet" for i in turn), columns=one.columns
            )
            works = {
                "Arrow alone": lambda part=part: sum(b.num_rows for b in part.batches(part.columns)),
                "drift": lambda part=part: scan(part, reference, Columns()).whole.rows,
                "Arrow with its defaults": lambda turn=turn: default_rows(folder, turn),
            }
            for label, work in works.items():
                for i, spent in enumerate(_timed(f"{label}, in turns", work, before)):
                    took[label][i] += spent
        wall, cpu = (
            {label: took[label][i] / took["drift"][i] for label in took if label != "drift"} for i in (0, 1)
        )
        for label in wall:
            print(
                f"drift reads {wall[label]:.0%} of the rows per second of {label}, {cpu[label]:.0%} by processor time"
            )
        if millions > 4 * each:
            data = open_data(str(folder))
            _timed("drift, everything", lambda: scan(data, reference, Columns()).whole.rows, before)


def _timed(label: str, work: Callable[[], int], before: float) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    rows = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{label:<28} {rows:>12,} {rows / wall:>12,.0f} {cpu / rows * 1e6:>11.3f} {peak_mib() - before:>15.0f}",
        flush=True,
    )
    return wall, cpu


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
