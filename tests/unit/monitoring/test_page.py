"""The page: it says what is known and what is not, to eyes, keyboards and screen readers, and runs nothing."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import httpx
import pytest

from validator.errors import UsageError
from validator.monitoring.charts import Band, Chart, draw
from validator.monitoring.gather import Column, gather
from validator.monitoring.page import render
from validator.monitoring.settings import Limits
from validator.prometheus import Prometheus, SourceError, address, prometheus_at
from validator.report.self_contained import Follow

LIMITS = Limits(slo_percent=99.5, slow_percent=99.0, slo_ms=50, stalled_s=60, lease_s=120)
NASTY = '<script>alert(1)</script>"><img src=x onerror=alert(1)> \u202e{{ x }}'
END = 1_700_000_000.0


def prometheus(answer: Any) -> httpx.MockTransport:
    """A Prometheus that answers each query with what `answer` gives for it: (labels, values)."""

    def handle(request: httpx.Request) -> httpx.Response:
        form = dict(httpx.QueryParams(request.content.decode()))
        if form["query"] == "time()":
            return success({"resultType": "scalar", "result": [END, str(END)]})
        found = answer(form["query"])
        if request.url.path.endswith("query_range"):
            start, end, step = (float(form[name]) for name in ("start", "end", "step"))
            times = [start + i * step for i in range(int((end - start) / step) + 1)]
            result = [
                {"metric": labels, "values": [[at, str(value)] for at in times]} for labels, value in found
            ]
            return success({"resultType": "matrix", "result": result})
        result = [{"metric": labels, "value": [END, str(value)]} for labels, value in found]
        return success({"resultType": "vector", "result": result})

    return httpx.MockTransport(handle)


def success(data: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"status": "success", "data": data})


def everything(query: str) -> list[tuple[dict[str, str], float]]:
    """Some of everything, each text of it an attack."""
    own = {
        "version": NASTY,
        "feature": NASTY,
        "output": NASTY,
        "outcome": NASTY,
        "metric": NASTY,
        "role": NASTY,
    }
    if query.startswith("preflight_model_info"):
        return [({**own, "verdict": NASTY, "override": NASTY}, 1)]
    if query.startswith("ALERTS"):
        return [({"alertname": "PreflightDrift", "severity": "ticket", "feature": NASTY}, 1)]
    if "_bin:" in query:
        return [({**own, "bin": str(i)}, 10.0 + i) for i in range(10)] + [({**own, "bin": "missing"}, 0.5)]
    if query.startswith("preflight_model_created"):
        return [(own, END - 86_400)]
    return [(own, 0.25)]


def page(answer: Any = everything, **more: Any) -> str:
    with prometheus_at("http://p:9090", prometheus(answer)) as past:
        return render(gather(past, "churn", LIMITS, seconds=86_400), **more)


class Read(HTMLParser):
    """What a page is made of."""

    VOID = frozenset({"meta", "img", "link", "br", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("answer", [everything, lambda _: []], ids=["everything", "nothing"])
def test_it_can_be_read_by_everybody(answer: Any) -> None:
    text = page(answer)
    read = Read(text)
    assert read.open == []
    assert text.partition("<body>")[0].count("<title>") == 1
    assert read.of("html") == [{"lang": "en"}]
    assert len(read.of("main")) == len(read.of("h1")) == 1
    levels = [int(tag[1]) for tag, _ in read.tags if re.fullmatch(r"h\d", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert all(one.get("role") == "img" and one.get("aria-label") for one in read.of("svg"))
    assert all(one.get("scope") in ("row", "col") for one in read.of("th"))
    identifiers = [one["id"] for _, one in read.tags if "id" in one]
    assert len(identifiers) == len(set(identifiers))
    assert all(one["href"][1:] in identifiers for one in read.of("a") if (one["href"] or "").startswith("#"))
    assert all(one["aria-labelledby"] in identifiers for one in read.of("section"))
    assert all(
        one.get("tabindex") == "0" for _, one in read.tags if "wide" in (one.get("class") or "").split()
    )


def test_it_runs_nothing_and_loads_nothing_whatever_names_hold() -> None:
    read = Read(page(runbooks="https://example.com/runbooks"))
    assert not {tag for tag, _ in read.tags} & {"script", "img", "link", "iframe", "object", "form", "input"}
    for _, attributes in read.tags:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
        assert (attributes.get("href") or "#").startswith(("#", "https://example.com/runbooks/Preflight"))
    policy = next(one for one in read.of("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert str(policy["content"]).startswith("default-src 'none'; style-src 'sha256-")
    assert "\u202e" not in page()


def test_nothing_known_is_said_first() -> None:
    text = page(lambda _: [])
    assert "nothing is known" in text
    assert "Prometheus holds no metric of this model" in text
    assert "No data in this time." in text
    assert 'class="badge ok"' not in text


def test_without_a_watchdog_silence_is_not_health() -> None:
    text = page(lambda query: [] if query.startswith("ALERTS") else everything(query))
    assert "no watchdog: alerts are not evaluated" in text
    assert "None is known: the rules are not loaded." in text


def test_it_asks_again_only_when_it_is_served() -> None:
    assert 'http-equiv="refresh"' not in page()
    live, still = (page(follow=Follow(live=live, other="./?other", seconds=60)) for live in (True, False))
    assert '<meta http-equiv="refresh" content="60">' in live
    assert 'http-equiv="refresh"' not in still, "nothing changes under readers who have not asked for it"
    assert all('href="./?other"' in text for text in (live, still))


def column(psi: float | None, floor: float | None) -> str:
    return Column(
        name="x", bins=(), before=(), now=(), rows=1, psi=psi, floor=floor, special=(), past=()
    ).status


def test_a_column_is_judged_as_the_rule_does() -> None:
    assert column(0.3, 0.1) == "fail"
    assert column(0.3, 0.4) == "none"
    assert column(0.15, 0.1) == "warn"
    assert column(0.15, 0.19) == "ok"
    assert column(None, 0.1) == column(0.1, None) == "none"


def test_gaps_are_gaps_and_rollouts_are_bands() -> None:
    points = [(0.0, 1.0), (60.0, 2.0), (600.0, 1.0), (660.0, 1.0), (1200.0, 5.0)]
    band = Band(start=60, end=600, name="a rollout was under way")
    text = str(draw(Chart(title="T", lines=(("a", points),), start=0, end=1200, step=60, bands=(band,))))
    assert text.count("<polyline") == 2
    assert text.count("<circle") == 1
    assert 'class="band"' in text
    assert "1 rollouts under way" in text


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_and_lines_stand_out_in_both_schemes(scheme: int) -> None:
    style = resources.files("validator.monitoring").joinpath("page.css").read_text("utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})\b", blocks[scheme]))
    for ground in ("paper", "card"):
        for text in ("ink", "soft", "now"):
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
        for line in ("fail", "then", *(f"s{i}" for i in range(8))):
            assert _contrast(colours[line], colours[ground]) >= 3.0, (line, ground)
    for badge in ("fail", "warn", "ok", "soft"):
        assert _contrast(colours["paper"], colours[badge]) >= 4.5, badge


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (
            httpx.Response(200, json={"status": "error", "error": "too many samples"}),
            "refuses the query: too many",
        ),
        (httpx.Response(200, text="<html>"), "no JSON"),
        (httpx.Response(200, json=[1]), "refuses the query"),
        (success({"resultType": "vector", "result": [{"metric": 1}]}), "no sensible answer"),
    ],
)
def test_an_answer_without_sense_is_an_error(response: httpx.Response, told: str) -> None:
    client = httpx.Client(transport=httpx.MockTransport(lambda _: response))
    with client, pytest.raises(SourceError, match=told):
        Prometheus(url="http://p", client=client).values("up")


def test_many_columns_are_folded_but_none_that_moved() -> None:
    def answer(query: str) -> list[tuple[dict[str, str], float]]:
        names = [f"f{i:02}" for i in range(30)] if "feature" in query else []
        if "psi_floor" in query:
            return [({"feature": name, "version": "v1"}, 0.01) for name in names]
        if "psi" in query:
            return [({"feature": name, "version": "v1"}, 0.3 if name < "f20" else 0.05) for name in names]
        if query.startswith("preflight_model_info"):
            return [({"version": "v1", "verdict": "pass", "override": ""}, 1)]
        return [({"feature": name, "version": "v1", "bin": "0"}, 1.0) for name in names]

    shown, _, folded = page(answer).partition("<summary>10 more</summary>")
    assert (shown.count('class="badge fail">drift'), shown.count('class="badge ok">ok')) == (20, 0)
    assert folded.count('class="badge ok">ok') == 10


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        address(url)
