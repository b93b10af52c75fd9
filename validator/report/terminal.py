"""The verdict for a terminal or a log: plain lines, 80 columns, colour only where asked for."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from validator.report import tables
from validator.report.checklist_view import EMPTY, Cell
from validator.report.escape import clean, log_line
from validator.report.findings import ReportedCheck
from validator.report.view import ModelView, page
from validator.results import GateResult

#: ANSI codes by what a line means.
COLOURS = {"pass": "32", "fail": "31;1", "warn": "33"}
_ASCII = str.maketrans(
    {
        "✓": "+",
        "✗": "x",
        "→": ">",
        "·": "-",
        "\N{EN DASH}": "-",
        "…": "~",
        "\N{MULTIPLICATION SIGN}": "x",
        "\N{MINUS SIGN}": "-",
        "∞": "inf",
    }
)
#: What is left out of the checklist's cells, one after the other, until it fits.
_SHORTENINGS = ((r", \d+ noted", ""), (r"\bwarning\b", "warn"), (r"(?<=\d)/\d+", ""))
#: Columns of the latency table that a narrow terminal does without.
_LEAST_MISSED = ("mean", "p95", "max", "calls")
_MOST_PROBLEMS = 20
_NAME_LIMIT = 40
_TEXT_LIMIT = 600


@dataclass(frozen=True, kw_only=True)
class TerminalStyle:
    """How the lines are drawn: at most `width` columns, with ANSI colours, with characters beyond ASCII."""

    width: int = 80
    colour: bool = False
    unicode: bool = True


def render_terminal(
    results: Sequence[GateResult],
    *,
    look: TerminalStyle | None = None,
    quiet: bool = False,
    reports: Sequence[str] = (),
) -> str:
    """The end of a run: verdict, why and what to do, then checklist, latency, parity and version.

    `quiet` leaves the verdict with its reason, one line for each model. `reports` are paths to name at the end.
    No line can be taken for a workflow command. Raises ValueError for no result.
    """
    look = look or TerminalStyle()
    view = page(results)
    lines: list[Line] = []
    for model in view.by_verdict:
        lines += [_verdict(model, quiet=True)] if quiet else [*_model(model, look.width), Line("")]
    if not quiet and len(view.models) > 1:
        lines.append(Line(f"{len(view.failed)} of {len(view.models)} models blocked"))
    if not quiet:
        lines += [Line(f"Report: {clean(path, limit=200)}") for path in reports]
    text = "\n".join(_drawn(line, look) for line in lines).rstrip() + "\n"
    return text if look.unicode else in_ascii(text)


def in_ascii(text: str) -> str:
    """The same for a terminal that knows nothing else."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


@dataclass(frozen=True)
class Line:
    """One line, and which colour it has where there are colours."""

    text: str
    kind: str = ""


def _drawn(line: Line, look: TerminalStyle) -> str:
    text = log_line(line.text)
    return f"\x1b[{COLOURS[line.kind]}m{text}\x1b[0m" if look.colour and line.kind else text


def _verdict(model: ModelView, *, quiet: bool = False) -> Line:
    word = "PASS" if model.passed else "FAIL"
    why = (
        f": {clean(model.reason, limit=300)}"
        if quiet
        else f"  {clean(model.result.version, limit=_NAME_LIMIT - 8)}"
    )
    return Line(f"{word}  {clean(model.name, limit=_NAME_LIMIT)}{why}", "pass" if model.passed else "fail")


def _model(model: ModelView, width: int) -> Iterator[Line]:
    yield _verdict(model)
    yield from _wrapped(model.lead, width, indent=2)
    if model.quality:
        yield from _wrapped(model.quality, width, indent=2)
    for symbol, kind, findings in (
        ("✗", "fail", model.problems),
        ("! WAIVED, not solved:", "warn", model.waived),
        ("! warning:", "warn", model.warnings),
    ):
        for finding in findings[:_MOST_PROBLEMS]:
            yield from _finding(finding, symbol, kind, width)
        if len(findings) > _MOST_PROBLEMS:
            yield Line(f"  … and {len(findings) - _MOST_PROBLEMS} more, in the report")
    if model.notes:
        yield Line("")
        yield from _wrapped(f"Noted: {model.noted}", width)
    trust = model.result.environment.trust_reason
    if trust:
        yield Line("")
        yield from _wrapped(
            f"! A refused pickle was loaded all the same, because: {trust}", width, kind="warn"
        )
    if model.change:
        yield Line("")
        yield from _wrapped(f"Change: {model.change}", width)
    yield Line("")
    yield from _grid(("Checklist", *model.checklist.columns), model.checklist.rows, width)
    speeds = tables.latency_table(model.result.latency)
    if speeds:
        yield Line("")
        table = (("Latency, ms for one row", *speeds.head[1:7]), *(row[:7] for row in speeds.rows))
        head, *rows = _narrowed(table, width)
        yield from _columns(head, rows, width)
    yield Line("")
    yield from _wrapped(f"Parity: {model.parity}", width)
    if model.result.artifact is not None:
        yield from _wrapped(f"Artifact: {model.result.artifact.path}", width)


