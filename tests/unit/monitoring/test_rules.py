"""Every rule in promtool: it fires for its own fault, stays quiet beside it, and no change of it goes unnoticed."""

from __future__ import annotations

import copy
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from validator.monitoring.files import as_yaml
from validator.monitoring.init import Options, watch
from validator.monitoring.rule import Alert, Record, Watched
from validator.monitoring.rule_tests import documents
from validator.monitoring.rules import alerts, document, groups

HAS_PROMTOOL = shutil.which("promtool") is not None
needs_promtool = pytest.mark.skipif(not HAS_PROMTOOL, reason="promtool is not on this machine")
FILES = (
    "-minutes",
    "-hours",
    "-days",
    "-weeks",
    pytest.param("-requests", marks=pytest.mark.drill),
    pytest.param("-columns", marks=pytest.mark.drill),
)


def promtool(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=550
    )


@pytest.fixture(scope="module")
def place(watched: Watched, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    (folder / "churn.yml").write_text(as_yaml(document(watched), about="x"))
    for ending, tests in documents(watched, rules="churn.yml").items():
        (folder / f"tests{ending}.yml").write_text(as_yaml(tests, about="x"))
    return folder


def _told(test: dict[str, Any]) -> set[str]:
    """The alerts of its end; none where recorded values are asserted instead."""
    if test["name"].startswith("recorded values:"):
        return set()
    samples = test["promql_expr_test"][0]["exp_samples"]
    return {re.search(r'alertname="(\w+)"', one["labels"])[1] for one in samples}  # type: ignore[index]


def test_every_alert_has_a_case_that_fires_and_one_that_stays_quiet(watched: Watched) -> None:
    tests = [test for tests in documents(watched, rules="r").values() for test in tests["tests"]]
    fired = set().union(*map(_told, tests))
    names = {alert.name for alert in alerts(watched)}
    assert fired == names
    about = [(test["name"].partition(":")[0], told) for test in tests if (told := _told(test))]
    quiet = {name for name, told in about if name not in told}
    assert quiet == names - {"PreflightWatchdog"}


def test_rules_are_recorded_before_they_are_read(watched: Watched) -> None:
    for group in groups(watched):
        known: set[str] = set()  # groups are evaluated in any order
        for rule in group.rules:
            missing = set(re.findall(r"preflight:\w+:\w+", rule.expr)) - known
            assert not missing, (rule.name, missing)
            if isinstance(rule, Record):
                known.add(rule.name)


def test_every_selector_names_the_model_and_no_name_leaves_its_quotes(watched: Watched) -> None:
    text = as_yaml(document(watched), about="x")
    assert yaml.safe_load(text) == document(watched)
    for group in groups(watched):
        for rule in group.rules:
            for selector in re.findall(r"preflight[_:][\w:]*(\{[^}]*model=.churn.)?", rule.expr):
                assert selector, rule.name
            assert "vector(1) #" not in rule.expr


def test_each_alert_tells_what_it_means_and_where_to_read_on(watched: Watched) -> None:
    for group in document(watched)["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert rule["annotations"]["runbook_url"].endswith(f"/runbooks/{rule['alert']}/")
                assert rule["annotations"]["summary"]
                assert rule["annotations"]["description"]
                assert rule["labels"]["severity"] in ("page", "ticket", "info", "none")


@needs_promtool
def test_promtool_finds_nothing_to_say_of_the_rules(place: Path) -> None:
    done = promtool(place, "check", "rules", "--lint-fatal", "churn.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
@pytest.mark.drill  # promtool takes seconds for each file
@pytest.mark.parametrize("ending", FILES)
def test_histories_fire_what_they_should_and_nothing_else(place: Path, ending: str) -> None:
    done = promtool(place, "test", "rules", f"tests{ending}.yml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


@needs_promtool
@pytest.mark.drill
@pytest.mark.parametrize("columns", [1, 2, 40])
def test_recorded_values_are_right_for_any_number_of_columns(
    artifact_of: Callable[..., Path], tmp_path: Path, columns: int
) -> None:
    """They share the one per cent of false alarms: the rules hold another quantile for each number."""
    path = artifact_of(tmp_path / "a", names=[f"x{i}" for i in range(columns)])
    one = watch(Options(artifact=str(path)))[0]
    (tmp_path / "churn.yml").write_text(as_yaml(document(one), about="x"))
    (tmp_path / "tests.yml").write_text(as_yaml(documents(one, rules="churn.yml")["-columns"], about="x"))
    done = promtool(tmp_path, "test", "rules", "tests.yml")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def _mutants(rules: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Each alert deleted, loosened and tightened: (its name, what was done, the rules)."""
    for i, group in enumerate(rules["groups"]):
        for j, rule in enumerate(group["rules"]):
            if "alert" not in rule:
                continue
            mutant = copy.deepcopy(rules)
            del mutant["groups"][i]["rules"][j]
            yield rule["alert"], f"deleted ({rule['labels']})", mutant
            for what, changed in _changes(rule):
                mutant = copy.deepcopy(rules)
                mutant["groups"][i]["rules"][j] = changed
                yield rule["alert"], f"{what} ({rule['labels']})", mutant


def _changes(rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    if "for" in rule:
        yield "no longer waits", {key: value for key, value in rule.items() if key != "for"}
        yield "waits forever", rule | {"for": "52w"}
    parts = re.split(r"\n(?=and |or |unless )", rule["expr"])
    for i, part in enumerate(parts[1:], start=1):
        if "psi_floor" not in part or rule["alert"] != "PreflightDriftUnknown":
            yield f"without `{part[:60]}`", rule | {"expr": "\n".join(parts[:i] + parts[i + 1 :])}
    for match in re.finditer(r"(?<=[<>=] )(\d[\d.e+]*)(?=$|\n| \*|\))", rule["expr"]):
        value = float(match[1])
        if value > 0 and rule["expr"][match.start() - 3 : match.start()] != "== ":
            for factor in (0.5, 2.0):
                expr = f"{rule['expr'][: match.start()]}{value * factor:.9g}{rule['expr'][match.end() :]}"
                yield f"{match[1]} times {factor}", rule | {"expr": expr}


def test_mutants_are_made_of_every_alert(watched: Watched) -> None:
    names = {name for name, what, _ in _mutants(document(watched)) if not what.startswith("deleted")}
    unconditional = {"PreflightWatchdog", "PreflightInvalidOutput", "PreflightQualityWorse"}
    assert names == {alert.name for alert in alerts(watched)} - unconditional


@needs_promtool
@pytest.mark.long
@pytest.mark.timeout(3000)
def test_no_rule_can_be_deleted_or_loosened_unnoticed(watched: Watched, tmp_path: Path) -> None:
    files = documents(watched, rules="churn.yml")
    survived = []
    for name, what, mutant in _mutants(document(watched)):
        (tmp_path / "churn.yml").write_text(as_yaml(mutant, about="x"))
        if not any(_noticed(tmp_path, tests, name) for tests in files.values()):
            survived.append(f"{name}: {what}")
    assert not survived, survived


def _noticed(folder: Path, tests: dict[str, Any], name: str) -> bool:
    """Whether a test notices, of those that are about the rule or that it fires in."""
    kin = (f"{name}:", f"{name.removesuffix('Slow')}Fast:")
    own = [test for test in tests["tests"] if test["name"].startswith(kin) or name in _told(test)]
    if not own:
        return False
    (folder / "tests.yml").write_text(as_yaml(tests | {"tests": own}, about="x"))
    return promtool(folder, "test", "rules", "tests.yml").returncode != 0


def test_alerts_are_those_of_the_documentation(watched: Watched) -> None:
    pages = Path(__file__).parents[3] / "docs" / "runbooks"
    assert {page.stem for page in pages.glob("Preflight*.md")} == {alert.name for alert in alerts(watched)}
    assert all(isinstance(alert, Alert) for alert in alerts(watched))
