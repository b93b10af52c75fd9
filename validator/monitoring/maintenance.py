"""What changed since the reference, and what to train with: where age, drift and live quality lead to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from markupsafe import Markup

from validator.monitoring.gather import Column, Seen
from validator.monitoring.page import whole
from validator.monitoring.quality import LiveQuality
from validator.report.drawing import sparkline
from validator.report.escape import clean, markdown_text

_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """`reasons` why a model is due, empty where nothing says so; `unknown` is what could not be looked at."""

    seen: Seen
    quality: LiveQuality | None
    reasons: tuple[str, ...]
    unknown: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def status(self) -> Literal["due", "unknown", "well"]:
        if self.reasons:
            return "due"
        return "unknown" if self.unknown else "well"


def judge(seen: Seen, quality: LiveQuality | None, *, retrain_after_days: float) -> Maintenance:
    """Put together what is known. Pure."""
    drifted = [one for one in (*seen.features, *seen.outputs) if one.status == "fail"]
    special = [one for one in seen.features if _news(one)]
    worse = [one for one in quality.standings if one.status == "warn"] if quality else []
    reasons = [
        f"version {version} is {(seen.end - created) / _DAY:.0f} days old, due after {retrain_after_days:g}"
        for version, _, _, created in seen.versions
        if created and seen.end - created > retrain_after_days * _DAY
    ]
    reasons += [f"{one.name} has drifted: PSI {one.psi:.2f}" for one in drifted]
    reasons += [f"{one.name}: {', '.join(_news(one))}" for one in special]
    reasons += [f"{one.metric} of {one.version} is {one.value:.3g}: {one.reason}" for one in worse]
    return Maintenance(
        seen=seen,
        quality=quality,
        reasons=tuple(reasons),
        unknown=tuple(_unknown(seen, quality)),
        advice=tuple(_advice(seen, drifted, special, bool(worse))),
    )


def _news(column: Column) -> list[str]:
    """Special values that are more frequent by one in a hundred rows."""
    return [f"{slot} {before:.1%} → {now:.1%}" for slot, before, now in column.special if now - before > 0.01]


def _unknown(seen: Seen, quality: LiveQuality | None) -> Iterator[str]:
    if seen.is_empty:
        yield "Prometheus knows nothing of the model in this time"
        return
    if not seen.features:
        yield "drift is not recorded: the rules are not loaded, or the first hour is not over"
    blind = [one.name for one in seen.features if one.status == "none"]
    if blind:
        yield f"drift cannot be told in {len(blind)} features: {', '.join(blind[:5])}"
    if quality is None:
        yield "live quality: no labels were given"
    elif not quality.is_compared:
        yield "live quality: the version was judged without true answers, so there is nothing to compare with"


def _advice(
    seen: Seen, drifted: Sequence[Column], special: Sequence[Column], is_worse: bool
) -> Iterator[str]:
    since = [start for one in drifted if (start := _since(one)) is not None]
    if since:
        day = _day(min(since))
        yield f"train with the rows since {day}, when the first column left the reference; weigh or drop older ones"
    elif drifted or is_worse:
        yield f"train with the rows of {_day(seen.start)} to {_day(seen.end)}, which the reference does not hold"
    for one in special:
        for told in _news(one):
            slot = told.partition(" ")[0]
            if slot in ("missing", "zero"):
                yield f"{one.name}: look at its source first; {slot} values are more often a fault than a change"
            elif slot == "unseen":
                yield f"{one.name}: train with its new categories"
            else:
                yield f"{one.name}: values {slot} the training range; a tree model needs rows of them"
    if any(one.status == "fail" for one in seen.outputs) and not drifted and not special:
        yield "outputs moved though no feature did: compare the serving path with the artifact on the same rows"


def _since(column: Column) -> float | None:
    """When its PSI last rose above 0.2 to stay."""
    since = None
    for at, psi in column.past:
        if psi <= 0.2:
            since = None
        elif since is None:
            since = at
    return since


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"


_TITLES = {"due": "is due", "unknown": "nothing speaks against it, and not all is known", "well": "is well"}


def title(found: Maintenance) -> str:
    """One line."""
    return f"{found.seen.model}: {_TITLES[found.status]}"


def document(found: Maintenance) -> dict[str, object]:
    """What `monitor maintain --json` prints; times in seconds since 1970."""
    return {
        "schema_version": 1,
        "model": found.seen.model,
        "start": found.seen.start,
        "end": found.seen.end,
        "status": found.status,
        "reasons": list(found.reasons),
        "advice": list(found.advice),
        "unknown": list(found.unknown),
    }


def markdown(found: Maintenance) -> str:
    """`maintenance.md`, which is the issue's text too."""
    seen = found.seen
    parts = [f"## {markdown_text(title(found))}", "", f"{_day(seen.start)} to {_day(seen.end)}."]
    for name, items in (
        ("Why", found.reasons),
        ("What to train with", found.advice),
        ("Not known", found.unknown),
    ):
        if items:
            parts += ["", f"### {name}", "", *(f"- {markdown_text(one)}" for one in items)]
    shown = [one for one in (*seen.features, *seen.outputs) if one.status in ("fail", "warn") or _news(one)][
        :40
    ]
    if shown:
        parts += [
            "",
            "### What changed since the reference",
            "",
            "| | reference | now | PSI | chance explains |",
        ]
        parts += ["|---|---|---|--:|--:|", *(_row(one) for one in shown)]
    if found.quality is not None:
        parts += ["", "### Live quality", "", "| version | metric | now | 95 % interval | reference | rows |"]
        parts.append("|---|---|--:|---|--:|--:|")
        parts += [
            f"| {markdown_text(one.version)} | {markdown_text(one.metric)} | {one.value:.4g} "
            f"| {one.low:.4g} … {one.high:.4g} | {'' if one.before is None else f'{one.before:.4g}'} | {one.rows:,} |"
            for one in found.quality.standings
        ]
    return "\n".join(parts) + "\n"


def _row(one: Column) -> str:
    psi = "" if one.psi is None else f"{one.psi:.2f}"
    floor = "" if one.floor is None else f"{one.floor:.2f}"
    return f"| {markdown_text(one.name)} | `{sparkline(one.before)}` | `{sparkline(one.now)}` | {psi} | {floor} |"


def page(found: Maintenance) -> str:
    """`maintenance.html`."""
    state = {"due": "warn", "unknown": "", "well": "ok"}[found.status]
    lists = Markup("").join(
        Markup("<h2>{}</h2><ul>{}</ul>").format(
            name, Markup("").join(Markup("<li>{}</li>").format(clean(one, limit=400)) for one in items)
        )
        for name, items in (
            ("Why", found.reasons),
            ("What to train with", found.advice),
            ("Not known", found.unknown),
        )
        if items
    )
    body = Markup(
        '<header><h1><span class="badge {}">{}</span> {}</h1><p class="soft">{} to {}</p></header>'
        '<main id="main">{}</main>'
    ).format(
        state, found.status, clean(found.seen.model), _day(found.seen.start), _day(found.seen.end), lists
    )
    return whole(title(found), body)
