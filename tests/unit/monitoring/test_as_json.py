"""`--json` of `monitor`'s actions: one document on standard output, with the exit code that the view has."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.test_quality import OWN, column, seen
from validator.cli.main import main
from validator.monitoring.charts import Band
from validator.monitoring.gather import Alerted, Seen
from validator.monitoring.live import Page
from validator.monitoring.page import render

URL = ("--prometheus", "http://p:9090")


def test_many_alerts_are_one_row_a_name_in_the_picture_and_folded_below(of_prometheus: Seen) -> None:
    def drifted(name: str) -> Alerted:
        about = f"feature {name}, version v_1"
        return dataclasses.replace(of_prometheus.alerts[0], about=about)

    few = render(dataclasses.replace(of_prometheus, alerts=tuple(map(drifted, "abc"))))
    assert few.count("Drift a</text>") == few.count("Drift c</text>") == 1
    assert "<details><summary>" not in few.partition('id="service"')[0]
    many = render(dataclasses.replace(of_prometheus, alerts=tuple(map(drifted, "abcdefgh"))))
    assert many.count("Drift (8)</text>") == 1
    assert many.count("<summary>2 more</summary>") == 1
    assert many.count("feature h, version v_1") == 1


def document(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["monitor", *words, "--json"])
    shown = capsys.readouterr()
    assert shown.out, shown.err
    return code, json.loads(shown.out)


@pytest.fixture
def of_prometheus(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What Prometheus is made to say: a feature drifted, and it rang."""
    alert = Alerted(
        name="PreflightDrift",
        severity="ticket",
        about="a",
        spans=(Band(start=1.0, end=2.0, name=""),),
        firing=True,
    )
    one = seen(column("a", psi=0.5), column("b", psi=None), alerts=(alert,))

    @contextmanager
    def prometheus_at(_: str) -> Iterator[None]:
        yield None

    monkeypatch.setattr("validator.prometheus.prometheus_at", prometheus_at)
    monkeypatch.setattr(Page, "seen", lambda self, prometheus: one)
    return one


@pytest.mark.usefixtures("of_prometheus")
def test_what_prometheus_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "m.html"
    code, told = document(capsys, "page", *URL, "--out", str(page))
    assert (code, told["model"], told["page"]) == (0, "churn", str(page))
    assert page.read_text().startswith("<!doctype html>")
    assert [(one["name"], one["status"]) for one in told["features"]] == [("a", "fail"), ("b", "none")]
    assert told["alerts"] == [{"name": "PreflightDrift", "severity": "ticket", "firing": True, "times": 1}]
    assert told["versions"][0]["version"] == OWN

    code, told = document(capsys, "maintain", *URL, "--out", str(tmp_path / "maintenance"))
    assert (code, told["status"]) == (1, "due")
    assert "a has drifted" in told["reasons"][0]
    assert any("drift cannot be told" in one for one in told["unknown"])

    assert main(["monitor", "page", *URL, "--serve", "127.0.0.1:0", "--json"]) == 2
