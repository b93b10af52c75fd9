"""`drift`: whether data still looks as it did when the model was judged. `drift count` counts a part of it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from validator import __version__
from validator.cli.actions import add_json
from validator.cli.console import in_unicode, say, screen_width
from validator.errors import Exit, SampleError, UsageError
from validator.whole_file import whole_file

if TYPE_CHECKING:
    from validator.drift.document import DriftReport

_REPORTS = ("drift.json", "drift.md", "drift.html")
EPILOG = """`drift count DATA --artifact A -o FILE` writes the counts of a part of the data;
`drift` takes any number of such files in the place of data.

exit codes:
  0  no drift, or nothing but warnings
  1  drift
  2  unusable: bad usage, unreadable data or artifact
  4  insufficient: these rows or this reference cannot tell
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    parser.epilog = EPILOG
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="DATA",
        help="Parquet, CSV or Arrow file, a folder of them, or files that `drift count` wrote",
    )
    parser.add_argument(
        "--artifact",
        metavar="DIR",
        help="the artifact of the model that the data is for: a folder, or oci://HOST/NAME:champion",
    )
    parser.add_argument(
        "--against", metavar="DATA", help="compare with this data instead of the artifact's own profile"
    )
    parser.add_argument(
        "--window", metavar="LENGTH", help="judge parts too: 1000 (rows), or 7d, 24h with --time"
    )
    parser.add_argument("--time", metavar="COLUMN", help="the column that holds the time of a row")
    parser.add_argument(
        "--group", metavar="COLUMN", help="rows of one group (a customer, a machine) are alike: count groups"
    )
    parser.add_argument(
        "--independent",
        action="store_true",
        default=None,
        help="you vouch that rows are independent: the reference's own ups and downs are not looked at",
    )
    parser.add_argument("--target", metavar="COLUMN", help="the column that holds the true answer")
    parser.add_argument(
        "--labels", metavar="DATA", help="data with true answers that came later; needs --target and --id"
    )
    parser.add_argument("--id", metavar="COLUMN", help="the column that joins rows with their labels")
    parser.add_argument(
        "--out", metavar="DIR", help="folder for drift.json, drift.md and drift.html (default: drift)"
    )
    parser.add_argument(
        "--prometheus", metavar="URL", help="in the place of data: what servers of the model counted"
    )
    parser.add_argument("--model", metavar="NAME", help="its name in the metrics (default: the artifact's)")
    parser.add_argument("--last", metavar="TIME", help="with --prometheus: how far back (default: 24h)")
    parser.add_argument("-o", "--output", metavar="FILE", help="with count: the file to write")
    parser.add_argument(
        "--insufficient",
        choices=("warn", "fail"),
        metavar="warn|fail",
        help="end with 0 or 1 instead of 4 where it cannot be told",
    )
    parser.add_argument(
        "--override", metavar="REASON", help="judge for an artifact that failed the gate, and say why"
    )
    add_json(parser, "drift.json")
    parser.add_argument("--quiet", action="store_true", default=None, help="print nothing but the verdict")


def run(flags: dict[str, Any], environ: Mapping[str, str]) -> int:
    """Count, compare, write, tell GitHub, and end with the verdict's code."""
    from validator.cli.drift_job import from_inputs, tell

    flags = from_inputs(flags, environ)
    sources = list(flags["sources"])
    if not sources and not flags.get("prometheus"):
        raise UsageError("no data was given", hint="model-preflight drift DATA --artifact DIR")
    if sources and sources[0] == "count" and not Path("count").exists():
        with _artifact(flags, environ) as artifact:
            return _count(sources[1:], flags, artifact)
    out = Path(flags.get("out") or "drift")
    _prepare(out)
    with _artifact(flags, environ) as artifact:
        report = _compared(sources, flags, artifact)
    _write(out, report)
    _show(report, flags, out)
    tell(report, flags, out, environ, sys.stderr)
    return exit_code(report, flags.get("insufficient"))


