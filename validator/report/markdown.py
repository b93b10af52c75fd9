"""The report as Markdown: a file of the artifact, the job summary, the pull-request comment."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from validator.report import figures, tables
from validator.report.change_tables import change_tables, changed_rows_table
from validator.report.checklist_view import Cell
from validator.report.escape import (
    Safe,
    link_target,
    markdown_code,
    markdown_prose,
    markdown_text,
    summary_prose,
    summary_words,
)
from validator.report.sparklines import feature_shapes, importance_said, importance_table, picture_table
from validator.report.tables import Code, ReportTable
from validator.report.view import ModelView, PageView, page
from validator.results import GateResult

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

#: The shortest limit that the verdict alone always fits.
SMALLEST_LIMIT = 1_000
_LIMITS = {"problems": 8, "message": 1_000, "seen": 200, "rows": 50, "models": 100}
#: The same, when even the verdict has to be brief.
_BRIEF = {"problems": 2, "message": 200, "seen": 100, "rows": 10, "models": 20}


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report that is shown whole or not at all; the lowest `rank` is left out first.

    Neighbours of one `group` are folded together under it.
    """

    name: str
    rank: int
    text: str
    group: str = ""


def render_markdown(
    results: Sequence[GateResult],
    *,
    limit_bytes: int | None = None,
    limit_chars: int | None = None,
    full_report_url: str | None = None,
    volatile: bool = True,
) -> str:
    """The report of one or several models, within both limits (UTF-8 bytes, characters).

    Over a limit whole sections are left out, the least needed first, and named at the end beside a link to the
    full report. Without `volatile` the text holds nothing that differs between two runs of the same commit: no
    measured times, nothing of the machine. Raises ValueError for no result or a limit below `SMALLEST_LIMIT`.
    """
    limits = [limit for limit in (limit_bytes, limit_chars) if limit is not None]
    if limits and min(limits) < SMALLEST_LIMIT:
        raise ValueError(f"a report takes at least {SMALLEST_LIMIT} characters, the limit is {min(limits)}")
    view = page(results, volatile=volatile)
    footer = _Footer(url=link_target(full_report_url), version=results[0].tool_version)

    def fits(text: str) -> bool:
        return (limit_chars is None or len(text) <= limit_chars) and (
            limit_bytes is None or len(text.encode()) <= limit_bytes
        )

    return _fitted(view, footer, fits)


def render_no_change(models: Sequence[str], *, tool_version: str, full_report_url: str | None = None) -> str:
    """The report of a pull request that touches none of the watched models (paths, at most fifty are listed)."""
    footer = _Footer(url=link_target(full_report_url), version=tool_version)
    return _joined([_render("no_change", models=models, limits=_LIMITS), footer.render([])])


@dataclass(frozen=True, kw_only=True)
class _Footer:
    url: Safe | None
    version: str

    def render(self, dropped: Sequence[str]) -> str:
        return _render("footer", dropped=list(dict.fromkeys(dropped)), url=self.url, version=self.version)


def _fitted(view: PageView, footer: _Footer, fits: Callable[[str], bool]) -> str:
    """The longest report that fits: sections go one by one, then the verdicts become brief, then a line is left."""
    for limits in (_LIMITS, _BRIEF):
        sections = _sections(view, limits)
        order = sorted((s for s in sections if s.rank < _NEVER), key=lambda section: section.rank)

        def without(number: int, sections: list[Section] = sections, order: list[Section] = order) -> str:
            gone = {id(section) for section in order[:number]}
            kept = [section for section in sections if id(section) not in gone]
            return _joined([*_grouped(kept), footer.render([section.name for section in order[:number]])])

        first = bisect.bisect_left(range(len(order)), True, key=lambda number: fits(without(number)))
        text = without(first)
        if fits(text):
            return text
    return _joined([_render("minimal", page=view), footer.render(["everything but the verdict"])])


_NEVER = 1_000


def _sections(view: PageView, limits: dict[str, int]) -> list[Section]:
    if len(view.models) == 1:
        return _model_sections(view.models[0], limits, demote=None)
    volatile = view.models[0].volatile
    table = tables.overview_table(view.by_verdict, most=limits["models"], volatile=volatile)
    found = [Section(name="overview", rank=_NEVER, text=_render("overview", page=view, table=table))]
    for index, model in enumerate(view.by_verdict[: limits["models"]]):
        # The last of the models that passed is the first whose details nobody misses.
        demote = 100 + index if model.passed else index
        found += _model_sections(model, limits, demote=demote)
    return found


