"""The report as one web page with pictures: no script, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

from markupsafe import Markup

from validator.drift import wording
from validator.drift.document import ColumnReport, DriftReport
from validator.drift.pictures import histogram, timeline
from validator.report.drawing import bars
from validator.report.escape import clean
from validator.report.self_contained import self_contained

_MOST_CARDS = 120
#: So many at least are shown at once; further ones that are well when the reader asks for them.
_FEW_CARDS = 12
_MOST_BARS = 20
_BADGES = {"fail": "drift", "insufficient": "not known", "warn": "look", "ok": "ok"}


def render_html(report: DriftReport) -> str:
    """A self-contained page whose content-security policy allows its own style alone."""
    parts = [_header(report), _notes(report), _time(report), _contributions(report), _quality(report)]
    body = Markup("\n").join([*(part for part in parts if part), _columns(report)])
    title = f"{_BADGES[report.status]}: {clean(report.model)}"
    return self_contained(title, Markup("<main>\n{}\n</main>").format(body), package="validator.drift")


def _header(report: DriftReport) -> Markup:
    return Markup(
        '<h1>{} {}</h1><p>{}</p><p class="soft">{}, compared with {} ({} rows). Version {}.</p>'
    ).format(
        _badge(report.status),
        clean(report.model),
        clean(wording.headline(report), limit=1_000),
        wording.rows_line(report),
        clean(report.against, limit=300),
        f"{report.reference_rows:,}",
        clean(report.version),
    )


def _notes(report: DriftReport) -> Markup:
    if not report.notes:
        return Markup("")
    items = Markup("").join(Markup("<li>{}</li>").format(clean(note, limit=1_000)) for note in report.notes)
    return Markup("<ul>{}</ul>").format(items)


def _time(report: DriftReport) -> Markup:
    if not report.windows:
        return Markup("")
    items = [(clean(one.label), one.status, one.largest_psi) for one in report.windows]
    rows = Markup("").join(
        Markup('<tr><td>{}</td><td class="n">{}</td><td>{}</td><td>{}</td></tr>').format(
            clean(one.label),
            f"{one.rows:,}",
            _BADGES[one.status],
            ", ".join(clean(name, limit=40) for name in one.failing[:8]),
        )
        for one in report.windows
    )
    return Markup(
        "<h2>Over time</h2>{}"
        '<p class="key">Height: the largest PSI of any column; dashed: 0.2; colour: the verdict.</p>'
        '<div class="wide"><table><tr><th>Window</th><th class="n">Rows</th><th>Verdict</th><th>Drifted</th></tr>'
        "{}</table></div>"
    ).format(timeline(items, title="the verdict of each window"), rows)


def _contributions(report: DriftReport) -> Markup:
    known = [(one.name, one.contribution) for one in report.columns if one.contribution]
    if not known:
        return Markup("")
    items = sorted(known, key=lambda one: -one[1])[:_MOST_BARS]
    return Markup(
        '<h2>What moves the predictions</h2><p class="soft">Each feature\'s distribution is put back to the '
        "reference's by rank, and the model asked again: its part of all changes of the prediction.</p>{}"
    ).format(bars(items, title="each feature's part in the shift of the predictions"))


def _quality(report: DriftReport) -> Markup:
    if not report.quality:
        return Markup("")
    items = Markup("").join(
        Markup("<li>{}</li>").format(clean(wording.measured(one), limit=1_000)) for one in report.quality
    )
    return Markup("<h2>Quality, where the truth is known</h2><ul>{}</ul>").format(items)


def _columns(report: DriftReport) -> Markup:
    cards = [_card(column) for column in report.worst_first[:_MOST_CARDS]]
    few = max(_FEW_CARDS, sum(_status(column) != "ok" for column in report.columns))
    hidden, more = len(report.columns) - len(cards), Markup("")
    if rest := cards[few:]:
        folded = Markup('<details><summary>{} more, all ok</summary><div class="grid">{}</div></details>')
        more += folded.format(len(rest), Markup("").join(rest))
    if hidden:
        more += Markup("<p>{} more columns are in drift.json.</p>").format(hidden)
    return Markup(
        '<h2>Columns, worst first</h2><p class="key"><span class="swatch"></span>reference'
        '<span class="swatch is-now"></span>now</p><div class="grid">{}</div>{}'
    ).format(Markup("").join(cards[:few]), more)


def _status(column: ColumnReport) -> str:
    return "warn" if column.status == "insufficient" and wording.specials(column) else column.status


def _card(column: ColumnReport) -> Markup:
    picture = Markup("")
    if len(column.bins) > 1:
        before, now = ([getattr(one, key) for one in column.bins] for key in ("before", "now"))
        picture = histogram(before, now, title=f"shares of the bins of {column.name}, then and now")
    role = " (output)" if column.role == "output" else ""
    part = wording.contribution(column)
    return Markup('<div class="card"><div class="head"><h3>{}{}</h3>{}</div><p>{}</p>{}{}</div>').format(
        clean(column.name, limit=80),
        role,
        _badge(_status(column)),
        clean(wording.told(column), limit=1_000),
        Markup("<p>{}</p>").format(part) if part else "",
        picture,
    )


def _badge(status: str) -> Markup:
    return Markup('<span class="verdict {}">{}</span>').format(status, _BADGES[status])
