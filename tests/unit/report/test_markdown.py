"""The Markdown report: what comes first, what a limit takes away, and what hostile results cannot do to it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from tests.steps import counted
from validator.report.markdown import SMALLEST_LIMIT, render_markdown, render_no_change
from validator.results import GateResult

INPUTS = Path(__file__).parents[2] / "golden" / "inputs"
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
#: Fields of a result that take any text, wherever in it they are.
FREE = {
    "message", "hint", "title", "seen", "allowed", "waived", "reason", "path", "format", "framework",
    "framework_version", "model_class", "dtype", "input_dtype", "base", "base_version", "candidate", "slice",
    "stopped", "version", "created_at", "tool_version", "python", "platform", "git_commit", "trust_reason", "name",
    "origin", "score",
}  # fmt: skip
KEYED = {"packages", "timings", "score_quantiles", "costs"}


def raw(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INPUTS / f"{name}.json").read_text())
    return found


def load(name: str) -> GateResult:
    return GateResult.model_validate(raw(name))


def filled(value: Any, text: str) -> Any:
    """The same result with `text` in every free field that is not empty."""
    if isinstance(value, list):
        return [filled(item, text) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, item in value.items():
        if key in FREE and isinstance(item, str) and item:
            found[key] = text[:1_000]
        elif key in KEYED and item:
            found[key] = {text[:1_000]: next(iter(item.values()))}
        elif key in ("contract_changes", "classes", "categories") and item:
            found[key] = [text[:10_000] for _ in item]
        else:
            found[key] = filled(item, text)
    return found


def blocks_of(markdown: str) -> list[tuple[str, str]]:
    """Block structure: each token with the HTML it holds, if it is HTML."""
    found = []
    for token in PARSER.parse(markdown):
        found.append((token.type, tags(token.content) if token.type == "html_block" else ""))
        found += [
            (child.type, child.content if child.type == "html_inline" else "")
            for child in token.children or ()
            if child.type not in ("text", "code_inline", "text_special")
        ]
    return found


def tags(html: str) -> str:
    return " ".join(re.findall(r"<[^>]*>", html))


def folds_close(report: str) -> bool:
    lines = report.splitlines()
    return sum(line.startswith("<details") for line in lines) == lines.count("</details>")


def test_the_verdict_and_what_to_do_come_first() -> None:
    lines = [line for line in render_markdown([load("blocked")]).splitlines() if line.strip(" >")]
    assert lines[0] == "## ❌ Blocked · `trading`"
    assert lines[1] == "2 problems to solve."
    assert lines[2].startswith("Quality was not measured: ")
    assert lines[4].startswith("> ❌ **No NaN, no Inf** on **Native, ONNX and Deployment**")
    assert "3 of 1,258 answers are NaN" in lines[5]
    assert lines[6].startswith("> **What to do:** impute missing values")


def test_a_pass_says_so_and_how_well_it_is_known() -> None:
    report = render_markdown([load("pass")])
    assert report.startswith("## ✅ Ready to ship")
    assert (
        "Parity **proved over 3,480 splits** · ONNX p99 **0.070 ms** · Speed-up **22.8\N{MULTIPLICATION SIGN}**"
        in report
    )


def test_a_waiver_is_loud() -> None:
    report = render_markdown([load("waived")])
    assert report.index("Waived, not solved: Library versions match") < report.index("### Checklist")
    assert "4.7 reads 4.5 models" in report


def test_a_result_that_claims_to_pass_against_its_own_checks_is_shown_as_blocked() -> None:
    forged = {**raw("blocked"), "verdict": "pass", "reason": "all fine"}
    report = render_markdown([GateResult.model_validate(forged)])
    assert report.startswith("## ❌ Blocked")
    assert "all fine" not in report


def test_a_failure_without_a_failed_check_still_says_why() -> None:
    broken = {**raw("pass"), "verdict": "fail", "reason": "the worker died"}
    report = render_markdown([GateResult.model_validate(broken)])
    assert report.startswith("## ❌ Blocked")
    assert "the worker died" in report.split("###")[0]


def test_what_could_not_run_does_not_bury_the_cause() -> None:
    head = render_markdown([load("stopped")]).split("### Checklist")[0]
    assert "1 problem to solve; 93 further checks could not run because of it." in head
    assert head.count("[!CAUTION]") == 1
    assert "load.safety" in head


def test_warnings_with_one_remedy_are_one_line() -> None:
    found = raw("pass")
    for check in found["checks"]:
        if check["id"] in ("errors.nan", "errors.inf", "errors.text") and check["runtime"] == "native":
            check |= {"status": "warn", "message": "accepted silently: 1", "hint": "serve the Deployment"}
    head = render_markdown([GateResult.model_validate(found)]).split("### Checklist")[0]
    assert head.count("⚠️") == 1
    titles = "NaN in a feature; Inf in a feature; Text where a number belongs"
    assert f"**Warning: Accepted without an error: {titles}** on Native" in head
    assert "→ *serve the Deployment*" in head


def test_what_was_accepted_silently_is_not_told_as_if_the_model_were_wrong() -> None:
    found = raw("pass")
    for check in found["checks"]:
        if check["id"] in ("errors.nan", "errors.inf") and check["runtime"] == "native":
            check |= {
                "status": "warn",
                "message": "accepted silently: a number",
                "hint": "serve the Deployment",
            }
    head = render_markdown([GateResult.model_validate(found)]).split("### Checklist")[0]
    assert "**Warning: Accepted without an error: NaN in a feature; Inf in a feature** on Native" in head


def test_the_worst_verdict_wins() -> None:
    report = render_markdown([load("pass"), load("blocked"), load("waived")])
    assert report.startswith("# ❌ Blocked: 1 of 3 models")
    rows = [line for line in report.splitlines() if line.startswith("| `trading`")]
    assert "❌" in rows[0]
    assert all("✅" in row for row in rows[1:])


def test_all_models_ready() -> None:
    assert render_markdown([load("pass"), load("compared")]).startswith("# ✅ All 2 models ready to ship")


def test_no_result_is_no_report() -> None:
    with pytest.raises(ValueError, match="at least one result"):
        render_markdown([])


def test_no_model_changed() -> None:
    report = render_no_change(["a.pkl"], tool_version="1.0")
    assert report.startswith("## ✅ No model changed")
    assert "- `a.pkl`" in report


STABLE = ("pass", "compared", "blocked", "waived", "stopped")


@pytest.mark.parametrize("name", STABLE)
def test_the_stable_report_does_not_depend_on_times_or_the_machine(name: str) -> None:
    other = raw(name)
    other["latency"] = raw("stopped")["latency"]
    other["timings"] = {"load": 99.0}
    other["created_at"] = "2031-01-01T00:00:00Z"
    other["conversion"]["seconds"] = 9.0
    other["environment"] |= {"platform": "elsewhere", "cpus": 64, "isolation": []}
    other["artifact"] = None
    for check in other["checks"]:
        check["seconds"] = 7.0
        measured = check["category"] == "latency" or any(item["volatile"] for item in check["evidence"])
        if measured and check["status"] in ("pass", "warn"):
            check |= {"message": "p99 9.99 ms", "status": "warn", "hint": "again"}
            check["evidence"] = [item | {"seen": 9.99} for item in check["evidence"]]
    other["reason"] = "something else, in 9.99 ms" if other["verdict"] == "pass" else other["reason"]
    changed = GateResult.model_validate(other)
    assert render_markdown([changed], volatile=False) == render_markdown([load(name)], volatile=False)
    assert render_markdown([changed]) != render_markdown([load(name)])


@pytest.mark.parametrize("names", [["blocked"], ["pass", "blocked", "hostile"]], ids=["one", "three"])
@pytest.mark.parametrize("limit", [SMALLEST_LIMIT, 1_500, 3_000, 6_000, 12_000, 24_000, 65_000])
def test_every_limit_is_kept_and_the_verdict_with_it(names: list[str], limit: int) -> None:
    results = [load(name) for name in names]
    for report in (
        render_markdown(results, limit_bytes=limit),
        render_markdown(results, limit_chars=limit),
    ):
        assert "❌ Blocked" in report.splitlines()[0]
        assert folds_close(report)
    assert len(render_markdown(results, limit_bytes=limit).encode()) <= limit
    assert len(render_markdown(results, limit_chars=limit)) <= limit


def test_sections_go_whole_and_are_named() -> None:
    whole = render_markdown([load("blocked")])
    url = "https://github.com/o/r/actions/runs/1"
    short = render_markdown([load("blocked")], limit_chars=8_000, full_report_url=url)
    assert "Left out: environment, contract" in short
    assert f"[Full report]({url})" in short
    body = short.split("> [!NOTE]")[0]
    assert all(line in whole.splitlines() for line in body.splitlines())
    assert "⚙️" not in body


def test_a_limit_too_small_for_any_verdict_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1000"):
        render_markdown([load("pass")], limit_chars=SMALLEST_LIMIT - 1)


def test_a_hundred_models_still_fit_a_comment() -> None:
    results = [load("pass"), *[load("hostile")] * 149, load("blocked")]
    report = render_markdown(results, limit_chars=65_536)
    assert len(report) <= 65_536
    assert report.startswith("# ❌ Blocked: 150 of 151 models")


def huge_result(times: int) -> GateResult:
    """Marks wherever there is text: more than ten kilobytes, so many times over."""
    huge = filled(raw("hostile"), "| `x` <b> @octocat \u202e" * 50 * times)
    feature = huge["contract"]["features"][0]
    huge["contract"]["features"] = [feature | {"name": f"{i}" + "|" * 900} for i in range(10 * times)]
    for check in huge["checks"]:
        check |= {"message": "`|\n" * 200 * times, "hint": "*" * 200 * times}
    return GateResult.model_validate(huge)


def test_a_result_of_a_megabyte_gives_a_readable_comment() -> None:
    result = huge_result(100)
    assert len(result.model_dump_json()) > 1_000_000
    report = render_markdown([result], limit_chars=65_536)
    assert len(report) <= 65_536
    assert report.startswith("## ❌ Blocked")
    assert folds_close(report)


def test_a_comment_takes_few_steps_however_long_the_result_is() -> None:
    """A text that is gone through again for each of its marks would take a thousand steps a character."""
    result = huge_result(20)
    size = len(result.model_dump_json())
    assert size > 500_000
    with counted() as steps:
        render_markdown([result], limit_chars=8_000)
    assert steps.all < 3_000_000 + 5 * size


HOSTILE = json.loads((INPUTS / "hostile.json").read_text())["checks"][0]["message"]
TEXTS = st.one_of(
    st.text(min_size=1, max_size=80),
    st.lists(
        st.sampled_from(
            ["|", "`", "\\", "*", "_", "<b>", "</details>", "<!--", "-->", "\n", "\n\n", "# a", "- a", "> a", "@me",
             "#1", "https://e.example", "[a](b)", "]", "&lt;", "$x$", "\x00", "\u202e", "~~", "a", " ", "1. "]
        ),
        min_size=1,
        max_size=12,
    ).map("".join),
)  # fmt: skip


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=TEXTS)
def test_no_text_of_a_result_changes_the_structure_of_the_report(text: str) -> None:
    base = copy.deepcopy(raw("hostile"))
    hostile = render_markdown([GateResult.model_validate(filled(base, text))])
    benign = render_markdown([GateResult.model_validate(filled(base, "x"))])
    assert blocks_of(hostile) == blocks_of(benign)
    assert "\u202e" not in hostile
    assert "\x00" not in hostile


@pytest.mark.parametrize("name", sorted(path.stem for path in INPUTS.glob("*.json")))
def test_what_was_loosened_stands_in_the_first_lines(name: str) -> None:
    """Of a model that passes and of one that is blocked, whatever the limit."""
    result = load(name).model_copy(update={"loosened": ("tolerance 1e+09 instead of 1e-06",)})
    first = render_markdown([result]).splitlines()[:4]
    assert any("Judged less strictly: tolerance 1e" in line for line in first)
    assert "Judged less strictly" in render_markdown([result], limit_chars=SMALLEST_LIMIT)
