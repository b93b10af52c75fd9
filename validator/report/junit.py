"""The checks as JUnit XML, which test reporters of every CI system read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from validator.checklist import blocks
from validator.report.checklist_view import CATEGORY_TITLES, RUNTIME_TITLES, is_volatile
from validator.report.escape import xml_text
from validator.report.figures import scalar
from validator.results import CheckResult, GateResult


def render_junit(results: Sequence[GateResult], *, volatile: bool = True) -> str:
    """One test suite per model and category, one test case per check and runtime.

    What blocks is a failure, or an error where the check could not be made. What was waived, has no meaning for
    the model, or failed without being required is skipped, with the reason. Without `volatile` all times are 0.
    """
    root = ET.Element("testsuites", name="model-preflight")
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for result in results:
        for category, title in CATEGORY_TITLES.items():
            checks = [check for check in result.checks if check.category == category]
            if checks:
                suite = _suite(result, f"{result.model.name}: {title}", checks, volatile=volatile)
                root.append(suite)
                for name in totals:
                    totals[name] += int(suite.get(name, "0"))
    root.attrib.update({name: str(number) for name, number in totals.items()})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(result: GateResult, name: str, checks: list[CheckResult], *, volatile: bool) -> ET.Element:
    cases = [_case(result.model.name, check, volatile=volatile) for check in checks]
    found = [case[0].tag if len(case) else "" for case in cases]
    attributes = {
        "name": xml_text(name, limit=200),
        "tests": str(len(cases)),
        "failures": str(found.count("failure")),
        "errors": str(found.count("error")),
        "skipped": str(found.count("skipped")),
        "time": _seconds(sum(check.seconds for check in checks) if volatile else 0.0),
        "timestamp": xml_text(result.created_at.removesuffix("Z"), limit=40) if volatile else "",
    }
    suite = ET.Element("testsuite", {key: value for key, value in attributes.items() if value})
    suite.extend(cases)
    return suite


def _case(model: str, check: CheckResult, *, volatile: bool) -> ET.Element:
    runtime = f" ({RUNTIME_TITLES[check.runtime]})" if check.runtime else ""
    case = ET.Element(
        "testcase",
        name=xml_text(check.title + runtime, limit=200),
        classname=xml_text(f"{model}.{check.id}", limit=200),
        time=_seconds(check.seconds if volatile else 0.0),
    )
    tag = _outcome(check)
    if tag:
        told = volatile or not is_volatile(check)
        outcome = ET.SubElement(case, tag, message=xml_text(_message(check, told=told), limit=1_000))
        if tag != "skipped":
            outcome.set("type", check.id)
            outcome.text = _details(check, volatile=volatile)
    return case


def _outcome(check: CheckResult) -> str:
    if blocks(check):
        return "failure" if check.status == "fail" else "error"
    return "" if check.status in ("pass", "warn") else "skipped"


def _message(check: CheckResult, *, told: bool) -> str:
    message = check.message if told else check.title
    return f"waived, not solved: {check.waived}; {message}" if check.waived else message


def _details(check: CheckResult, *, volatile: bool) -> str:
    lines = [f"What to do: {check.hint}"] if check.hint else []
    for item in check.evidence:
        if volatile or not item.volatile:
            allowed = f", allowed {item.allowed}" if item.allowed else ""
            lines.append(f"{item.name}: {scalar(item.seen)}{allowed}")
    return xml_text("\n".join(lines))


def _seconds(value: float) -> str:
    return f"{value:.3f}"
