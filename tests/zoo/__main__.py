"""`python -m tests.zoo [WORD ...]`: the whole zoo, or the cases with one of those words, as a table in Markdown.

The whole zoo's table goes into docs/models.md too. Exit code 1 when a case ended otherwise than its line says.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.zoo.case import ALONE, Case
from tests.zoo.cases import SECTIONS
from tests.zoo.running import Ran, complain, run, world
from tests.zoo.stock import Judge, stock_converters
from tests.zoo.table import render, row, write
from validator.gate.validate import RunContext


def main(words: list[str]) -> int:
    wrong = 0
    table: dict[str, list[str]] = {}
    with world() as around, stock_converters() as judge:
        for section, cases in SECTIONS.items():
            for case in cases:
                if words and not any(word.lower() in f"{section} {case.name}".lower() for word in words):
                    continue
                with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                    ran, stock = _one(case, Path(folder), around, judge)
                complain(ran)
                wrong += bool(ran.problems)
                table.setdefault(section, []).append(row(ran, stock))
                print(table[section][-1], file=sys.stderr, flush=True)
    text = render(table)
    print(text)
    if not words:
        write(text)
    return 1 if wrong else 0


def _one(case: Case, folder: Path, around: RunContext, judge: Judge) -> tuple[Ran, str]:
    ran = run(case, folder, around)
    own_form = case.expected == ALONE or case.expected.check.startswith("load.")
    return ran, "-" if own_form else judge(ran.made.model, ran.made.data.X, folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