def _model_sections(model: ModelView, limits: dict[str, int], *, demote: int | None) -> list[Section]:
    """The sections of one model in reading order. `demote` lowers the rank of all, for one of several models."""
    alone = demote is None
    symbol = "✅" if model.passed else "❌"
    group = Safe("" if alone else f"{symbol} Details of <b>{summary_words(model.name)}</b>")
    found: list[Section] = []

    def add(name: str, rank: int, template: str, **values: object) -> None:
        text = _render(template, model=model, limits=limits, **values)
        folded = group if model.passed or template != "verdict" else Safe("")
        found.append(Section(name=name, rank=rank - (demote or 0), text=text, group=folded))

    add("single verdicts", _NEVER if alone else 500, "verdict")
    if model.notes:
        add("notes", 42, "notes")
    _add_change(add, model, limits["rows"])
    add("checklist", 90, "checklist")
    for category in model.checklist.categories:
        name = f"checks of {category.title.lower()}"
        add(name, 80 if category.bad else 40, "checks", category=category)
    noted = tables.evidence_table((*model.problems, *model.waived, *model.warnings), most=20)
    if noted:
        add("evidence", 45, "evidence", table=noted)
    _add_figures(add, model, limits["rows"])
    return found


def _add_change(add: Callable[..., None], model: ModelView, most: int) -> None:
    """What the change does to the model, the first thing after the verdict."""
    change = model.result.change
    if change is None:
        return
    shown = change_tables(model.result, volatile=model.volatile)
    add("change", 88, "change", tables=shown, rows=changed_rows_table(change, most=most))


def _add_figures(add: Callable[..., None], model: ModelView, most: int) -> None:
    result = model.result
    speeds = tables.latency_table(result.latency)
    if speeds and model.volatile:
        add("latency", 85, "latency", table=speeds, batches=tables.batch_table(result.latency))
    add("parity", 84, "parity", table=tables.parity_table(result.parity))
    drawn = picture_table(result, volatile=model.volatile)
    used = importance_table(result)
    if drawn or used:
        add("pictures", 60, "pictures", table=drawn, importance=used, said=importance_said(result))
    if result.quality:
        add("quality", 70, "quality", table=tables.quality_table(result.quality, most=most))
    identity = tables.identity_table(result, method=model.method, volatile=model.volatile)
    add("version", 72, "version", table=identity)
    if result.conversion.hazards:
        add("conversion hazards", 35, "hazards", table=tables.hazard_table(result.conversion.hazards))
    if result.contract is not None:
        add(
            "contract",
            20,
            "contract",
            table=tables.feature_table(result.contract, most=most, shapes=feature_shapes(result)),
        )
    add("environment", 10, "environment", tables=tables.environment_tables(result, volatile=model.volatile))


def _grouped(sections: Sequence[Section]) -> list[str]:
    """The sections' texts, neighbours of one group within one fold."""
    texts: list[str] = []
    for group, members in itertools.groupby(sections, key=lambda section: section.group):
        inner = [section.text for section in members]
        texts += [f"<details><summary>{group}</summary>", *inner, "</details>"] if group else inner
    return texts


def _joined(parts: Sequence[str]) -> str:
    """Sections with one empty line between them and none doubled."""
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(part.strip("\n") for part in parts)) + "\n"


def _mark(cell: Cell) -> Safe:
    """Symbol and word, never broken over two lines of a narrow column."""
    if not cell.mark.symbol:
        return Safe(cell.mark.word)
    words = cell.words.replace(" ", "&nbsp;")
    return Safe(f"{cell.mark.symbol}&nbsp;**{words}**" if cell.blocks else f"{cell.mark.symbol}&nbsp;{words}")


def _table(table: ReportTable) -> Safe:
    """Every cell escaped: names as code, the rest as words."""
    lines = [table.head, *table.rows]
    shown = ["| " + " | ".join(_value(value) for value in line) + " |" for line in lines]
    shown.insert(1, "|" + "|".join("---" if i < table.words else "--:" for i in range(len(table.head))) + "|")
    if table.left_out:
        shown += ["", f"… and {figures.count(table.left_out, 'more row')} in `{table.whole}`."]
    return Safe("\n".join(shown))


def _value(value: str) -> Safe:
    return markdown_code(value) if isinstance(value, Code) else markdown_text(value)


def _escape_by_default(value: object) -> object:
    """Whatever a template prints is plain words, unless a filter has escaped it for its place."""
    if isinstance(value, str) and not isinstance(value, Safe):
        return markdown_text(value)
    return value


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("validator.report", "templates/markdown"),
        undefined=StrictUndefined,
        finalize=_escape_by_default,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # it would escape HTML; `finalize` escapes for Markdown
    )
    environment.filters |= {
        "code": lambda text, limit=80: markdown_code(text, limit=limit),
        "prose": lambda text, limit=400: markdown_prose(text, limit=limit),
        "text": lambda text, limit=400: markdown_text(text, limit=limit),
        "summary": lambda text, limit=80: summary_words(text, limit=limit),
        "summary_prose": lambda text, limit=400: summary_prose(text, limit=limit),
        "mark": _mark,
        "safe_html": Safe,
        "number": lambda value: Safe(figures.number(value)),
        "count": lambda value, word: Safe(figures.count(value, word)),
        "scalar": figures.scalar,
        "table": _table,
    }
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(f"{template}.md.j2").render(**values)
