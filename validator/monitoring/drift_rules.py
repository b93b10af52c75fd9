"""The rule of drift in PromQL, over the rows of 24 hours, from the servers' counters and the profile beside them.

The hour is recorded first and 24 of them are added: a day of raw counters of 64 features of ten replicas would be
50 million samples, more than Prometheus reads for one query. Whatever a bin lost is kept as zero, and half a row is
added to each, so that a bin that vanished weighs what it should. The reference is read through `max by`, since each
replica shows it. The floor is that of `validator.drift.rule` for one length of window; where the day has fewer rows
than those windows, the variance between them is taken to rise as 1/rows, which it does at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

from validator.drift.rule import EXPECTED, PSI_FAIL, SPECIAL_MARGIN, SPECIAL_TESTS
from validator.monitoring.rule import Alert, Record, Watched
from validator.profile.windows import ALPHA, LEVELS
from validator.promql import number, select

#: Windows of the reference that its gauges were made from; at least half of them held rows.
WINDOWS = LEVELS[0]
_FEWEST_WINDOWS = WINDOWS // 2
_BINS = ("bin", "=~", "[0-9]+|other")
_SPECIAL = ("bin", "!~", "[0-9]+|other")
_RANGE = ("bin", "=~", "below|above")
#: Fewer rows with a special value tell nothing: Newcombe's interval takes a single odd one of a quiet day for many.
_FEWEST_SPECIAL = 5
#: Replicas that restart one by one must not interrupt what an alert has been waiting for.
_REMEMBERED = "15m"


@dataclass(frozen=True)
class _Kind:
    """Features or outputs: the names of their series."""

    watched: Watched
    label: str

    @property
    def of_bin(self) -> str:
        return f"(model, version, {self.label}, bin)"

    @property
    def of_column(self) -> str:
        return f"(model, version, {self.label})"

    def bins(self, name: str, *matchers: tuple[str, str, str]) -> str:
        """A recorded series of each bin."""
        return select(f"preflight:{self.label}_bin:{name}", self.watched.model, *matchers)

    def column(self, name: str) -> str:
        """A recorded series of each feature or output."""
        return select(f"preflight:{self.label}:{name}", self.watched.model)

    def gauge(self, name: str) -> str:
        """A gauge of the profile, as the servers that are there now or were a moment ago show it."""
        metric = select(name, self.watched.model, (self.label, "!=", ""), over=_REMEMBERED)
        return f"last_over_time({metric})"

    def record_bin(self, name: str, expr: str) -> Record:
        return Record(name=f"preflight:{self.label}_bin:{name}", expr=expr)

    def record(self, name: str, expr: str) -> Record:
        return Record(name=f"preflight:{self.label}:{name}", expr=expr)


def rules(watched: Watched) -> Iterator[Record | Alert]:
    """Features first, then outputs, then what cannot be told."""
    kinds = [_Kind(watched, "feature"), _Kind(watched, "output")]
    for kind in kinds:
        yield from _counts(kind)
        yield from _shape(kind)
        yield from _specials(kind)
        yield _drift_alert(kind)
        yield _special_alert(kind)
    yield _unknown_alert(kinds)


def _counts(kind: _Kind) -> Iterator[Record]:
    """Rows of the last hour and day by bin, and of the reference."""
    counter = select(f"preflight_{kind.label}_bin_total", kind.watched.model, over="1h")
    rows = select("preflight_profile_rows", kind.watched.model, over=_REMEMBERED)
    yield kind.record_bin("rows1h", f"sum by {kind.of_bin} (increase({counter}))")
    yield kind.record_bin("rows1d", f"sum_over_time({kind.bins('rows1h')}[1d:1h])")
    yield kind.record_bin(
        "reference",
        f"max by {kind.of_bin} ({kind.gauge('preflight_profile_share')})\n"
        f"* on (model, version) group_left () max by (model, version) (last_over_time({rows}))",
    )
    yield kind.record("rows1d", f"sum by {kind.of_column} ({kind.bins('rows1d', _BINS)})")
    yield kind.record("reference_rows", f"sum by {kind.of_column} ({kind.bins('reference', _BINS)})")


def _shape(kind: _Kind) -> Iterator[Record]:
    """PSI and its floor. Bins that expect fewer than five rows are put together."""
    day, reference = kind.column("rows1d"), kind.column("reference_rows")
    bins, judged = kind.bins("reference", _BINS), kind.bins("judged_reference")
    held = (
        f"{bins} * on {kind.of_column} group_left () clamp_max({day} / {reference}, 1) >= {number(EXPECTED)}"
    )
    yield kind.record_bin("judged_reference", _pooled(kind, bins, held))
    yield kind.record_bin(
        "judged_rows", f"{_pooled(kind, kind.bins('rows1d', _BINS), held)}\nor 0 * {judged}"
    )
    yield kind.record("bins", f"count by {kind.of_column} ({judged})")
    p, q = (
        f"(({counts} + 0.5) / on {kind.of_column} group_left () ({total} + 0.5 * {kind.column('bins')}))"
        for counts, total in ((judged, reference), (kind.bins("judged_rows"), day))
    )
    yield kind.record("psi", f"sum by {kind.of_column} (\n  ({p} - {q})\n  * ln({p} / {q})\n)")
    between = f"max by {kind.of_column} ({kind.gauge('preflight_drift_between_variance')})"
    quantile = f"max by {kind.of_column} ({kind.gauge('preflight_drift_quantile')})"
    yield kind.record(
        "psi_floor",
        f"(\n  {number(1 + 1 / _FEWEST_WINDOWS)} * {between}\n"
        f"  * clamp_min({reference} / ({WINDOWS} * {day}), 1)\n"
        f"  + (({kind.column('bins')} > 1) - 1) * (1 / {day} + 1 / {reference})\n)\n* {quantile}",
    )


def _pooled(kind: _Kind, counts: str, held: str) -> str:
    """Counts of the bins that are `held`, and the sum of the others as the bin `rest`."""
    others = f"sum by {kind.of_column} ({counts} unless on {kind.of_bin} ({held}))"
    return f'({counts} and on {kind.of_bin} ({held}))\nor label_replace({others}, "bin", "rest", "", "")'


def _specials(kind: _Kind) -> Iterator[Record]:
    """By how much more of the rows have a special value, at least: Newcombe's interval, as the rule has it."""
    model = kind.watched.model
    missing = kind.bins("rows1d", ("bin", "=", "missing"))
    rows = f"({kind.column('rows1d')} + sum by {kind.of_column} ({missing}))"
    share = kind.bins("special_share1d")
    yield kind.record_bin(
        "special_share1d", f"{kind.bins('rows1d', _SPECIAL)} / on {kind.of_column} group_left () {rows}"
    )
    profile = f"max by (model, version) (last_over_time({select('preflight_profile_rows', model, over=_REMEMBERED)}))"
    before = f"{kind.bins('reference', _SPECIAL)} / on (model, version) group_left () {profile}"
    yield kind.record_bin("special_reference", before)
    own = f"max by {kind.of_bin} ({kind.gauge('preflight_drift_special_correlation')})"
    shape = (
        f"max by {kind.of_column} ({kind.gauge('preflight_drift_between_variance')})"
        f" / clamp_min({kind.column('bins')} - 1, 1)"
    )
    # A series stays beyond its range for longer than in a bin within it: at most twice as long.
    both = [f'label_replace(2 * {shape}, "bin", "{end}", "", "")' for end in ("below", "above")]
    none = f"0 * {kind.bins('special_reference')}"
    parts = [own, *both, none]
    marked = [f'label_replace({part}, "part", "{i}", "", "")' for i, part in enumerate(parts)]
    yield kind.record_bin(
        "special_spread",
        f"max by {kind.of_bin} (\n  " + "\n  or ".join(marked) + "\n)\nand " + kind.bins("special_reference"),
    )
    spread, p2 = kind.bins("special_spread"), kind.bins("special_reference")
    # One over the rows that count: those of one window are alike, and a reference averages its windows.
    yield kind.record_bin("special_noise1d", f"{spread} + on {kind.of_column} group_left () (1 / {rows})")
    yield kind.record_bin(
        "special_noise", f"{spread} / {WINDOWS} + on (model, version) group_left () (1 / {profile})"
    )
    z = drift_level(kind.watched)
    low = _wilson(share, kind.bins("special_noise1d"), z, "-")
    high = _wilson(p2, kind.bins("special_noise"), z, "+")
    yield kind.record_bin(
        "special_increase_low",
        f"{share} - {p2}\n- sqrt(({share} - {low}) ^ 2\n  + ({high} - {p2}) ^ 2)",
    )


