"""Our scanner beside picklescan, modelscan, fickling and modelaudit, on the hostile and the honest corpus.

    python benchmarks/scanners.py [--out TABLE.md] [--honest 60]

Makes the files from tests/hostile, installs each other scanner into a temporary environment of its own, scans every
file with it, and prints one Markdown table. A hostile file *passes* where the scanner neither reports anything nor
fails on it. What cannot be installed or run is said in the table.
"""

from __future__ import annotations

import argparse
import pickle
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 900
# What a scanner imports without declaring it.
NEEDED = {"fickling": ("typing_extensions",)}

# Each driver reads paths from standard input and answers one line each: `clean`, `flagged` or `failed`.
_LOOP = """
import sys, signal, warnings, logging, contextlib, io
warnings.simplefilter("ignore"); logging.disable(logging.CRITICAL)
def stop(*_): raise TimeoutError("too slow")
signal.signal(signal.SIGALRM, stop)
answers = sys.stdout
for path in sys.stdin.read().splitlines():
    signal.alarm(30)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            answer = "flagged" if flagged(path) else "clean"
    except BaseException as error:
        answer = "failed"
    signal.alarm(0)
    print(answer, file=answers, flush=True)
"""
DRIVERS = {
    "picklescan": """
from picklescan.scanner import scan_file_path
def flagged(path):
    result = scan_file_path(path)
    if result.scan_err: raise RuntimeError("could not scan")
    return result.infected_files > 0
""",
    "modelscan": """
from pathlib import Path
from modelscan.modelscan import ModelScan
def flagged(path):
    scanner = ModelScan()
    scanner.scan(Path(path))
    if scanner.issues.all_issues: return True
    if scanner.errors or scanner._skipped: raise RuntimeError("could not scan")
    return False
""",
    "fickling": """
import fickling
def flagged(path):
    return not fickling.is_likely_safe(path)
""",
    "modelaudit": """
from modelaudit.core import scan_model_directory_or_file
def flagged(path):
    result = scan_model_directory_or_file(path)
    issues = result["issues"] if isinstance(result, dict) else result.issues
    def severity(issue):
        value = issue.get("severity") if isinstance(issue, dict) else issue.severity
        return str(getattr(value, "value", value)).lower()
    return any(severity(issue) in ("critical", "warning", "error") for issue in issues)
""",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one scanner said: files that passed, were flagged, and that it failed on, of each corpus."""

    name: str
    version: str
    hostile: dict[str, int]
    honest: dict[str, int]
    seconds: float
    passed: tuple[str, ...] = ()


def write_corpora(folder: Path, honest: int) -> tuple[list[Path], list[Path]]:
    """The files of both corpora; compressed attacks keep a joblib suffix, since scanners go by it."""
    sys.path.insert(0, str(ROOT / "tests" / "hostile"))
    import benign_models
    import joblib
    from hostile_pickles import CASES

    attacks, models = [], []
    for number, case in enumerate(CASES):
        suffix = "joblib" if case.loader == "joblib" else "pkl"
        path = folder / f"hostile-{number:03d}.{suffix}"
        path.write_bytes(case.make(str(folder / "canary")))
        attacks.append(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        every = list(benign_models.models())
    step = max(1, len(every) // honest)
    for name, model in every[::step]:
        path = folder / f"honest-{name}.pkl"
        path.write_bytes(pickle.dumps(model))
        joblib.dump(model, path.with_suffix(".joblib"))
        models += [path, path.with_suffix(".joblib")]
    return attacks, models


def ours(attacks: list[Path], models: list[Path]) -> Row:
    """Our own scanner, in this process."""
    from validator import __version__
    from validator.model.safety import scan_pickle

    started = time.process_time()
    answers = ["clean" if scan_pickle(path.read_bytes()).ok else "flagged" for path in [*attacks, *models]]
    return to_row("model-preflight", __version__, answers, attacks, time.process_time() - started)


def other(name: str, folder: Path, attacks: list[Path], models: list[Path]) -> Row | str:
    """Another scanner in an environment of its own, or why it could not be run."""
    home = folder / f"env-{name}"
    venv.EnvBuilder(with_pip=True).create(home)
    python = home / "bin" / "python"
    # A driver needs the libraries of neither corpus: scanners read, they do not load.
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", name, *NEEDED.get(name, ())],
        capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip
    if installed.returncode:
        return f"could not be installed: {installed.stderr.strip().splitlines()[-1][:120]}"
    script = "import importlib.metadata as m; print(m.version(%r))" % name  # noqa: UP031 - braces belong to the drivers
    version = subprocess.run(
        [python, "-c", script], capture_output=True, text=True, check=True
    ).stdout.strip()
    started = time.monotonic()
    try:
        done = subprocess.run(
            [python, "-c", DRIVERS[name] + _LOOP],
            input="\n".join(map(str, [*attacks, *models])),
            capture_output=True, text=True, timeout=TIMEOUT_S, check=False, cwd=folder,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{version}: did not finish in {TIMEOUT_S} s"
    answers = done.stdout.split()
    if len(answers) != len(attacks) + len(models):
        return f"{version}: stopped after {len(answers)} files: {done.stderr.strip()[-120:]}"
    return to_row(name, version, answers, attacks, time.monotonic() - started)


def to_row(name: str, version: str, answers: list[str], attacks: list[Path], seconds: float) -> Row:
    from hostile_pickles import CASES

    bad, good = answers[: len(attacks)], answers[len(attacks) :]
    kinds = ("clean", "flagged", "failed")
    return Row(
        name=name,
        version=version,
        hostile={kind: bad.count(kind) for kind in kinds},
        honest={kind: good.count(kind) for kind in kinds},
        seconds=seconds,
        passed=tuple(case.title for case, answer in zip(CASES, bad, strict=True) if answer == "clean"),
    )


def table(rows: list[Row], failures: dict[str, str], n_hostile: int, n_honest: int) -> str:
    lines = [
        f"{n_hostile} hostile files, {n_honest} honest. Best: none of the first passes, none of the second flagged.",
        "",
        "| scanner | version | hostile passed | hostile failed on | honest flagged | honest failed on | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row.name} | {row.version} | {row.hostile['clean']} | {row.hostile['failed']} "
        f"| {row.honest['flagged']} | {row.honest['failed']} | {row.seconds:.1f} |"
        for row in rows
    ]
    lines += [f"| {name} | {why.replace('|', '/')} | | | | | |" for name, why in failures.items()]
    for row in rows:
        if row.passed:
            lines += ["", f"Hostile files that pass {row.name}: {'; '.join(row.passed)}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument(
        "--honest", type=int, default=60, help="how many honest models to take (two files each)"
    )
    parser.add_argument("--only", nargs="*", default=list(DRIVERS), help="the other scanners to run")
    options = parser.parse_args()
    rows: list[Row] = []
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        attacks, models = write_corpora(folder, options.honest)
        rows.append(ours(attacks, models))
        for scanner in options.only:
            answer = other(scanner, folder, attacks, models)
            if isinstance(answer, Row):
                rows.append(answer)
            else:
                failures[scanner] = answer
    text = table(rows, failures, len(attacks), len(models))
    print(text)
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    # Ours is held to what it promises; the others are only measured.
    return int(rows[0].hostile["clean"] > 0 or rows[0].honest["flagged"] > 0)


if __name__ == "__main__":
    sys.exit(main())
