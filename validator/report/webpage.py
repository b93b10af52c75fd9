"""The report as one web page: no script, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from validator.report import figures, tables
from validator.report.change_tables import change_tables, changed_rows_table
from validator.report.escape import PROSE_LIMIT, clean
from validator.report.pictures import pictures
from validator.report.tables import Code, ReportTable
from validator.report.view import ModelView, page
from validator.results import GateResult

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment

#: A page holds far more than a comment, but no browser likes a table of 100,000 features.
MOST_ROWS = 1_000
_NAME_LIMIT = 120
#: Models of one page that are shown with pictures; each has a page of its own as well.
_MOST_PICTURED = 20
_TEXT_LIMIT = 2_000


def render_html(results: Sequence[GateResult], *, volatile: bool = True) -> str:
    """A self-contained page about one or several models, whose content-security policy allows its own style alone.

    Without `volatile` nothing in it differs between two runs of the same commit. Raises ValueError for no result.
    """
    view = page(results, volatile=volatile)
    environment = _environment()
    loader = environment.loader
    if loader is None:
        raise RuntimeError("the template environment has a loader")
    style = Markup(loader.get_source(environment, "style.css")[0].strip())  # noqa: S704 - our own style sheet
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sections = [
        (model, _tables(model), pictures(model.result, volatile=model.volatile) if i < _MOST_PICTURED else [])
        for i, model in enumerate(view.by_verdict)
    ]
    overview = tables.overview_table(view.by_verdict, most=MOST_ROWS, volatile=volatile)
    template = environment.get_template("page.html.j2")
    return (
        template.render(page=view, overview=overview, sections=sections, style=style, style_hash=digest)
        + "\n"
    )


def _tables(model: ModelView) -> dict[str, ReportTable | list[ReportTable] | None]:
    result, change, contract = model.result, model.result.change, model.result.contract
    return {
        "latency": tables.latency_table(result.latency),
        "batches": tables.batch_table(result.latency),
        "parity": tables.parity_table(result.parity),
        "change": change_tables(result, volatile=model.volatile),
        "changed_rows": None if change is None else changed_rows_table(change, most=MOST_ROWS),
        "quality": tables.quality_table(result.quality, most=MOST_ROWS),
        "identity": tables.identity_table(result, method=model.method, volatile=model.volatile),
        "hazards": tables.hazard_table(result.conversion.hazards),
        "features": None if contract is None else tables.feature_table(contract, most=MOST_ROWS),
        "environment": tables.environment_tables(result, volatile=model.volatile),
    }


def _prose(text: str, limit: int = PROSE_LIMIT) -> Markup:
    """A sentence whose `quoted` parts become code."""
    parts = clean(text, limit=limit).split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    shown = (
        Markup("<code>{}</code>").format(part) if i % 2 else escape(part) for i, part in enumerate(parts)
    )
    return Markup("").join(shown)


def _shown(value: str) -> Markup:
    text = clean(value, limit=_TEXT_LIMIT)
    return Markup("<code>{}</code>").format(text) if isinstance(value, Code) else escape(text)


def _cleaned(value: object) -> object:
    """Hidden characters are shown in whatever a template prints; Jinja escapes the markup."""
    return (
        clean(value, limit=_NAME_LIMIT) if isinstance(value, str) and not isinstance(value, Markup) else value
    )


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("validator.report", "templates/html"),
        undefined=StrictUndefined,
        finalize=_cleaned,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": _prose,
        "shown": _shown,
        "number": figures.number,
        "count": figures.count,
        "scalar": figures.scalar,
        "evidence": lambda findings: tables.evidence_table(findings, most=100),
    }
    return environment
