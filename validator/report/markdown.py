"""The report as Markdown: a file of the artifact, the job summary, the pull-request comment."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from validator.report import figures
from validator.report.checklist_view import RUNTIME_TITLES, Cell
from validator.report.escape import Safe, link_target, markdown_code, markdown_prose, markdown_text
from validator.report.view import ModelView, PageView, page, parity_rows
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
    """A part of the report that is shown whole or not at all; the lowest `rank` is left out first."""

    name: str
    rank: int
    text: str


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


def render_no_change(
    models: Sequence[str], *, tool_version: str, full_report_url: str | None = None
) -> str:
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
        kept = _sections(view, limits)
        order = sorted(kept, key=lambda section: section.rank)
        dropped: list[str] = []
        while True:
            text = _joined([section.text for section in kept] + [footer.render(dropped)])
            if fits(text):
                return text
            if not order or order[0].rank >= _NEVER:
                break
            section = order.pop(0)
            kept.remove(section)
            dropped.append(section.name)
    return _joined([_render("minimal", page=view), footer.render(["everything but the verdict"])])


_NEVER = 1_000


def _sections(view: PageView, limits: dict[str, int]) -> list[Section]:
    if len(view.models) == 1:
        return _model_sections(view.models[0], limits, demote=0)
    found = [
        Section(
            name="overview",
            rank=_NEVER,
            text=_render("overview", page=view, limits=limits, volatile=view.models[0].volatile),
        )
    ]
    for index, model in enumerate(view.by_verdict[: limits["models"]]):
        # The last of the models that passed is the first whose details nobody misses.
        demote = 100 + index if model.passed else index
        found += _model_sections(model, limits, demote=demote)
    return found


def _model_sections(model: ModelView, limits: dict[str, int], *, demote: int) -> list[Section]:
    """The sections of one model in reading order. `demote` lowers the rank of all, for one of several models."""
    result = model.result
    several = demote > 0
    suffix = ""

    def section(name: str, rank: int, template: str, **values: Any) -> Section:
        text = _render(template, model=model, limits=limits, **values)
        return Section(name=name + suffix, rank=rank - demote, text=text)

    found = [section("verdicts of single models", 500 if several else _NEVER, "verdict")]
    found.append(section("checklist", 90, "checklist"))
    for category in model.checklist.categories:
        name = f"checks ({category.title.lower()})"
        found.append(section(name, 80 if category.bad else 40, "checks", category=category))
    findings = [f for f in (*model.problems, *model.waived, *model.warnings) if f.evidence]
    if findings:
        found.append(section("evidence", 45, "evidence", findings=findings))
    latencies = [
        (title, row)
        for title, row in (
            ("Native", result.latency.native),
            ("ONNX", result.latency.onnx),
            ("Deployment", result.latency.deployment),
        )
        if row
    ]
    if latencies and model.volatile:
        found.append(section("latency", 85, "latency", latencies=latencies))
    rows = parity_rows(result.parity) if result.parity.level != "none" else ()
    found.append(section("parity", 84, "parity", parity_rows=rows))
    if result.change is not None:
        found.append(section("change", 75, "change"))
    if result.quality:
        found.append(section("quality", 70, "quality"))
    found.append(section("version", 72, "version"))
    if result.conversion.hazards:
        found.append(section("conversion hazards", 35, "hazards"))
    if result.contract is not None:
        found.append(section("contract", 20, "contract"))
    found.append(section("environment", 10, "environment"))
    return found


def _joined(parts: Sequence[str]) -> str:
    """Sections with one empty line between them and none doubled."""
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(part.strip("\n") for part in parts)) + "\n"


def _mark(cell: Cell) -> Safe:
    """Symbol and word, never broken over two lines of a narrow column."""
    if not cell.mark.symbol:
        return Safe(cell.mark.word)
    words = cell.words.replace(" ", "&nbsp;")
    return Safe(f"{cell.mark.symbol}&nbsp;**{words}**" if cell.blocks else f"{cell.mark.symbol}&nbsp;{words}")


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
        autoescape=False,  # noqa: S701 - it would escape HTML; `finalize` escapes for Markdown
    )
    environment.filters |= {
        "code": lambda text, limit=80: markdown_code(text, limit=limit),
        "prose": lambda text, limit=400: markdown_prose(text, limit=limit),
        "text": lambda text, limit=400: markdown_text(text, limit=limit),
        "mark": _mark,
        "safe_html": Safe,
        "ms": lambda value: Safe(figures.milliseconds(value)),
        "number": lambda value: Safe(figures.number(value)),
        "factor": lambda value: Safe(figures.factor(value)),
        "size": lambda value: Safe(figures.size(value)),
        "count": lambda value, word: Safe(figures.count(value, word)),
        "scalar": figures.scalar,
        "runtime": lambda name: RUNTIME_TITLES[name],
    }
    return environment


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(f"{template}.md.j2").render(**values)
