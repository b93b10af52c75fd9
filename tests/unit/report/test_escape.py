"""No hostile text survives escaping: the Markdown, HTML, XML and log around it stay what they were."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from validator.report.escape import (
    clean,
    command_data,
    command_property,
    link_target,
    log_line,
    markdown_code,
    markdown_prose,
    markdown_text,
    summary_prose,
    summary_words,
    xml_text,
)

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
HOSTILE = [
    "| a | b |",
    "\\| \\\\| \\",
    "```\ncode\n```",
    "`",
    "``a`` `b`",
    "`a``b`c`",
    "``# a",
    "``  - a",
    "``````",
    "<script>alert(1)</script>",
    "<!-- marker -->",
    "</details></td>",
    "[x](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "[x]: https://evil.example",
    "https://evil.example www.evil.example ftp://x.example a@evil.example mailto:a@evil.example",
    "@octocat @org/team #12 GH-12 o/r#12 octocat@0123456",
    "# heading",
    "- item",
    "+ item",
    "1. item",
    "---",
    "===",
    "> quote",
    "*a* **b** _c_ ~~d~~ $x$ $`x`$ :tada:",
    "&lt; &#64;octocat &amp;",
    "::error::x",
    "##[error]x",
    "\x1b[31m \x00 \x07 \x9b",
    "\u202egnp.exe\u2066 \u200b \ufeff \U000e0041",
    "a\nb\r\nc\rd\u2028e\u2029f\x85g",
    "z" + "\u0301" * 50,
    "    indented",
    "é漢字😀",
]
ANY = st.one_of(
    st.text(max_size=60),
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from([*HOSTILE, *"|`\\*_<>[]()#@:~$&\n -1."]), max_size=8).map("".join),
)
PLACES = {
    "paragraph": "{} and more",
    "start of a line": "{}",
    "strong": "**a {}** b",
    "quotation": "> [!CAUTION]\n> {}\n>\n> b",
    "item": "- {}\n- b",
    "table": "| a | b |\n|---|---|\n| {} | b |\n| c | d |",
    "heading": "## a {}\n\nb",
}


def shape(markdown: str) -> list[str]:
    """The structure of a text: every token but words and code, which are what escaped text may become."""
    found: list[str] = []
    for token in PARSER.parse(markdown):
        found += [child.type for child in inline(token)] if token.children is not None else [token.type]
    return found


def inline(token: Token) -> list[Token]:
    return [child for child in token.children or () if child.type not in ("text", "code_inline")]


def words(markdown: str) -> list[str]:
    """Text outside code: where GitHub looks for mentions, links and references."""
    return [
        child.content
        for token in PARSER.parse(markdown)
        for child in token.children or ()
        if child.type == "text"
    ]


def hidden(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize("escape", [markdown_text, markdown_prose, markdown_code])
@given(text=ANY)
def test_markdown_structure_is_unchanged(place: str, escape: object, text: str) -> None:
    assert callable(escape)
    assert shape(place.format(escape(text) or "x")) == shape(place.format("x"))


@pytest.mark.parametrize("escape", [markdown_text, markdown_prose])
@given(text=ANY)
def test_nothing_is_left_that_github_links(escape: object, text: str) -> None:
    assert callable(escape)
    for run in words(f"a {escape(text)} b"):
        assert not re.search(r"@[\w/-]", run)
        assert not re.search(r"(?i)(#|GH-)\d", run)
        assert "://" not in run
        assert not re.search(r"(?i)www\.", run)
        assert not re.search(r"(?i)(mailto|xmpp):\w", run)
        assert not re.search(r":[\w+-]+:", run)


@given(text=ANY)
def test_words_say_what_the_text_said(text: str) -> None:
    """Escaping adds invisible spaces and nothing else: the reader sees the cleaned text."""
    shown = "".join(words(f"a{markdown_text('x' + text)}b")).replace("\u200b", "")
    assert shown == f"a{clean('x' + text, limit=400).strip()}b"


@example(text="`|`")
@given(text=ANY)
def test_code_is_one_span(text: str) -> None:
    tokens = PARSER.parse(f"a {markdown_code(text)} b")[1].children
    assert tokens is not None
    kinds = [token.type for token in tokens]
    empty = not clean(text).strip()
    assert kinds == (["text"] if empty else ["text", "code_inline", "text"])


@given(text=st.one_of(ANY, st.text(min_size=200, max_size=300)), limit=st.integers(2, 100))
def test_clean_is_one_visible_line_within_its_limit(text: str, limit: int) -> None:
    found = clean(text, limit=limit)
    assert len(found) <= limit
    assert not hidden(found)
    assert len(found.splitlines()) <= 1
    whole = clean(text, limit=12 * len(text) + 1)
    assert found == whole if len(text) <= limit and len(whole) <= limit else found.endswith("…")


def test_a_name_of_100000_characters_is_cut_with_an_ellipsis() -> None:
    assert clean("x" * 100_000) == "x" * 79 + "…"
    assert len(markdown_code("|" * 100_000)) == 82


def test_hidden_characters_are_shown_not_dropped() -> None:
    assert clean("a\u202eb\x1b[31m") == "a\\u{202e}b\\u{1b}[31m"


def test_marks_piled_on_a_letter_are_thinned() -> None:
    assert clean("z" + "\u0301" * 50 + "y") == "z\u0301\u0301y"


@given(text=ANY)
def test_summary_words_hold_no_markup(text: str) -> None:
    found = summary_words(text)
    assert "<" not in found
    assert ">" not in found
    assert "\\" not in found


@given(text=ANY, quoted=ANY)
def test_summary_prose_holds_code_and_no_other_markup(text: str, quoted: str) -> None:
    for found in (summary_prose(text), summary_prose(f"see `{quoted}`: {text}")):
        bare = re.sub(r"<code>[^<>]*</code>", "", found)
        assert "<" not in bare
        assert ">" not in bare
        assert "\\" not in found


def test_names_in_summary_prose_are_code() -> None:
    assert summary_prose("see `serves`, or `a<b`.") == "see <code>serves</code>, or <code>a&lt;b</code>."
    assert "<code>" not in summary_prose("one ` alone")


@given(text=ANY, spaces=st.integers(0, 4))
def test_no_log_line_is_a_workflow_command(text: str, spaces: int) -> None:
    line = log_line(" " * spaces + text)
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert len(line.splitlines()) <= 1
    assert not hidden(line)


@given(text=ANY)
def test_command_values_keep_within_their_command(text: str) -> None:
    assert not {"\r", "\n"} & set(command_data(text))
    assert not {"\r", "\n", ":", ","} & set(command_property(text))


def test_command_values_can_be_read_back() -> None:
    assert command_data("50 % of\r\nrows") == "50 %25 of%0D%0Arows"
    assert command_property("a:b,c%") == "a%3Ab%2Cc%25"


@given(text=ANY)
def test_xml_text_holds_only_what_xml_allows(text: str) -> None:
    assert re.fullmatch(r"[\x09\x0A\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]*", xml_text(text))


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "https://a b",
        "https://a\nb",
        "//evil.example",
        "https://é.example",
        "https://" + "x" * 3_000,
    ],
)
def test_what_is_no_web_address_is_no_link(url: str | None) -> None:
    assert link_target(url) is None


def test_a_link_target_cannot_end_its_link() -> None:
    url = "https://github.com/o/r/actions/runs/1?a=b&c=(d)[e]<f>`g`|h"
    target = link_target(url)
    assert target is not None
    tokens = PARSER.parse(f"| a |\n|---|\n| [x]({target}) |")
    links = [child for token in tokens for child in token.children or () if child.type == "link_open"]
    assert len(links) == 1
    assert str(links[0].attrs["href"]).startswith("https://github.com/o/r/actions/runs/1?a=b&c=%28d%29")
