"""The zoo's table as Markdown, and its place in docs/models.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.zoo.running import Ran
from validator.report.escape import markdown_text

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
BEGIN, END = "<!-- zoo: begin, made by `make zoo` -->", "<!-- zoo: end -->"
_HEADINGS = ("model", "method", "parity", "rows", "largest difference", "verdict", "stock converter")


def row(ran: Ran, stock: str) -> str:
    """One line. A refusal says why instead of how."""
    result = ran.result
    name, stock = markdown_text(ran.case.name), stock if stock == "-" else markdown_text(stock)
    if result.verdict == "fail":
        reason = markdown_text(_reason(ran).removeprefix("refused: ")[:160])
        return f"| {name} | - | - | - | - | refused: {reason} | {stock} |"
    parity = result.parity
    compared = parity.rows + parity.boundary_rows
    largest = "-" if parity.max_abs_diff is None else f"{parity.max_abs_diff:.1g}"
    cells = (name, result.conversion.method, parity.level, f"{compared:,}" if compared else "-", largest)
    return f"| {' | '.join(map(str, cells))} | pass | {stock} |"


def _reason(ran: Ran) -> str:
    first = next(
        (check for check in ran.result.checks if check.required and check.status in ("fail", "error")), None
    )
    return ran.result.reason if first is None else first.message


def render(sections: Mapping[str, Sequence[str]]) -> str:
    """All sections, each a heading and a table, after the counts of all."""
    rows = [one for section in sections.values() for one in section]
    refused = sum("| refused: " in one for one in rows)
    proved = sum(" | proved | " in one for one in rows)
    measured = sum(" | measured | " in one for one in rows)
    wrong = sum(not one.rstrip(" |").endswith(("| same", "| -")) for one in rows)
    lines = [
        f"{len(rows)} models: {proved} converted exactly and proved equal, {measured} converted and measured equal, "
        f"{refused} refused with a reason. The stock converters give other answers or an error for {wrong} of them.",
    ]
    for section, found in sections.items():
        lines += [
            "",
            f"### {section}",
            "",
            f"| {' | '.join(_HEADINGS)} |",
            "|---|---|---|--:|--:|---|---|",
            *found,
        ]
    return "\n".join(lines)


def with_rows(
    sections: Mapping[str, Mapping[str, str]], order: Mapping[str, Sequence[str]]
) -> dict[str, list[str]]:
    """The page's own rows by section, those of some cases by name in their place; `order` has all cases' names."""
    known: dict[str, dict[str, str]] = {}
    section = ""
    for one in PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].splitlines():
        section = one.removeprefix("### ") if one.startswith("### ") else section
        if one.startswith("| ") and section:
            known.setdefault(section, {})[one.split(" | ")[0].removeprefix("| ")] = one
    for name, rows in sections.items():
        known.setdefault(name, {}).update({markdown_text(case): found for case, found in rows.items()})
    return {
        name: [known[name][case] for case in map(markdown_text, cases) if case in known.get(name, {})]
        for name, cases in order.items()
    }


def write(text: str) -> None:
    """Put the table between its marks in docs/models.md."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
