"""`monitor check`: what the tools say decides, and what a Prometheus does not have is told of."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from validator.cli.main import main
from validator.errors import SettingsError, UsageError
from validator.monitoring import check
from validator.monitoring.files import write_files
from validator.monitoring.init import Options, make
from validator.prometheus import SourceError, prometheus_at


@pytest.fixture(scope="module")
def written(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monitoring") / "m"
    write_files(folder, make(Options(artifact=str(artifact))).files)
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "m")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")


class Tools:
    """Plays promtool and amtool: fails what holds `bad`."""

    def __init__(self, bad: str = "nothing") -> None:
        self.bad, self.asked = bad, []  # type: ignore[var-annotated]

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.asked.append(" ".join(command))
        return subprocess.CompletedProcess(command, int(self.bad in " ".join(command)), "FAILED: why\n", "")


@pytest.mark.usefixtures("tools")
def test_every_file_is_put_before_its_tool(folder: Path) -> None:
    played = Tools()
    assert all(one.ok for one in check.check_files(folder, played))
    assert played.asked[:3] == [
        "promtool check config prometheus.yml",
        "amtool check-config alertmanager.yml",
        "promtool check rules --lint-fatal rules/churn.yml",
    ]
    assert len([one for one in played.asked if one.startswith("promtool test rules rules/tests/churn-")]) == 6


@pytest.mark.usefixtures("tools")
def test_what_a_tool_finds_is_told(folder: Path) -> None:
    (found,) = [one for one in check.check_files(folder, Tools("churn-days")) if not one.ok]
    assert found.told == "FAILED: why"


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(("bad", "code", "verdict"), [("nothing", 0, "pass"), ("amtool", 1, "fail")])
def test_as_json_it_is_one_document(
    folder: Path,
    bad: str,
    code: int,
    verdict: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played = Tools(bad)
    monkeypatch.setattr(check.check_files, "__defaults__", (played,))
    assert main(["monitor", "check", str(folder), "--json"]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == verdict
    assert len(told["checks"]) >= len(played.asked) > 5
    assert sum(one["status"] == "fail" for one in told["checks"]) == code


@pytest.mark.usefixtures("tools")
def test_rules_without_tests_are_not_well(folder: Path) -> None:
    for path in folder.glob("rules/tests/*"):
        path.unlink()
    assert [one.told for one in check.check_files(folder, Tools()) if not one.ok] == ["there are none"]


def test_a_missing_tool_or_folder_is_no_pass(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="promtool is not on this machine"):
        list(check.check_files(folder))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    with pytest.raises(UsageError, match="holds no rules"):
        list(check.check_files(tmp_path / "empty"))


def test_each_query_that_finds_nothing_is_told(folder: Path) -> None:
    something = [{"metric": {"feature": "income", "output": "p"}, "value": [0, "1"]}]
    assert all(one.ok for one in check.check_queries(folder, lambda _: something))

    def no_slow(query: str) -> list[Any]:
        return [] if "slow" in query else something

    wrong = [one.what for one in check.check_queries(folder, no_slow) if one.ok is False]
    assert wrong
    assert all("slow" in what for what in wrong)
    assert any("grafana" in what for what in wrong)


def test_what_comes_later_or_may_lack_is_not_wrong(folder: Path) -> None:
    something = [{"metric": {"feature": "income"}, "value": [0, "1"]}]

    def young(query: str) -> list[Any]:
        return [] if "offset" in query or "psi" in query or "preflight_rollout" in query else something

    found = list(check.check_queries(folder, young))
    assert not [one.what for one in found if one.ok is False]
    assert any(one.told.startswith("nothing yet") for one in found)


def test_what_was_not_evaluated_yet_is_named_so_and_what_was_is_not_forgiven(folder: Path) -> None:
    something = [{"metric": {"feature": "income", "output": "p"}, "value": [0, "1"]}]

    def no_burn(query: str) -> list[Any]:
        return [] if "preflight:error" in query else something

    wrong = [one.what for one in check.check_queries(folder, no_burn) if one.ok is False]
    assert wrong
    names = {name for what in wrong for name in re.findall(r"preflight:error\w*:\w+", what)}
    assert names
    found = list(check.check_queries(folder, no_burn, lambda: frozenset(names)))
    assert not [one.what for one in found if one.ok is False]
    late = [
        one
        for one in found
        if one.told.startswith("not yet evaluated: the rule that records preflight:error")
    ]
    assert {one.what for one in late} == set(wrong)
    kept = min(names)
    others = frozenset(names - {kept})
    still = [one.what for one in check.check_queries(folder, no_burn, lambda: others) if one.ok is False]
    assert still
    assert all(kept in what for what in still)


def test_rules_that_prometheus_has_not_evaluated() -> None:
    def rule(name: str, at: str, kind: str = "recording") -> dict[str, str]:
        return {"name": name, "type": kind, "lastEvaluation": at}

    never, then = "0001-01-01T00:00:00Z", "2026-11-29T05:00:00Z"
    rules = [
        rule("a:b", never),
        rule("c:d", then),
        rule("e:f", never),
        rule("e:f", then),
        rule("X", never, "alerting"),
    ]

    def handle(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/api/v1/rules")
        return httpx.Response(200, json={"status": "success", "data": {"groups": [{"rules": rules}]}})

    with prometheus_at("http://p:9090", httpx.MockTransport(handle)) as prometheus:
        assert prometheus.unevaluated() == {"a:b"}
        rules[0].pop("lastEvaluation")
        with pytest.raises(SourceError, match="no sensible answer: its list of rules"):
            prometheus.unevaluated()


def test_the_dashboards_variables_are_filled(folder: Path) -> None:
    nasty = 'a"} or vector(1) #'
    asked: list[str] = []

    def ask(query: str) -> list[Any]:
        asked.append(query)
        return [{"metric": {"feature": nasty, "output": nasty}, "value": [0, "1"]}]

    list(check.check_queries(folder, ask))
    assert any('feature="a\\"} or vector(1) #"' in query for query in asked)
    assert not any("$feature" in query for query in asked)


@pytest.mark.parametrize("content", ["[", "groups: 3", "{}"])
def test_rules_that_are_none_are_refused(folder: Path, content: str) -> None:
    (folder / "rules" / "churn.yml").write_text(content)
    with pytest.raises(SettingsError, match="cannot be read as rules"):
        list(check.check_queries(folder, lambda _: []))
