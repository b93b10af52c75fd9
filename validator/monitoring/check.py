"""`monitor check`: whether the files hold together, and whether a running Prometheus has what they ask for."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from validator.errors import SettingsError, UsageError

#: There only with a rollout, a shadow, a lease, labels, or a reference whose special values come in clusters.
OPTIONAL = re.compile(
    r"preflight_(rollout|shadow|lease|live_quality|drift_special_correlation)|haproxy_|ALERTS|preflight_model_info.*!="
)
_SELECTOR = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)\{((?:[^{}\"]|\"(?:[^\"\\]|\\.)*\")*)\}")
#: What begins with the first full hour of rows.
_LATER = re.compile(r"preflight:(feature|output)(_bin)?:|offset 1w")
#: Names of recorded series.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?::[A-Za-z0-9_]+)+")
_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. `told` says what is wrong, or what there is; `ok` is None for what may lack."""

    what: str
    ok: bool | None
    told: str = ""


def document(findings: Sequence[Finding]) -> dict[str, object]:
    """What `monitor check --json` prints. `skip` is what could not be looked at, and is not wrong."""
    words = {True: "pass", False: "fail", None: "skip"}
    return {
        "schema_version": 1,
        "verdict": "fail" if any(one.ok is False for one in findings) else "pass",
        "checks": [{"what": one.what, "status": words[one.ok], "message": one.told} for one in findings],
    }


def check_files(folder: Path, run: Callable[..., Any] = subprocess.run) -> Iterator[Finding]:
    """promtool and amtool on everything in the folder.

    Raises
    ------
    UsageError
        If a tool is missing, or there is nothing to check.
    """
    for tool in ("promtool", "amtool"):
        if shutil.which(tool) is None:
            raise UsageError(
                f"{tool} is not on this machine",
                hint="it comes with Prometheus and Alertmanager (Debian: prometheus, prometheus-alertmanager)",
            )
    rules = sorted(folder.glob("rules/*.yml"))
    if not rules:
        raise UsageError(f"{folder} holds no rules", hint="write them with `model-preflight monitor init`")
    commands = [
        ["promtool", "check", "config", "prometheus.yml"],
        ["amtool", "check-config", "alertmanager.yml"],
    ]
    commands += [["promtool", "check", "rules", "--lint-fatal", _name(folder, path)] for path in rules]
    tests = sorted(folder.glob("rules/tests/*.yml"))
    commands += [["promtool", "test", "rules", _name(folder, path)] for path in tests]
    for path in rules:
        if not any(test.name.startswith(f"{path.stem}-") for test in tests):
            yield Finding(what=f"tests of {_name(folder, path)}", ok=False, told="there are none")
    for command in commands:
        done = run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_SECONDS)
        told = "" if done.returncode == 0 else (done.stdout + done.stderr).strip()[-2_000:]
        yield Finding(what=" ".join(command), ok=done.returncode == 0, told=told)


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def check_queries(
    folder: Path, ask: Callable[[str], list[Any]], unevaluated: Callable[[], frozenset[str]] = frozenset
) -> Iterator[Finding]:
    """Ask for everything that the dashboards show, and for every series that a rule reads.

    `unevaluated` tells which recorded series have rules that were not evaluated yet. It is asked before the queries:
    what is evaluated meanwhile is at worst told of as not evaluated.
    """
    waiting = unevaluated()
    young = not ask("preflight_requests_total offset 65m")
    for finding in _queries(folder, ask):
        late = sorted(waiting & set(_NAME.findall(finding.what))) if finding.ok is False else []
        if late:
            yield replace(finding, ok=None, told=f"not yet evaluated: the rule that records {late[0]}")
        elif young and finding.ok is False and _LATER.search(finding.what):
            yield replace(finding, ok=None, told="nothing yet: it comes with the next full hour")
        else:
            yield finding


def _queries(folder: Path, ask: Callable[[str], list[Any]]) -> Iterator[Finding]:
    for path in sorted(folder.glob("grafana/dashboards/*.json")):
        yield from _dashboard(folder, path, ask)
    for path in sorted(folder.glob("rules/*.yml")):
        seen: set[str] = set()
        for expr in _expressions(path):
            for selector in selectors(expr):
                if selector not in seen:
                    seen.add(selector)
                    yield _asked(f"{_name(folder, path)}: {selector}", selector, ask)


def selectors(expr: str) -> Iterator[str]:
    """The series that an expression reads, without range and offset.

    >>> list(selectors('rate(a{b="}"}[5m]) > x{} offset 1w'))
    ['a{b="}"}', 'x{}']
    """
    for match in _SELECTOR.finditer(expr):
        yield match.group(0)


def _expressions(path: Path) -> Iterator[str]:
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
        for group in document["groups"]:
            yield from (str(rule["expr"]) for rule in group["rules"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{path} cannot be read as rules: {error}", hint="see `promtool check rules`"
        ) from error


def _dashboard(folder: Path, path: Path, ask: Callable[[str], list[Any]]) -> Iterator[Finding]:
    try:
        document = json.loads(path.read_text("utf-8"))
        variables = {one["name"]: one["query"] for one in document["templating"]["list"]}
        targets = [
            (panel["title"], target["expr"])
            for panel in document["panels"]
            for target in panel.get("targets", [])
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} is no dashboard: {error}", hint="write it again with `monitor init`"
        ) from error
    values = {name: _first_value(query, ask) for name, query in variables.items()}
    for title, expr in targets:
        filled = expr
        for name, value in values.items():
            filled = filled.replace(f'"${name}"', json.dumps(value, ensure_ascii=False))
        yield _asked(f"{_name(folder, path)}: {title}: {filled}", filled, ask)


def _first_value(query: str, ask: Callable[[str], list[Any]]) -> str:
    """The first value that a variable offers."""
    match = re.fullmatch(r"label_values\((.*), (\w+)\)", query, re.DOTALL)
    if match is None:
        return ""
    return next((str(one["metric"].get(match[2], "")) for one in ask(match[1])), "")


def _asked(what: str, query: str, ask: Callable[[str], list[Any]]) -> Finding:
    found = ask(query)
    if found:
        return Finding(what=what, ok=True, told=f"{len(found)} series")
    return Finding(what=what, ok=None if OPTIONAL.search(query) else False, told="nothing")