def _wilson(p: str, inverse: str, z: float, sign: str) -> str:
    """Wilson's bound of a share `p` of n rows, `inverse` being 1/n."""
    half, square = number(z * z / 2), number(z * z)
    root = f"sqrt({p} * (1 - {p}) * {inverse} + {number(z * z / 4)} * {inverse} ^ 2)"
    return f"(({p} + {half} * {inverse} {sign} {number(z)} * {root}) / (1 + {square} * {inverse}))"


def drift_level(watched: Watched) -> float:
    """The normal quantile of one comparison of special values: 1 % of false alarms among all columns."""
    columns = max(1, len(watched.subject.profile.columns))
    return NormalDist().inv_cdf(1 - ALPHA / (SPECIAL_TESTS * columns))


def _drift_alert(kind: _Kind) -> Alert:
    is_feature = kind.label == "feature"
    which = "{{ $labels.feature }}" if is_feature else "{{ $labels.output }}"
    return Alert(
        name="PreflightDrift" if is_feature else "PreflightOutputDrift",
        expr=f"{kind.column('psi')} > {number(PSI_FAIL)}\nand {kind.column('psi')} > {kind.column('psi_floor')}",
        lasting="1h",
        severity="ticket",
        summary=f"{which} of {{{{ $labels.model }}}} has drifted: PSI {{{{ $value | humanize }}}} in 24 hours",
        description="Its values are spread otherwise than on the data the version was judged with, by more than "
        "chance and that data's own ups and downs explain.",
    )


