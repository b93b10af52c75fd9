"""`python -m tests.zoo [WORD ...]`: the whole zoo, or the cases with one of those words, as a table in Markdown.

Their rows go into the table of docs/models.md; after the whole zoo nothing else stays there. Exit code 1 when a case
ended otherwise than its line says.
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
from tests.zoo.table import render, row, with_rows, write
from validator.gate.validate import RunContext


def main(words: list[str]) -> int:
    wrong = 0
    table: dict[str, dict[str, str]] = {}
    with world() as around, stock_converters() as judge:
        for section, cases in SECTIONS.items():
            for case in cases:
                if words and not any(word.lower() in f"{section} {case.name}".lower() for word in words):
                    continue
                with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                    ran, stock = _one(case, Path(folder), around, judge)
                complain(ran)
                wrong += bool(ran.problems)
                table.setdefault(section, {})[case.name] = row(ran, stock)
                print(table[section][case.name], file=sys.stderr, flush=True)
    text = render({section: list(rows.values()) for section, rows in table.items()})
    print(text)
    names = {section: [case.name for case in cases] for section, cases in SECTIONS.items()}
    write(text if not words else render(with_rows(table, names)))
    return 1 if wrong else 0


def _one(case: Case, folder: Path, around: RunContext, judge: Judge) -> tuple[Ran, str]:
    ran = run(case, folder, around)
    own_form = case.expected == ALONE or case.expected.check.startswith("load.")
    return ran, "-" if own_form else judge(ran.made.model, ran.made.data.X, folder)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
