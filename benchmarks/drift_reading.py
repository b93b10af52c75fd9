"""10⁸ rows of 30 features through the counting of `drift`, beside Arrow alone decoding the same files.

Both read the same files in the same process, in turns of five million rows; the least of all turns counts, since
other work on the machine only adds. `drift` decodes in one thread and counts in another, so that its rate needs a
second core: shown is what each of them takes, too. Memory is what the process grew by beyond its libraries and one
decoded batch; Arrow's own reader with its defaults comes last, for it takes more.
`python -m benchmarks.drift_reading [MILLION_ROWS [TURNS]]`.
"""

from __future__ import annotations

import math
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


def main(millions: int = 100, turns: int = 12) -> None:
    reference = profile()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_folder(folder, millions)
        one = open_data(str(folder / "part-0000.parquet"))
        for _ in range(2):
            for batch in one.batches(one.columns):
                del batch
        before = peak_mib()
        each = min(TURN, millions)
        part = Data(path="", files=one.files * each, columns=one.columns)
        works = {
            "Arrow alone": lambda: sum(batch.num_rows for batch in part.batches(part.columns)),
            "drift": lambda: scan(part, reference, Columns()).whole.rows,
        }
        least = dict.fromkeys(works, (math.inf, math.inf))
        counting = math.inf
        print(f"{'':<28} {'rows':>12} {'rows/s':>12} {'CPU us/row':>11} {'peak MiB above':>15}")
        for _ in range(turns):
            for label, work in works.items():
                own = time.thread_time()
                wall, cpu = _timed(f"{label}, in turns", work, before)
                least[label] = (min(wall, least[label][0]), min(cpu, least[label][1]))
                counting = min(counting, time.thread_time() - own) if label == "drift" else counting
        wall, cpu = (a / b for a, b in zip(least["Arrow alone"], least["drift"], strict=True))
        print(f"drift reads {wall:.0%} of the rows per second of Arrow alone, {cpu:.0%} by processor time")
        decoding = least["Arrow alone"][1]
        print(
            f"the thread that counts takes {counting / decoding:.0%} of the processor time of decoding alone"
        )
        if millions > each:
            data = open_data(str(folder))
            _timed("drift, everything", lambda: scan(data, reference, Columns()).whole.rows, before)
        _timed("Arrow with its defaults", lambda: default_rows(folder, range(each)), before)


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
    main(*map(int, sys.argv[1:3]))
