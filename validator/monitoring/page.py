"""The history as one web page: no script, nothing loaded from anywhere, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from markupsafe import Markup

from validator.monitoring.charts import Band, Chart, draw, pair_of_bars, spans
from validator.monitoring.gather import Alerted, Column, Seen
from validator.report.escape import clean
from validator.report.self_contained import Follow, self_contained

_MOST_COLUMNS = 120
_MOST_ALERTS = 60
#: So many are shown one by one; further ones when the reader asks for them.
_FEW_ALERTS = 6
_FEW_COLUMNS = 12
_WORDS = {"fail": "drift", "none": "cannot tell", "warn": "look", "ok": "ok"}
_CLASSES = {"fail": "fail", "warn": "warn", "ok": "ok", "none": ""}


def render(seen: Seen, *, follow: Follow | None = None, runbooks: str = "") -> str:
    """A self-contained page whose content-security policy allows its own style alone."""
    firing = sum(one.firing for one in seen.alerts)
    parts = [
        _header(seen, firing),
        Markup('<main id="main">'),
        _alerts(seen, runbooks),
        _section("service", "Service", Markup('<div class="charts">{}</div>').format(_charts(seen.charts))),
        _columns("drift", "Features", seen.features, seen) if seen.features else Markup(""),
        _columns("outputs", "Outputs", seen.outputs, seen) if seen.outputs else Markup(""),
        _section(
            "quality", "Live quality", Markup('<div class="charts">{}</div>').format(_charts(seen.quality))
        )
        if seen.quality
        else Markup(""),
        Markup("</main>"),
    ]
    title = f"{f'({firing}) ' if firing else ''}{clean(seen.model)}"
    return whole(title, Markup("\n").join(part for part in parts if part), follow=follow)


def whole(title: str, body: Markup, *, follow: Follow | None = None) -> str:
    """A page of this body, with our style and nothing else."""
    page = Markup('<a class="skip" href="#main">To the figures</a>\n') + body
    return self_contained(title, page, package="validator.monitoring", follow=follow)


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"


def _header(seen: Seen, firing: int) -> Markup:
    state, word = (
        ("fail", f"{firing} alert{'s fire' if firing > 1 else ' fires'}")
        if firing
        else ("ok", "no alert fires")
    )
    if not seen.watched:
        state, word = "warn", "no watchdog: alerts are not evaluated"
    if seen.is_empty:
        state, word = "fail", "nothing is known"
    versions = Markup("").join(
        Markup("<li>{}, verdict {}{}, made {}</li>").format(
            clean(version),
            clean(verdict),
            f", overridden: {clean(override)}" if override else "",
            _moment(created),
        )
        for version, verdict, override, created in seen.versions
    )
    links = [("alerts", "Alerts"), ("service", "Service")]
    optional: dict[str, tuple[str, object]] = {
        "drift": ("Features", seen.features),
        "outputs": ("Outputs", seen.outputs),
    }
    optional["quality"] = ("Live quality", seen.quality)
    links += [(name, title) for name, (title, there) in optional.items() if there]
    empty = (
        Markup(
            "<p>Prometheus holds no metric of this model in this time. Is the name right, does the model serve, "
            "and is it scraped?</p>"
        )
        if seen.is_empty
        else Markup("")
    )
    notes = Markup("").join(Markup("<p>{}</p>").format(note) for note in seen.notes if not seen.is_empty)
    return Markup(
        '<header><h1><span class="badge {}">{}</span> {}</h1><p class="soft">{} to {}</p>{}{}{}'
        '<nav aria-label="Sections"><ul>{}</ul></nav>{}</header>'
    ).format(
        state,
        word,
        clean(seen.model),
        _moment(seen.start),
        _moment(seen.end),
        Markup("<ul>{}</ul>").format(versions) if versions else "",
        empty,
        notes,
        Markup("").join(Markup('<li><a href="#{}">{}</a></li>').format(*link) for link in links),
        Markup(
            '<p class="soft"><span class="key rollout" aria-hidden="true"></span>Shaded in the charts: '
            "a rollout was under way.</p>"
        )
        if seen.rollouts
        else "",
    )


def _section(name: str, title: str, body: Markup) -> Markup:
    return Markup('<section aria-labelledby="{0}"><h2 id="{0}">{1}</h2>{2}</section>').format(
        name, title, body
    )


def _charts(charts: tuple[Chart, ...]) -> Markup:
    return Markup("").join(draw(chart) for chart in charts)


def _alerts(seen: Seen, runbooks: str) -> Markup:
    if not seen.alerts:
        told = "None fired in this time." if seen.watched else "None is known: the rules are not loaded."
        return _section("alerts", "Alerts", Markup("<p>{}</p>").format(told))
    shown = seen.alerts[:_MOST_ALERTS]
    first, rest = shown[:_FEW_ALERTS], shown[_FEW_ALERTS:]
    table = _table_of_alerts(first, runbooks, "Table of alerts")
    if rest:
        table += Markup("<details><summary>{} more</summary>{}</details>").format(
            len(rest), _table_of_alerts(rest, runbooks, "Table of further alerts")
        )
    picture = spans(
        _rows_of_picture(shown),
        seen.start,
        seen.end,
        title=f"When alerts fired: {', '.join(sorted({one.name for one in shown[:20]}))}",
    )
    hidden = len(seen.alerts) - len(shown)
    return _section(
        "alerts",
        "Alerts",
        Markup('<figure class="spans">{}</figure>{}{}').format(
            picture, table, Markup("<p>{} more are not shown.</p>").format(hidden) if hidden else ""
        ),
    )


def _table_of_alerts(alerts: Sequence[Alerted], runbooks: str, label: str) -> Markup:
    return Markup(
        '<div class="wide alerts" tabindex="0" role="region" aria-label="{}"><table><thead><tr>'
        '<th scope="col">Alert</th><th scope="col">About</th><th scope="col">Severity</th><th scope="col">Now</th>'
        '<th scope="col">Since</th><th scope="col">Times</th></tr></thead><tbody>{}</tbody></table></div>'
    ).format(label, Markup("").join(_alert(one, runbooks) for one in alerts))


def _rows_of_picture(alerts: Sequence[Alerted]) -> list[tuple[str, Sequence[Band]]]:
    """One row an alert; of many one row a name, which tells how many there are."""
    if len(alerts) <= _FEW_ALERTS:
        return [(_short(one), one.spans) for one in alerts]
    by_name: dict[str, list[Alerted]] = {}
    for one in alerts:
        by_name.setdefault(one.name, []).append(one)
    return [
        (
            f"{name.removeprefix('Preflight')} ({len(some)})" if len(some) > 1 else _short(some[0]),
            [band for one in some for band in one.spans],
        )
        for name, some in by_name.items()
    ]


def _short(one: Alerted) -> str:
    """What a row of the picture has room for: which alert, and about what; the table below has all of it."""
    about = one.about.partition(", version ")[0].removeprefix("feature ").removeprefix("output ")
    return " ".join(
        (one.name.removeprefix("Preflight"), "" if about.startswith("version ") else about)
    ).strip()


def _alert(one: Alerted, runbooks: str) -> Markup:
    name = clean(one.name)
    link = (
        Markup('<a href="{}/{}/" rel="noreferrer">{}</a>').format(runbooks, name, name) if runbooks else name
    )
    return Markup(
        '<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>'
    ).format(
        link,
        clean(one.about, limit=160),
        clean(one.severity),
        Markup('<span class="badge fail">fires</span>') if one.firing else "over",
        _moment(one.spans[-1].start) if one.spans else "",
        len(one.spans),
    )


def _columns(name: str, title: str, columns: tuple[Column, ...], seen: Seen) -> Markup:
    cards = [_card(column, seen) for column in columns[:_MOST_COLUMNS]]
    few = max(_FEW_COLUMNS, sum(column.status in ("fail", "warn") for column in columns))
    body = Markup('<div class="grid2">{}</div>').format(Markup("").join(cards[:few]))
    if rest := cards[few:]:
        body += Markup('<details><summary>{} more</summary><div class="grid2">{}</div></details>').format(
            len(rest), Markup("").join(rest)
        )
    hidden = len(columns) - len(cards)
    if hidden:
        body += Markup("<p>{} more are not shown.</p>").format(hidden)
    counts = {word: sum(column.status == status for column in columns) for status, word in _WORDS.items()}
    told = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    return _section(
        name,
        title,
        Markup(
            '<p class="soft">{}: the last 24 hours, worst first. '
            '<span class="key then" aria-hidden="true"></span>reference '
            '<span class="key now" aria-hidden="true"></span>now</p>{}'
        ).format(told, body),
    )


def _card(column: Column, seen: Seen) -> Markup:
    picture = pair_of_bars(column.before, column.now, title=f"Shares of the bins of {column.name}")
    told = [f"{column.rows:,.0f} rows"]
    if column.psi is not None:
        told.append(f"PSI {column.psi:.2f}")
    if column.floor is not None:
        told.append(f"chance explains {column.floor:.2f}")
    special = [
        f"{slot} {before:.1%} → {now:.1%}" for slot, before, now in column.special if abs(now - before) > 0.01
    ]
    past = (
        draw(
            Chart(
                title=f"PSI of {column.name} over time",
                lines=(("PSI", column.past),),
                start=seen.start,
                end=seen.end,
                limit=0.2,
                bands=seen.rollouts,
                step=(seen.end - seen.start) / 240,
            )
        )
        if column.past
        else Markup("")
    )
    return Markup(
        '<article class="card"><div class="head"><h3>{}</h3><span class="badge {}">{}</span></div>'
        '<p class="soft">{}</p>'
        "{}{}<details><summary>PSI over time</summary>{}</details></article>"
    ).format(
        clean(column.name, limit=80),
        _CLASSES[column.status],
        _WORDS[column.status],
        "; ".join(told),
        Markup("<p>{}</p>").format("; ".join(special)) if special else "",
        picture,
        past or Markup('<p class="none">No data in this time.</p>'),
    )
