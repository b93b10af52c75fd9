"""Every recording rule in promtool: no change of one goes unnoticed by the tests that are generated beside it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.monitoring.test_rules import needs_promtool, promtool
from validator.monitoring.files import as_yaml
from validator.monitoring.rule import Watched
from validator.monitoring.rule_tests import documents
from validator.monitoring.rules import document

#: What is put in the place of what: another aggregation, another function, another sign, another side.
SWAPS = (
    *[(rf"\b{name}(?= by )", other) for name, other in
      (("sum", "max"), ("sum", "min"), ("max", "sum"), ("max", "min"), ("count", "sum"))],
    *[(rf"\b{name}(?=\()", other) for name, other in
      (("increase", "rate"), ("increase", "delta"), ("last_over_time", "min_over_time"),
       ("sum_over_time", "max_over_time"), ("clamp_max", "clamp_min"), ("clamp_min", "clamp_max"),
       ("sqrt", "abs"), ("ln", "log2"))],
    (r" \+ ", " - "), (r"(?<![a-z\d])- ", "+ "), (r" \* ", " / "), (r" / ", " * "),
    (r"\band\b(?! \()", "unless"), (r"\bunless\b", "and"), (r"\bor\b", "and"),
    (r" >= ", " < "), (r" > ", " <= "), (r"=~", "!~"), (r"!~", "=~"), (r'(?<=bin)="', '!="'),
)  # fmt: skip
TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"')


def mutants(expr: str) -> Iterator[tuple[str, str]]:
    """Changed expressions, each with what was changed. What stands in quotes is changed as a whole or not at all."""
    quoted = [match.span() for match in TEXTS.finditer(expr)]

    def outside(at: int) -> bool:
        return not any(start <= at < end for start, end in quoted)

    def changed(match: re.Match[str], by: str) -> tuple[str, str]:
        where = expr[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ")
        return f"`{match[0]}` becomes `{by}` in `{where}`", expr[: match.start()] + by + expr[match.end() :]

    for pattern, other in SWAPS:
        yield from (changed(match, other) for match in re.finditer(pattern, expr) if outside(match.start()))
    for match in re.finditer(r"(?<![\w.\[:])(\d+(?:\.\d+)?(?:e-?\d+)?)(?![\w.\]])", expr):
        if outside(match.start()) and float(match[1]) > 0:
            for factor in (0.5, 2.0):
                yield changed(match, f"{float(match[1]) * factor:.12g}")
    for match in re.finditer(r"(?<=[\[:])(\d+)([mhd])(?=[\]:])", expr):
        if outside(match.start()):
            for factor in (0.5, 2.0):
                minutes = int(match[1]) * {"m": 1, "h": 60, "d": 1440}[match[2]] * factor
                yield changed(match, f"{minutes * 60:g}s")
    for match in re.finditer(r"(?:by|on) \(([^)]*)\)", expr):
        labels = match[1].split(", ")
        # Each selector names the model: to match on it as well changes nothing.
        for label in labels if match[0].startswith("by") else labels[1:]:
            kept = ", ".join(one for one in labels if one != label)
            yield changed(match, f"{match[0].partition(' ')[0]} ({kept})")
    for match in re.finditer(r'(\w+)(?:=|!=|=~|!~)("(?:[^"\\]|\\.)*"),?', expr):
        if match[1] != "model":
            yield changed(match, "")
        for part in match[2].strip('"').split("|") if "|" in match[2] else ():
            kept = "|".join(one for one in match[2].strip('"').split("|") if one != part)
            yield changed(match, match[0].replace(match[2], f'"{kept}"'))


def _all(rules: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each recording rule deleted and changed: what was done, and the rules."""
    for i, group in enumerate(rules["groups"]):
        for j, rule in enumerate(group["rules"]):
            if "record" not in rule:
                continue
            mutant = copy.deepcopy(rules)
            del mutant["groups"][i]["rules"][j]
            yield f"{rule['record']}: deleted", mutant
            for what, expr in mutants(rule["expr"]):
                mutant = copy.deepcopy(rules)
                mutant["groups"][i]["rules"][j] = rule | {"expr": expr}
                yield f"{rule['record']}: {what}", mutant


