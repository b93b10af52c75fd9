"""Untrusted text made harmless for the place it is shown in, and still readable.

Feature names, class labels, paths and error texts come from a model file or a fork. They must not end a table
cell, open a tag, notify a person, link anywhere, reorder the line or start a workflow command.
"""

from __future__ import annotations

import re
import unicodedata

NAME_LIMIT = 80
PROSE_LIMIT = 400
ELLIPSIS = "…"
EMPTY = "(empty)"

#: Stands for an invisible space until the text is escaped; clean text holds no control character.
_BREAK = "\0"
#: Categories that are invisible, reorder or break a line: control, format, surrogate, private use, separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
_MOST_MARKS = 2
_PLAIN = re.compile(r"[\x20-\x7e]*\Z")
_ENTITIES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        "|": "&#124;",
        "`": "&#96;",
        "$": "&#36;",
        "\\": "&#92;",
        "*": r"\*",
        "_": r"\_",
        "~": r"\~",
        "[": r"\[",
        "]": r"\]",
        _BREAK: "&#8203;",
    }
)
#: What GitHub turns into mentions, links, emoji and references after it has parsed the Markdown: each is broken
#: by an invisible space behind what is matched.
_LINKING = (
    re.compile(r"@"),
    re.compile(r":(?=[A-Za-z0-9_+/-])"),
    re.compile(r"www(?=\.)", re.IGNORECASE),
    re.compile(r"(?:#|\bGH-)(?=\d)", re.IGNORECASE),
)
_LINE_START = re.compile(r"[#=]|[-+](?=[\s-]|\Z)|[0-9]{1,9}[.)](?=\s|\Z)")


class Safe(str):
    """Text that is already escaped for the place it goes to."""

    __slots__ = ()


def clean(text: str, *, limit: int = NAME_LIMIT) -> str:
    """One line without hidden characters, at most `limit` characters long, cut with an ellipsis.

    Line breaks and tabs become a space; what is invisible or reorders text is shown as `\\u{202e}`; of
    combining marks piled on one letter two are kept.
    """
    cut = len(text) > limit
    head = text[: limit - 1] if cut else text
    if not _PLAIN.match(head):
        head = _visible(head)
        if len(head) > limit:
            head, cut = head[: limit - 1], True
    return head + ELLIPSIS if cut else head


def _visible(text: str) -> str:
    parts: list[str] = []
    marks = 0
    for character in text:
        kind = unicodedata.category(character)
        marks = marks + 1 if kind in _MARKS else 0
        if character in "\r\n\t\v\f\x85\u2028\u2029":
            parts.append(" ")
        elif kind in _HIDDEN:
            parts.append(f"\\u{{{ord(character):x}}}")
        elif marks <= _MOST_MARKS:
            parts.append(character)
    return "".join(parts)


def markdown_text(text: str, *, limit: int = PROSE_LIMIT) -> Safe:
    """Plain words inside a Markdown paragraph or table cell: no Markdown, HTML, mention or link."""
    words = clean(text, limit=limit).strip()
    return _escaped_words(words, start=True) if words or not text else Safe(EMPTY)


def _escaped_words(text: str, *, start: bool) -> Safe:
    for pattern in _LINKING:
        text = pattern.sub(lambda found: found[0] + _BREAK, text)
    opening = _LINE_START.match(text) if start else None
    if opening is None:
        return Safe(text.translate(_ENTITIES))
    # Only at the very start of a line does a mark make a heading or a list; as an entity it is a letter.
    mark = opening.end() - 1
    return Safe(f"{text[:mark]}&#{ord(text[mark])};{text[mark + 1 :].translate(_ENTITIES)}")


def summary_words(text: str, *, limit: int = NAME_LIMIT) -> Safe:
    """Plain words inside an HTML tag such as `<summary>`, where Markdown's backslashes would be seen."""
    return Safe(markdown_text(text, limit=limit).replace("\\", ""))


def summary_prose(text: str, *, limit: int = PROSE_LIMIT) -> Safe:
    """The same of a sentence of ours that may quote `names` in backticks, which become code."""
    parts = clean(text, limit=limit).strip().split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    done = []
    for index, part in enumerate(parts):
        words = summary_words(part, limit=limit)
        before, after = part[: len(part) - len(part.lstrip())], part[len(part.rstrip()) :]
        done.append(
            f"{before}<code>{words}</code>{after}"
            if index % 2 and part.strip()
            else f"{before}{words}{after}"
        )
    return Safe("".join(done))


def markdown_code(text: str, *, limit: int = NAME_LIMIT) -> Safe:
    """A name as inline code. Backtick and pipe are shown by look-alikes: no escape for them holds in every table."""
    shown = clean(text, limit=limit).strip()
    if not shown:
        return Safe(EMPTY)
    return Safe("`" + shown.replace("`", "\N{MODIFIER LETTER GRAVE ACCENT}").replace("|", "¦") + "`")


def markdown_prose(text: str, *, limit: int = PROSE_LIMIT) -> Safe:
    """A sentence of ours that may quote `names` in backticks, which become inline code.

    The quoted parts may hold anything, a backtick too: whichever way the pairs then fall, each part is escaped
    for what it has become.
    """
    parts = clean(text, limit=limit).strip().split("`")
    if len(parts) % 2 == 0:
        parts[-2:] = ["`".join(parts[-2:])]
    done: list[str] = []
    for index, part in enumerate(parts):
        if index % 2 and part.strip():
            # Two quotes without a space between them would read as one longer quote.
            done += [" "] * (bool(done) and done[-1].endswith("`"))
            done.append(markdown_code(part, limit=limit))
        elif index % 2 == 0 and part:
            done.append(_escaped_words(part if done else part.lstrip(), start=not done))
    return Safe("".join(done).strip() or (EMPTY if text else ""))


def link_target(url: str | None) -> Safe | None:
    """A web address as a Markdown link's target, or None when it is not an http(s) address of visible characters."""
    if url is None or not re.fullmatch(r"https?://[!-~]{1,2000}", url):
        return None
    return Safe(re.sub(r"[<>()\[\]\\`|*_~\"'@]", lambda found: f"%{ord(found[0]):02X}", url))


def log_line(text: str, *, limit: int = 10_000) -> str:
    """One line of a workflow's log that the runner cannot take for a command (`::error::`, `##[group]`).

    It stays as long as the cleaned text: a space takes the place of one of the command's marks.
    """
    shown = clean(text, limit=limit).replace("##[", "# [")
    indent = len(shown) - len(shown.lstrip())
    return shown[:indent] + ": " + shown[indent + 2 :] if shown.startswith("::", indent) else shown


def command_data(text: str) -> str:
    """The message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def command_property(text: str) -> str:
    """The value of a workflow command's property, such as `file=` or `title=`."""
    return command_data(text).replace(":", "%3A").replace(",", "%2C")


def xml_text(text: str, *, limit: int = 20_000) -> str:
    """Text of the characters that XML 1.0 allows; line breaks stay. The XML writer escapes the markup."""
    lines = text[:limit].splitlines()
    return "\n".join(clean(line, limit=limit) for line in lines) + (ELLIPSIS if len(text) > limit else "")
