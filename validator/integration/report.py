"""What was tried, for people and for test reporters. Pure."""

from __future__ import annotations

import textwrap
from functools import partial
from xml.etree import ElementTree as ET

from validator.integration.run import TestReport, Tried
from validator.report.escape import log_line, markdown_code, markdown_prose, xml_text

_WORDS = {"pass": "pass", "fail": "FAIL", "skip": "skip"}
_TAGS = {"fail": "failure", "skip": "skipped"}


def line_of(one: Tried, *, width: int = 80) -> str:
    """One check in the terminal; what was wrong on lines of its own."""
    wrap = partial(textwrap.wrap, width=width, subsequent_indent=" " * 8)
    head = wrap(f"  {_WORDS[one.status]:<5} {one.title}")
    told = log_line(one.message, limit=1_000)
    return "\n".join([*head, *wrap(told, initial_indent=" " * 8)])


def headline(report: TestReport) -> str:
    """The verdict in one line."""
    count = {status: sum(one.status == status for one in report.tried) for status in _WORDS}
    name = f"{report.model} {report.version}".strip() or report.reference
    parts = [f"{count['pass']} passed", f"{count['fail']} failed", f"{count['skip']} not tried"]
    verdict = "works as published" if report.verdict == "pass" else "does not work as published"
    return log_line(f"{name} {verdict}: {', '.join(parts)}", limit=400)


def render_markdown(report: TestReport) -> str:
    """`test.md`."""
    lines = [f"## {markdown_prose(headline(report), limit=400)}", ""]
    lines += [
        f"Reference {markdown_code(report.reference)}, digest {markdown_code(report.digest or 'none')}.",
        "",
    ]
    lines += ["| | check | what was seen |", "|---|---|---|"]
    signs = {"pass": "✓", "fail": "✗", "skip": "-"}
    for one in report.tried:
        told = markdown_prose(" ".join(one.message.split()), limit=600).replace("|", "\\|")
        lines.append(f"| {signs[one.status]} | {one.title} `{one.id}` | {told} |")
    return "\n".join(lines) + "\n"


def render_junit(report: TestReport) -> str:
    """`junit.xml`: one suite, one case a check."""
    count = {status: str(sum(one.status == status for one in report.tried)) for status in _WORDS}
    root = ET.Element("testsuites", name="model-preflight test")
    suite = ET.SubElement(root, "testsuite", name=xml_text(report.model or report.reference, limit=200))
    suite.attrib.update(
        tests=str(len(report.tried)), failures=count["fail"], errors="0", skipped=count["skip"]
    )
    for one in report.tried:
        case = ET.SubElement(
            suite, "testcase", name=one.title, classname=f"published.{one.id}", time=f"{one.seconds:.3f}"
        )
        if one.status in _TAGS:
            ET.SubElement(case, _TAGS[one.status], message=xml_text(one.message, limit=1_000))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def document(report: TestReport) -> dict[str, object]:
    """`test.json`, and what `--json` prints."""
    return {
        "schema_version": 1,
        "reference": report.reference,
        "model": report.model,
        "version": report.version,
        "digest": report.digest,
        "verdict": report.verdict,
        "checks": [
            {
                "id": one.id,
                "title": one.title,
                "status": one.status,
                "message": one.message,
                "seconds": round(one.seconds, 3),
            }
            for one in report.tried
        ],
    }
