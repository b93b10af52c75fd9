"""What was counted, from samples: against a counter whose every request is known, restarts included."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validator.prometheus import Prometheus, Series, SourceError
from validator.promql import quoted, select
from validator.rollout.counts import Arm, Measuring, measure
from validator.rollout.samples import Scrapes, counted, increments, scrapes


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[tuple[float, float]], list[int]]:
    """Samples of a counter every 15 s, and what came between each two; what a restart swallowed is not among it."""
    value = draw(st.integers(0, 1000))
    samples, known = [(0.0, float(value))], []
    for index in range(draw(st.integers(1, 30))):
        came = draw(st.integers(0, 50))
        if draw(st.integers(0, 9)) == 0 and came < value:
            value = came  # started again: only what came after it is left
        else:
            value += came
        known.append(came)
        samples.append((15.0 * (index + 1), float(value)))
    return samples, known


@settings(max_examples=60)
@given(lives())
def test_nothing_is_lost_or_invented_over_restarts(life: tuple[list[tuple[float, float]], list[int]]) -> None:
    samples, known = life
    assert [count for _, count in increments(samples, from_zero=False)] == known


@settings(max_examples=60)
@given(lives(), st.integers(1, 6))
def test_windows_add_up(life: tuple[list[tuple[float, float]], list[int]], per: int) -> None:
    samples, known = life
    edges = [15.0 * i for i in range(0, len(known) + 1, per)]
    found = counted([Series(labels={"instance": "a"}, samples=samples)], edges)
    assert found == [sum(known[i : i + per]) for i in range(0, len(known) - per + 1, per)]


def test_a_first_sample_is_no_increment_but_a_later_born_series_is() -> None:
    old = Series(
        labels={"instance": "a", "outcome": "ok"}, samples=[(0, 1e6), (15, 1e6 + 10), (30, 1e6 + 20)]
    )
    late = Series(labels={"instance": "a", "outcome": "error"}, samples=[(30, 5.0)])
    assert counted([old], [0, 15, 30]) == [10, 10]
    assert counted([old, late], [0, 15, 30]) == [10, 15], "`increase()` would not see these five"


def test_silence_is_seen_anywhere_in_a_window() -> None:
    steady = Scrapes(times=[float(t) for t in range(0, 301, 15)], interval=15)
    assert not steady.silent(60, 120)
    gap = Scrapes(times=[t for t in steady.times if not 75 < t < 130], interval=15)
    assert gap.silent(60, 120)
    assert gap.silent(120, 180)
    assert not gap.silent(180, 240)
    assert steady.silent(-60, 0), "before its first scrape nothing is known"
    assert steady.silent(290, 350), "nor after its last"
    assert Scrapes(times=[], interval=15).silent(0, 60)


def test_the_interval_is_the_usual_one() -> None:
    one = Series(labels={"instance": "a"}, samples=[(t, 0.0) for t in (0, 15, 30, 45, 200, 215)])
    assert scrapes([one])["", "a"].interval == 15


HOSTILE = ['"', "\\", 'x"} or vector(1) #', "a\nb", "\u2028", "{{x}}", "é", ""]


@pytest.mark.parametrize("value", HOSTILE)
def test_labels_become_literals(value: str) -> None:
    import json

    text = quoted(value)
    assert json.loads(text) == value
    assert "\n" not in text
    assert select("up", ("model", "=", value)) == f"up{{model={text}}}"


def answering(body: bytes, status: int = 200) -> Prometheus:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    return Prometheus(url="http://p:9090", client=httpx.Client(transport=transport))


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (b"<html>502", 502, "no JSON"),
        (b"[]", 200, "refuses the query"),
        (b'{"status":"error","error":"boom"}', 422, "boom"),
        (b'{"status":"success","data":{"resultType":"vector","result":[]}}', 200, "no samples"),
        (
            b'{"status":"success","warnings":["partial"],"data":{"resultType":"matrix","result":[]}}',
            200,
            "incomplete",
        ),
        (
            b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"NaN"]]}]}}',
            200,
            "no numbers",
        ),
        (
            b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[1,"-1"]]}]}}',
            200,
            "no numbers",
        ),
    ],
)
def test_odd_answers_are_no_counts(body: bytes, status: int, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        answering(body, status).samples("up", {}, seconds=60, at=0)


def test_a_refused_connection_is_an_error() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    source = Prometheus(url="http://p", client=httpx.Client(transport=httpx.MockTransport(refuse)))
    with pytest.raises(SourceError, match="refused"):
        source.now()


class Fixed:
    """A source of given series."""

    def __init__(self, *series: Series) -> None:
        self.series = series

    def now(self) -> float:
        return 0.0

    def samples(self, metric: str, labels: object, *, seconds: float, at: float) -> list[Series]:
        return [one for one in self.series if one.labels["__name__"] == metric]


def test_without_the_exact_bucket_slow_is_not_guessed() -> None:
    times = [(float(t), float(t)) for t in range(0, 301, 15)]
    labels = {"model": "m", "version": "v1", "instance": "a"}
    requests = Series(
        labels={"__name__": "preflight_requests_total", "outcome": "ok", **labels}, samples=times
    )
    bucket = Series(
        labels={"__name__": "preflight_request_seconds_bucket", "le": "0.1", **labels}, samples=times
    )
    what = Measuring(
        model="m", candidate=Arm(version="v1", slot="blue"), champion=Arm(version="v2", slot="green"),
        slo_s=0.05, window_s=60, proxy=False,
    )  # fmt: skip
    with pytest.raises(SourceError, match="no bucket at 50 ms"):
        measure(Fixed(requests, bucket), what, 0.0, 300.0)
