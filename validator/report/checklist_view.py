"""The checks of a run as tables: a row per check, a column per runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from validator.causes import blocks, is_note
from validator.report.figures import count
from validator.results import Category, CheckResult, RuntimeName, Status

CATEGORY_TITLES: dict[Category, str] = {
    "load": "Loading",
    "convert": "Conversion",
    "parity": "Parity",
    "smoke": "Smoke tests",
    "errors": "Error scenarios",
    "latency": "Latency",
    "quality": "Quality",
    "profile": "Profile",
    "wrapper": "Your wrapper",
    "version": "Version",
}
RUNTIME_TITLES: dict[RuntimeName, str] = {
    "": "Overall",
    "native": "Native",
    "onnx": "ONNX",
    "deployment": "Deployment",
    "wrapper": "Your wrapper",
}
#: Worst first: what a cell that stands for several checks shows.
_ORDER = ("blocked", "error", "fail", "waived", "warn", "pass", "note", "measured", "none")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """How a status looks: never by colour or symbol alone, always with its word."""

    kind: str
    symbol: str
    plain: str
    word: str


MARKS = {
    "pass": Mark(kind="pass", symbol="✅", plain="✓", word="pass"),
    "fail": Mark(kind="fail", symbol="❌", plain="✗", word="fail"),
    "warn": Mark(kind="warn", symbol="⚠️", plain="!", word="warning"),
    "skip": Mark(kind="skip", symbol="⏭️", plain="-", word="not run"),
    "error": Mark(kind="fail", symbol="💥", plain="✗", word="error"),
    "waived": Mark(kind="warn", symbol="🔶", plain="!", word="waived"),
    "note": Mark(kind="note", symbol="💬", plain="·", word="noted"),
    "none": Mark(kind="none", symbol="\N{HEAVY MINUS SIGN}", plain="-", word="n/a"),
    "measured": Mark(kind="skip", symbol="⏱️", plain="~", word="per run"),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One check on one runtime, or all checks of a category on it.

    `blocks` makes it stand out: what failed by itself, not what could not run then.
    """

    mark: Mark
    note: str = ""
    blocks: bool = False
    rest: str = ""

    @property
    def words(self) -> str:
        return f"{self.note} {self.mark.word}{self.rest}".strip()


EMPTY = Cell(mark=Mark(kind="none", symbol="", plain="", word="\N{EN DASH}"))


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """One check on every runtime that it ran on."""

    id: str
    title: str
    cells: tuple[Cell, ...]
    seen: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class CategoryView:
    """The checks of one category. `cells` sum them up per runtime, in the order of the checklist's columns."""

    name: Category
    title: str
    columns: tuple[str, ...]
    rows: tuple[CheckRow, ...]
    symbol: str
    summary: str
    bad: bool


@dataclass(frozen=True, kw_only=True)
class ChecklistView:
    """The checklist as a table, a row a category, and below it a table for each."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    categories: tuple[CategoryView, ...]


def is_volatile(check: CheckResult) -> bool:
    """Whether two runs of the same commit may report this check in different words."""
    return check.category == "latency" or any(item.volatile for item in check.evidence)


def checklist(checks: Sequence[CheckResult], *, volatile: bool) -> ChecklistView:
    """All checks, by category and runtime. Without `volatile`, whatever depends on measured times is left out."""
    used = {check.runtime for check in checks}
    runtimes = tuple(name for name in RUNTIME_TITLES if name in used)
    categories: list[CategoryView] = []
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    for category, title in CATEGORY_TITLES.items():
        own = [check for check in checks if check.category == category]
        if own:
            grouped = [[check for check in own if check.runtime == runtime] for runtime in runtimes]
            rows.append((title, tuple(_sum(group, volatile=volatile) for group in grouped)))
            categories.append(_category(category, title, own, volatile=volatile))
    columns = tuple(RUNTIME_TITLES[name] for name in runtimes)
    return ChecklistView(columns=columns, rows=tuple(rows), categories=tuple(categories))


def _category(name: Category, title: str, checks: list[CheckResult], *, volatile: bool) -> CategoryView:
    used = {check.runtime for check in checks}
    runtimes = tuple(runtime for runtime in RUNTIME_TITLES if runtime in used)
    by_id: dict[str, list[CheckResult]] = {}
    for check in checks:
        by_id.setdefault(check.id, []).append(check)
    rows = [_row(same, runtimes, volatile=volatile) for same in by_id.values()]
    rows.sort(key=lambda row: not any(cell.blocks for cell in row.cells))
    bad = [check for check in checks if blocks(check) and check.status != "skip"]
    not_run = sum(blocks(check) and check.status == "skip" for check in checks)
    other = sum(_kind(check, volatile=volatile) in ("waived", "warn", "fail", "error") for check in checks)
    parts = [count(len(checks), "check")]
    parts += [f"{len(bad)} blocking"] if bad else []
    parts += [f"{not_run} not run"] if not_run else []
    parts += [f"{other} to note"] if other else []
    return CategoryView(
        name=name,
        title=title,
        columns=tuple(RUNTIME_TITLES[runtime] for runtime in runtimes),
        rows=tuple(rows),
        symbol=_sum(checks, volatile=volatile).mark.symbol,
        summary=", ".join(parts),
        bad=bool(bad),
    )


def _row(checks: list[CheckResult], runtimes: tuple[RuntimeName, ...], *, volatile: bool) -> CheckRow:
    groups = [[check for check in checks if check.runtime == runtime] for runtime in runtimes]
    cells = tuple(_sum(group, volatile=volatile, count_them=len(group) > 1) for group in groups)
    said: dict[str, list[str]] = {}
    for check in checks:
        if check.message and (volatile or not is_volatile(check)):
            said.setdefault(check.message, []).append(RUNTIME_TITLES[check.runtime])
    seen = tuple(("" if len(said) == 1 else ", ".join(names), message) for message, names in said.items())
    return CheckRow(id=checks[0].id, title=checks[0].title, cells=cells, seen=seen)


def _kind(check: CheckResult, *, volatile: bool) -> str:
    if blocks(check):
        return "blocked"
    if check.waived and check.status != "pass":
        return "waived"
    if not volatile and is_volatile(check):
        return "measured"
    if is_note(check):
        return "note"
    return "none" if check.status == "skip" else check.status


def _sum(checks: list[CheckResult], *, volatile: bool, count_them: bool = True) -> Cell:
    """One cell for several checks: the worst of them and how many of how many."""
    if not checks:
        return EMPTY
    kinds = [_kind(check, volatile=volatile) for check in checks]
    kinds = [kind for kind in kinds if kind != "none"] or kinds
    worst = next(kind for kind in _ORDER if kind in kinds)
    blocking = _blocking_status(checks)
    mark = MARKS[blocking if worst == "blocked" else worst]
    number = sum(blocks(check) and check.status == blocking for check in checks)
    number = number if worst == "blocked" else kinds.count(worst)
    noted = kinds.count("note") if worst == "pass" and count_them else 0
    note = (
        "" if not count_them else f"{number}" if number + noted == len(kinds) else f"{number} of {len(kinds)}"
    )
    return Cell(
        mark=mark,
        note=note,
        blocks=worst == "blocked" and mark.kind == "fail",
        rest=f", {noted} noted" if noted else "",
    )


def _blocking_status(checks: list[CheckResult]) -> Status:
    """What to call several checks that block: what failed by itself tells more than what could not run then."""
    statuses = [check.status for check in checks if blocks(check)]
    return next((status for status in statuses if status != "skip"), "skip")