def test_mutants_are_made_of_every_recording_rule(watched: Watched) -> None:
    rules = document(watched)
    names = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    made = [what for what, _ in _all(rules)]
    assert {what.partition(": ")[0] for what in made} == names
    assert len(set(made)) > 10 * len(names)


def test_every_recorded_series_has_a_value_in_a_test(watched: Watched) -> None:
    rules = document(watched)
    names = {rule["record"] for group in rules["groups"] for rule in group["rules"] if "record" in rule}
    files = documents(watched, rules="r")
    asked = " ".join(
        test["expr"] for ending in ("-requests", "-columns") for one in files[ending]["tests"]
        for test in one["promql_expr_test"]
    )  # fmt: skip
    assert {name for name in names if not re.search(rf"{name}\b", asked)} == set()


#: The same code writes the rules of outputs and of the other windows.
TWINS = re.compile(r"preflight:(output\w*:|(error|slow):\w+?(5m|30m|6h|3d): )")
#: Changes that leave the values alone: a sum of one series; a constant in a logarithm, which differences of shares
#: that add up to one cancel; gauges of the other kind, which nothing joins.
ALIKE = re.compile(r"special_(share|noise)1d: `sum`|:psi: `0\.5`|`(feature|output)!=\"\"` becomes ``")


class Kin:
    """Which recorded series are made of which: a change of one rule needs no rules but those to be tried."""

    def __init__(self, rules: dict[str, Any]) -> None:
        every = [rule for group in rules["groups"] for rule in group["rules"] if "record" in rule]
        self.names = {rule["record"] for rule in every}
        self.parts: dict[str, set[str]] = {}
        for rule in every:
            self.parts.setdefault(rule["record"], set()).update(self.in_(rule["expr"]))

    def in_(self, expr: str) -> set[str]:
        """The recorded series that an expression names."""
        return set(re.findall(r"preflight:[\w:]+", expr)) & self.names

    def touched(self, name: str) -> set[str]:
        """Those that a change of one changes, itself among them."""
        found = {name}
        while more := {one for one, parts in self.parts.items() if parts & found} - found:
            found |= more
        return found

    def of(self, rules: dict[str, Any], tests: dict[str, Any], name: str) -> tuple[Any, Any]:
        """The rules and tests without those that a change of one does not reach."""
        touched = self.touched(name)
        kept = set(touched)
        while more := set().union(*(self.parts[one] for one in kept)) - kept:
            kept |= more
        groups = [
            group | {"rules": [rule for rule in group["rules"] if rule.get("record") in kept]}
            for group in rules["groups"]
        ]
        own = [
            {key: value for key, value in test.items() if key != "alert_rule_test"}
            | {
                "promql_expr_test": [
                    one for one in test["promql_expr_test"] if self.in_(one["expr"]) & touched
                ]
            }
            for test in tests["tests"]
        ]
        return {"groups": [group for group in groups if group["rules"]]}, tests | {"tests": own}


def _passes(folder: Path, rules: dict[str, Any], tests: dict[str, Any]) -> bool:
    (folder / "churn.yml").write_text(as_yaml(rules, about="x"))
    (folder / "tests.yml").write_text(as_yaml(tests, about="x"))
    return promtool(folder, "test", "rules", "tests.yml").returncode == 0


@needs_promtool
@pytest.mark.long
@pytest.mark.timeout(7200)
def test_hardly_a_change_of_a_recording_rule_goes_unnoticed(watched: Watched, tmp_path: Path) -> None:
    """None that deletes a rule; of the others one in twenty may turn out to change no value."""
    files, rules = documents(watched, rules="churn.yml"), document(watched)
    kin, whole = Kin(rules), set()
    survived, made = [], 0
    for what, mutant in _all(rules):
        if TWINS.match(what) or ALIKE.search(what):
            continue
        made += 1
        name = what.partition(": ")[0]
        tests = files["-columns" if name.startswith("preflight:feature") else "-requests"]
        if name not in whole:
            assert _passes(tmp_path, *kin.of(rules, tests, name)), name
            whole.add(name)
        if _passes(tmp_path, *kin.of(mutant, tests, name)):
            survived.append(what)
    print(f"{len(survived)} of {made} survived", *survived, sep="\n")
    assert not [what for what in survived if what.endswith(": deleted")]
    assert len(survived) <= made // 20, survived