def _special_alert(kind: _Kind) -> Alert:
    which = "{{ $labels.feature }}" if kind.label == "feature" else "{{ $labels.output }}"
    return Alert(
        name="PreflightSpecialValues",
        expr=f"{kind.bins('special_increase_low')} > {number(SPECIAL_MARGIN)}\n"
        f"and {kind.bins('rows1d', _SPECIAL)} >= {_FEWEST_SPECIAL}",
        lasting="1h",
        severity="ticket",
        summary=f"{which} of {{{{ $labels.model }}}} is {{{{ $labels.bin }}}} more often than it was",
        description="By at least {{ $value | humanizePercentage }} of the rows of 24 hours, chance allowed for.",
        labels=(("of", kind.label),),
    )


def _unknown_alert(kinds: list[_Kind]) -> Alert:
    """Columns with rows whose floor is above what would be drift, or that have none; not those of a single bin."""
    blind = [
        f"label_replace(({kind.column('rows1d')} > 0) unless ({kind.column('psi_floor')} <= {number(PSI_FAIL)}) "
        f"unless (count by {kind.of_column} ({kind.bins('reference', _BINS)}) == 1), "
        f'"column", "{kind.label} $1", "{kind.label}", "(.*)")'
        for kind in kinds
    ]
    return Alert(
        name="PreflightDriftUnknown",
        expr="count by (model, version) (\n  " + "\n  or ".join(blind) + "\n) > 0",
        lasting="3d",
        severity="info",
        summary="{{ $value }} columns of {{ $labels.model }} {{ $labels.version }}: drift could not be seen",
        description="A day has too few rows, or the reference too few or too restless ones, to tell it from chance.",
    )
