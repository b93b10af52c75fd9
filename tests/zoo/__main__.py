"""`python -m tests.zoo [WORD]`: the whole zoo, or the cases with that word, as a table in Markdown."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.zoo.cases import SECTIONS
from tests.zoo.running import complain, run, world


def main(words: list[str]) -> int:
    wrong = 0
    with world() as around:
        for section, cases in SECTIONS.items():
            for case in cases:
                if words and not any(word.lower() in f"{section} {case.name}".lower() for word in words):
                    continue
                with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
                    started = time.perf_counter()
                    try:
                        ran = run(case, Path(folder), around)
                    except Exception as error:
                        wrong += 1
                        print(
                            f"{case.name}: {type(error).__name__}: {str(error)[:500]}",
                            file=sys.stderr,
                            flush=True,
                        )
                        continue
                    seconds = time.perf_counter() - started
                    first = "ok" if not ran.problems else "WRONG"
                    print(
                        f"{first:6}{case.name}  {seconds:.1f}s  {ran.result.parity.max_abs_diff}", flush=True
                    )
                    complain(ran)
                    wrong += bool(ran.problems)
    return min(wrong, 99)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
