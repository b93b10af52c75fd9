"""Live quality as a page: a picture for each metric, week by week, a line for each version."""

from __future__ import annotations

from markupsafe import Markup

from validator.monitoring.charts import Chart, amount, draw
from validator.monitoring.page import whole
from validator.monitoring.quality import LiveQuality, Standing
from validator.report.escape import clean

_WEEK = 7 * 86_400.0


def render(found: LiveQuality) -> str:
    """A self-contained page without scripts."""
    start = min((one.start for one in found.cells), default=0.0)
    end = max((one.start for one in found.cells), default=_WEEK) + _WEEK
    charts = Markup("").join(
        draw(
            Chart(
                title=metric,
                lines=tuple(_lines(found, metric)),
                start=start,
                end=end,
                step=_WEEK,
                floor_zero=False,
                about="Each week, with the ends of its 95 % interval.",
            )
        )
        for metric in sorted({one.metric for one in found.cells})
    )
    state, word = ("ok", "as judged") if found.is_compared else ("", "nothing to compare with")
    if found.is_worse:
        state, word = "warn", "worse than judged"
    body = Markup(
        '<header><h1><span class="badge {}">{}</span> Live quality of {}</h1>'
        '<p class="soft">{} predictions with a true answer, {} without one yet, {} that share an id.</p></header>'
        '<main id="main"><h2>The last four weeks</h2>'
        '<div class="wide" tabindex="0" role="region" aria-label="The last four weeks"><table><thead><tr>'
        '<th scope="col">Version</th><th scope="col">Metric</th><th scope="col">Now</th>'
        '<th scope="col">95 % interval</th>'
        '<th scope="col">Reference</th><th scope="col">Rows</th><td></td></tr></thead>'
        "<tbody>{}</tbody></table>"
        '</div><h2>By week</h2><div class="charts">{}</div></main>'
    ).format(
        state,
        word,
        clean(found.model),
        f"{found.joined:,}",
        f"{found.waiting:,}",
        f"{found.ambiguous:,}",
        Markup("").join(_row(one) for one in found.standings),
        charts,
    )
    return whole(f"Live quality of {clean(found.model)}", body)


def _row(one: Standing) -> Markup:
    return Markup(
        '<tr><th scope="row">{}</th><td>{}</td><td>{}</td><td>{} … {}</td><td>{}</td><td>{}</td><td>{}</td></tr>'
    ).format(
        clean(one.version),
        one.metric,
        amount(one.value, ""),
        amount(one.low, ""),
        amount(one.high, ""),
        "" if one.before is None else amount(one.before, ""),
        f"{one.rows:,}",
        clean(one.reason, limit=200),
    )


def _lines(found: LiveQuality, metric: str) -> list[tuple[str, list[tuple[float, float]]]]:
    lines = []
    for version in sorted({one.version for one in found.cells}):
        own = [one for one in found.cells if one.metric == metric and one.version == version]
        for name, key in (("", "value"), (", lower end", "low"), (", higher end", "high")):
            lines.append((version + name, [(one.start + _WEEK / 2, getattr(one, key)) for one in own]))
    return lines
