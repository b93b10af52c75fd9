"""The checks as JUnit XML, which test reporters of every CI system read."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from validator.causes import blocks, causes_of, in_words
from validator.report.checklist_view import CATEGORY_TITLES, RUNTIME_TITLES, is_volatile
from validator.report.escape import xml_text
from validator.report.figures import scalar
from validator.report.view import quality_sentence
from validator.results import CheckResult, GateResult


def render_junit(results: Sequence[GateResult], *, volatile: bool = True) -> str:
    """One test suite per model and category, one test case per check and runtime.

    A problem is one failure, or one error where the check could not be made, as every other report counts it. What
    says the same or follows from it, what was waived, has no meaning for the model, or failed without being required
    is skipped, with the reason. Without `volatile` all times are 0.
    """
    root = ET.Element("testsuites", name="model-preflight")
    totals = dict.fromkeys(("tests", "failures", "errors"), 0)
    for result in results:
        behind = _behind(result.checks)
        for category, title in CATEGORY_TITLES.items():
            checks = [check for check in result.checks if check.category == category]
            if checks:
                name = f"{result.model.name}: {title}"
                suite = _suite(result, name, checks, behind, volatile=volatile)
                root.append(suite)
                for name in totals:
                    totals[name] += int(suite.get(name, "0"))
    root.attrib.update({name: str(number) for name, number in totals.items()})
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _behind(checks: Sequence[CheckResult]) -> dict[int, str]:
    """By identity of a check that blocks and is no problem of its own: which problem it belongs to."""
    found: dict[int, str] = {}
    for cause in causes_of(checks):
        found |= {id(check): f"the same problem as {in_words(cause)}" for check in cause.checks[1:]}
        found |= {id(check): f"follows from: {in_words(cause)}" for check in cause.follows}
    return found


def _suite(
    result: GateResult, name: str, checks: list[CheckResult], behind: dict[int, str], *, volatile: bool
) -> ET.Element:
    quality = quality_sentence(result)
    cases = [
        _case(result.model.name, check, behind.get(id(check), ""), quality, volatile=volatile)
        for check in checks
    ]
    found = [case[-1].tag if len(case) else "" for case in cases]
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


def _case(model: str, check: CheckResult, behind: str, quality: str, *, volatile: bool) -> ET.Element:
    runtime = f" ({RUNTIME_TITLES[check.runtime]})" if check.runtime else ""
    case = ET.Element(
        "testcase",
        name=xml_text(check.title + runtime, limit=200),
        classname=xml_text(f"{model}.{check.id}", limit=200),
        time=_seconds(check.seconds if volatile else 0.0),
    )
    if quality and check.id == "quality.limits":
        ET.SubElement(case, "system-out").text = xml_text(quality)
    tag = "skipped" if behind else _outcome(check)
    if tag:
        told = volatile or not is_volatile(check)
        outcome = ET.SubElement(case, tag, message=xml_text(_message(check, behind, told=told), limit=1_000))
        if tag != "skipped":
            outcome.set("type", check.id)
            outcome.text = _details(check, volatile=volatile)
    return case


def _outcome(check: CheckResult) -> str:
    if blocks(check):
        return "failure" if check.status == "fail" else "error"
    return "" if check.status in ("pass", "warn") else "skipped"


def _message(check: CheckResult, behind: str, *, told: bool) -> str:
    message = check.message if told else check.title
    if behind:
        return f"{behind}; {message}"
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
