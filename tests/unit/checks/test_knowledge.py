"""The model first, the sample second; where they differ, `load.knowledge` says so."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.unit.serving.conftest import contract_of
from validator.checks.check import Subject
from validator.checks.load.contract import judge_knowledge
from validator.checks.parity.rows import known_categories
from validator.model.contract import Observer, make_contract
from validator.model.knowledge import Known, with_knowledge
from validator.results import FeatureSpec
from validator.runtimes.replies import NativeFacts, TrainedColumn
from validator.table import Column, Table

SEEN = (
    FeatureSpec(name="city", dtype="string", categories=("Oslo", "Rom")),
    FeatureSpec(name="spend", dtype="float64"),
    FeatureSpec(name="zip", dtype="int64"),
)


def judged(*trained: TrainedColumn, seen: Any = SEEN, fractional: Any = (), contract: Any = None) -> Any:
    facts = NativeFacts(library="sklearn", model_class="Pipeline", trained_on=trained)
    data = SimpleNamespace(
        features=tuple(one.name for one in seen),
        categories={},
        observer=SimpleNamespace(features=seen, fractional=fractional, used={}),
    )
    return judge_knowledge(facts, data, contract)  # type: ignore[arg-type]


def test_what_only_the_model_knows_is_told_and_passes() -> None:
    check = judged(
        TrainedColumn(column=0, values=("Oslo", "Paris", "Rom")), TrainedColumn(column=1, missing=True)
    )
    assert (check.id, check.status) == ("load.knowledge", "pass")
    assert "'Paris' in 'city'; missing values in 'spend'" in check.message
    assert judged().message == "the sample shows what the model tells of its training"


@pytest.mark.parametrize(
    ("trained", "seen", "words"),
    [
        (TrainedColumn(column=0, values=("Oslo", "Paris")), SEEN, "'Rom' in 'city'"),
        (
            TrainedColumn(column=1, missing=False),
            (SEEN[0], SEEN[1].model_copy(update={"missing": True}), SEEN[2]),
            "missing values in 'spend'",
        ),
        (
            TrainedColumn(column=2, values=("0150", "0151")),
            SEEN,
            "int64 in 'zip', where the model was trained on text",
        ),
    ],
)
def test_what_the_model_was_not_trained_on_is_warned_of(trained: Any, seen: Any, words: str) -> None:
    check = judged(trained, seen=seen)
    assert check.status == "warn"
    assert f"the sample holds what the model was not trained on: {words}" in check.message


def test_the_contract_lists_the_models_categories_first() -> None:
    known = {
        "city": Known(values=("Paris", "Oslo")),
        "spend": Known(missing=True),
        "zip": Known(values=("a",)),
    }
    city, spend, zip_code = with_knowledge(SEEN, known)
    assert city.categories == ("Paris", "Oslo", "Rom")
    assert (spend.missing, zip_code.categories) == (True, None)
    free = (FeatureSpec(name="city", dtype="string"),)
    assert with_knowledge(free, known)[0].categories is None
    strict = {"city": Known(values=("Paris", "Oslo"), answers_others=False)}
    assert with_knowledge(free, strict)[0].categories == ("Paris", "Oslo")


def test_what_the_user_fixed_is_held_against_the_sample_and_not_against_the_model() -> None:
    contract = make_contract(
        SEEN[1:2],
        task="regression",
        classes=(),
        n_outputs=1,
        known={"spend": Known(missing=True)},
        fixed={"features": [{"name": "spend", "missing": False}]},
    )
    assert not contract.features[0].missing


@pytest.mark.parametrize("coded", [False, True])
def test_rows_are_made_of_every_category_that_the_sample_lacks(coded: bool) -> None:
    import numpy as np

    texts = np.array(["Oslo", "Rom"], dtype=object)
    column = Column("city", np.array([0, 1], dtype=np.int32), texts) if coded else Column("city", texts)
    rows = Table.of([column, Column("spend", np.array([1.0, 2.0]))])
    observer = Observer()
    observer.observe(rows)
    specs = with_knowledge(observer.features, {"city": Known(values=("Paris", "Bern", "Rom"))})
    (table,) = known_categories(Subject(contract=contract_of(specs), rows=rows))
    assert table.column("city").decoded().tolist() == ["Paris", "Bern"]
    assert table.column("spend").values.tolist() == [1.0, 2.0]


NUMBERS = (
    FeatureSpec(name="whole", dtype="int64", minimum=0, maximum=9),
    FeatureSpec(name="flag", dtype="int8", minimum=0, maximum=1),
    FeatureSpec(name="amount", dtype="float64", minimum=-3, maximum=7, missing=True),
    FeatureSpec(name="truth", dtype="bool"),
)


def test_the_contract_has_the_models_numbers_and_the_report_says_so() -> None:
    kinds = ("float", "bool", "integer", "bool")
    found = with_knowledge(
        NUMBERS, {one.name: Known(numbers=kind) for one, kind in zip(NUMBERS, kinds, strict=True)}
    )
    assert [one.dtype for one in found] == ["float64", "bool", "int64", "bool"]
    assert [(one.minimum, one.missing) for one in found] == [
        (0, False),
        (None, False),
        (-3, True),
        (None, False),
    ]
    check = judged(*(TrainedColumn(column=i, numbers=kind) for i, kind in enumerate(kinds)), seen=NUMBERS)
    assert check.status == "pass"
    assert (
        "fractions in 'whole'; truth values alone in 'flag'; whole numbers alone in 'amount'" in check.message
    )


@pytest.mark.parametrize(
    ("column", "numbers", "words"),
    [
        (0, "bool", "numbers beside 0 and 1 in 'whole', where the model was trained on truth values"),
        (2, "integer", "fractions in 'amount', where the model was trained on whole numbers"),
        (3, "float", "truth values in 'truth', where the model was trained on numbers"),
    ],
)
def test_the_samples_own_numbers_are_never_refused(column: int, numbers: Any, words: str) -> None:
    seen = NUMBERS[column]
    kept = with_knowledge([seen], {seen.name: Known(numbers=numbers, whole=False)})
    assert [one.dtype for one in kept] == [seen.dtype]
    trained = TrainedColumn(column=column, numbers=numbers)
    check = judged(trained, seen=NUMBERS, fractional={"amount"})
    assert (check.status, words in check.message) == ("warn", True)


def test_a_fraction_is_seen_wherever_it_stands() -> None:
    values = np.arange(200, dtype=np.float64)
    observer = Observer()
    observer.observe(Table.of([Column("a", values), Column("b", values.copy())]))
    assert observer.fractional == set()
    values[150], values[3] = 0.5, np.nan
    observer.observe(Table.of([Column("a", values), Column("b", np.full(200, np.inf))]))
    assert observer.fractional == {"a"}


def test_what_only_the_contract_allows_is_warned_of() -> None:
    allowing = tuple(one.model_copy(update={"missing": True}) for one in SEEN)
    contract = SimpleNamespace(features=allowing)
    check = judged(
        TrainedColumn(column=1, missing=False), TrainedColumn(column=2, missing=True), contract=contract
    )
    assert check.status == "warn"
    assert check.message == "[contract] allows what the model was not trained on: missing values in 'spend'"
    assert judged(TrainedColumn(column=1), contract=contract).status == "pass"


def test_the_categories_that_rows_hold_are_others_than_a_file_lists() -> None:
    observer = Observer()
    listed = np.array(["a", "b", "c"], dtype=object)
    observer.observe(Table.of([Column("k", np.array([2, -1, 2], dtype=np.int32), listed)]))
    observer.observe(Table.of([Column("k", np.array([0, -1, 0], dtype=np.int32), listed)]))
    assert observer.used == {"k": {"a", "c"}}