def exit_code(report: DriftReport, insufficient: str | None) -> int:
    """What the command ends with."""
    if report.status == "fail":
        return Exit.FAILED
    if report.status == "insufficient":
        return {"warn": Exit.PASSED, "fail": Exit.FAILED}.get(insufficient or "", Exit.INSUFFICIENT)
    return Exit.PASSED


def _compared(sources: list[str], flags: dict[str, Any], artifact: str) -> DriftReport:
    from validator.drift.command import Options, compare_counts, compare_data, compare_served

    options = Options(
        tool_version=__version__,
        artifact=artifact,
        against=flags.get("against"),
        window=flags.get("window"),
        time=flags.get("time"),
        group=flags.get("group"),
        independent=bool(flags.get("independent")),
        target=flags.get("target"),
        labels=flags.get("labels"),
        id=flags.get("id"),
        override=flags.get("override"),
        prometheus=flags.get("prometheus"),
        model=flags.get("model"),
        last=flags.get("last") or "24h",
    )
    if options.prometheus is not None:
        if sources:
            raise UsageError("both data and --prometheus were given", hint="give one of them")
        return compare_served(options)
    counted = [source for source in sources if source.endswith(".json")]
    if counted and len(counted) == len(sources):
        return compare_counts(counted, options)
    if len(sources) > 1:
        raise UsageError(
            f"{len(sources)} sources were given, and not all of them are counts",
            hint="give one file or folder of data, or only files that `drift count` wrote",
        )
    return compare_data(sources[0], options)


def _count(sources: list[str], flags: dict[str, Any], artifact: str) -> int:
    from validator.drift.command import Options, count_data

    if len(sources) != 1 or not flags.get("output"):
        raise UsageError(
            "`drift count` takes one file or folder and writes one file",
            hint="model-preflight drift count DATA --artifact DIR -o counts.json",
        )
    options = Options(
        tool_version=__version__,
        artifact=artifact,
        group=flags.get("group"),
        override=flags.get("override"),
    )
    tally = count_data(sources[0], options)
    _write_file(Path(flags["output"]), tally.to_json())
    if not flags.get("quiet"):
        print(f"{tally.rows:,} rows counted into {flags['output']}")
    return Exit.PASSED


@contextmanager
def _artifact(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    """The artifact's folder; of an image, fetched, until the block ends. An alias such as `champion` may name it."""
    from validator.registry.opening import opened_artifact
    from validator.registry.reference import is_reference

    given = str(flags.get("artifact") or "")
    if not given:
        raise UsageError(
            "no artifact was given", hint="give --artifact and the folder that `validate` wrote for the model"
        )
    if not is_reference(given):
        yield given
        return
    with opened_artifact(given, environ) as found:
        yield str(found.folder)


def _prepare(out: Path) -> None:
    """Make the folder and remove what an earlier run left there: what lies there at the end is this run's."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name in _REPORTS:
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"the output folder {out} cannot be written to: {error.strerror}",
            hint="choose another folder with --out",
        ) from error


def _write(out: Path, report: DriftReport) -> None:
    from validator.drift.markdown import render_markdown
    from validator.drift.page import render_html

    files = {
        "drift.md": render_markdown(report).encode(),
        "drift.html": render_html(report).encode(),
        "drift.json": (report.model_dump_json(indent=2) + "\n").encode(),
    }
    for name, content in files.items():
        _write_file(out / name, content)


def _write_file(path: Path, content: bytes) -> None:
    """A whole file or none."""
    try:
        with whole_file(path) as staged:
            staged.write_bytes(content)
    except OSError as error:
        raise SampleError(f"{path} cannot be written: {error.strerror}", hint="is the disk full?") from error


def _show(report: DriftReport, flags: dict[str, Any], out: Path) -> None:
    from validator.drift import wording
    from validator.drift.terminal import render_terminal

    if flags.get("json_output"):
        print(report.model_dump_json(indent=2))
        return
    if flags.get("quiet"):
        say(f"{wording.VERDICTS[report.status]}: {wording.headline(report)}")
        return
    say(
        f"{render_terminal(report, width=screen_width(), unicode=in_unicode())}\nReport: {out / 'drift.html'}"
    )
