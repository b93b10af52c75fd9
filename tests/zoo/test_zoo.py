"""Every kind of model through the gate: a part of the zoo in each run, all of it in the long one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.zoo.case import Case
from tests.zoo.cases import CASES, SECTIONS
from tests.zoo.running import run, world
from tests.zoo.table import BEGIN, END, PAGE
from validator.gate.validate import RunContext

QUICK = [case for case in CASES if case.quick]
REST = [case for case in CASES if not case.quick]

# Training libraries warn of much; what counts here is how the gate judges what they made.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def around() -> Iterator[RunContext]:
    with world() as found:
        yield found


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.id)
def test_quick_case_ends_as_its_line_says(case: Case, around: RunContext, tmp_path: Path) -> None:
    assert run(case, tmp_path, around).problems == ()


@pytest.mark.long
@pytest.mark.parametrize("case", REST, ids=lambda case: case.id)
def test_case_ends_as_its_line_says(case: Case, around: RunContext, tmp_path: Path) -> None:
    assert run(case, tmp_path, around).problems == ()


def test_every_case_has_a_name_of_its_own_and_every_section_a_quick_one() -> None:
    assert [name for name, count in Counter(case.name for case in CASES).items() if count > 1] == []
    slow_only = {"scikit-learn: linear models"}
    assert {name for name, cases in SECTIONS.items() if not any(case.quick for case in cases)} <= slow_only


def test_the_page_has_a_line_for_every_case() -> None:
    table = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    from validator.report.escape import markdown_text

    missing = [case.name for case in CASES if f"| {markdown_text(case.name)} |" not in table]
    assert missing == []