def _finding(finding: ReportedCheck, symbol: str, kind: str, width: int) -> Iterator[Line]:
    where = f" on {finding.runtimes}" if finding.runtimes else ""
    yield Line("")
    yield from _wrapped(f"{symbol} {finding.title}{where} [{finding.id}]", width, indent=2, kind=kind)
    if finding.message:
        yield from _wrapped(finding.message, width, indent=4)
    if finding.waived:
        yield from _wrapped(f"accepted because: {finding.waived}", width, indent=4)
    elif finding.hint:
        yield from _wrapped(f"→ {finding.hint}", width, indent=4)


def _grid(head: tuple[str, ...], rows: Sequence[tuple[str, tuple[Cell, ...]]], width: int) -> Iterator[Line]:
    shown = [
        (title, *(f"{c.mark.plain} {c.words}".replace(" of ", "/").strip() for c in cells))
        for title, cells in rows
    ]
    for pattern, short in _SHORTENINGS:
        if _room((head, *shown)) > width:
            shown = [tuple(re.sub(pattern, short, text) for text in row) for row in shown]
    if _room((head, *shown)) <= width:
        yield from _columns(head, shown, width, right=False)
        return
    # Too narrow for a table: a line a category, with its runtimes by name.
    for title, *cells in shown:
        named = zip(head[1:], cells, strict=True)
        told = [f"{name} {text}" for name, text in named if text != EMPTY.words]
        yield from _wrapped(f"{title}: {', '.join(told)}", width)


def _narrowed(lines: Sequence[tuple[str, ...]], width: int) -> list[tuple[str, ...]]:
    """Without the columns that are missed least, one after the other, until it fits."""
    kept = list(lines)
    for name in _LEAST_MISSED:
        if _room(kept) > width and name in kept[0]:
            place = kept[0].index(name)
            kept = [line[:place] + line[place + 1 :] for line in kept]
    return (
        [(line[0].replace(", ms for one row", ", ms"), *line[1:]) for line in kept]
        if _room(kept) > width
        else kept
    )


def _room(lines: Sequence[tuple[str, ...]]) -> int:
    """The columns that aligned cells take."""
    return sum(2 + max(_width(line[i]) for line in lines) for i in range(len(lines[0])))


def _columns(
    head: tuple[str, ...], rows: Sequence[tuple[str, ...]], width: int, *, right: bool = True
) -> Iterator[Line]:
    """A table of aligned columns; what does not fit the width is cut."""
    cells = [[clean(text, limit=30) for text in line] for line in (head, *rows)]
    widths = [max(_width(line[i]) for line in cells) for i in range(len(head))]
    for line in cells:
        padded = [
            _padded(text, size, right=right and index > 0)
            for index, (text, size) in enumerate(zip(line, widths, strict=True))
        ]
        yield Line(("  " + "  ".join(padded)).rstrip()[:width])


def _wrapped(text: str, width: int, *, indent: int = 2, kind: str = "") -> Iterator[Line]:
    space = " " * indent
    shown = clean(text, limit=_TEXT_LIMIT)
    # Wide characters are wrapped as if all of them stood in one line: short lines, but none too long.
    columns = max(20, width - indent - min(_wide(shown), width // 2))
    for line in textwrap.wrap(shown, width=columns, break_on_hyphens=False) or [""]:
        yield Line(space + line, kind)


def _width(text: str) -> int:
    """Columns that a terminal gives the text: two for a wide character, none for a mark on another one."""
    return len(text) + _wide(text) - sum(unicodedata.combining(character) > 0 for character in text)


def _wide(text: str) -> int:
    return sum(unicodedata.east_asian_width(character) in "WF" for character in text)


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space
