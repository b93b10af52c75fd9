"""Each parity check of rows fails by its own difference, and an error of a runtime is told as what it is."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.unit.checks.conftest import sensible
from validator.checks.check import failed, result, run_check
from validator.checks.parity import rows as parity
from validator.checks.parity.leaves import Inside, judge_inside
from validator.checks.parity.proof import Judge, ProofReply, prove_as_served
from validator.results import Contract, FeatureSpec
from validator.sandbox.worker_pool import Raised
from validator.settings.table import Settings
from validator.table import Column, Table

KINDS = np.array(["x", "y"], dtype=object)


class Asked:
    """A runtime as a pair asks it: post, then answer."""

    def __init__(self, predict):
        self.predict = predict
        self._posted = []

    def post(self, table):
        self._posted.append(table)

    def answer(self, rows):
        return self.predict(self._posted.pop(0))


def by_numbers(table):
    """Looks at the features alone; a missing one counts as zero."""
    clean = [Column(c.name, np.nan_to_num(c.values)) for c in table.columns if c.is_numeric]
    return sensible(Table.of(clean))


def shifted(where):
    """Differs by a thousandth in the rows that `where` picks."""

    def predict(table):
        good = by_numbers(table)
        change = 1e-3 * np.outer(where(table), [-1, 1])
        return replace(good, probabilities=good.probabilities + change)

    return predict


def everywhere(table):
    return np.ones(len(table))


def missing(table):
    return np.isnan([c.values for c in table.columns if c.values.dtype.kind == "f"]).any(axis=0)


def unseen(table):
    return np.array([value not in ("x", "y", None) for value in table.column("kind").decoded()])


def flipping(table):
    good = by_numbers(table)
    return replace(good, label=np.where(np.arange(len(table)) == 3, 1 - good.label, good.label))


@pytest.fixture
def mixed(subject):
    kinds = Column("kind", (np.arange(len(subject.rows)) % 2).astype(np.int32), KINDS)
    return replace(subject, rows=Table.of([*subject.rows.columns, kinds]))


def judged(onnx, subject):
    """Status of each check, with a sound native model beside this ONNX file."""
    pair = parity.RuntimePair(native=Asked(by_numbers), onnx=Asked(onnx), tolerance=1e-9)
    compared = []

    def on_sample():
        compared.append(pair.compare([subject.rows]))
        return parity.judge(compared[-1], "sample rows")

    checks = [run_check("parity.sample", "", on_sample)]
    for special in (parity.missing_values, parity.unseen_categories):
        check, comparison = special(pair, subject)
        checks.append(check)
        compared += [comparison] if comparison else []
    checks.append(parity.labels(compared, True))
    return {check.id: check for check in checks}


FAULTS = {
    "parity.missing": shifted(missing),
    "parity.categories": shifted(unseen),
    "parity.labels": flipping,
}


@pytest.mark.parametrize("id", FAULTS)
def test_a_difference_fails_the_check_of_the_rows_that_show_it_alone(id, mixed):
    found = judged(FAULTS[id], mixed)
    assert {name for name, check in found.items() if check.status != "pass"} == {id}
    assert found[id].hint


def test_a_difference_everywhere_fails_wherever_numbers_are_compared(mixed):
    found = judged(shifted(everywhere), mixed)
    assert found["parity.sample"].status == "fail"
    assert "400 of 400 sample rows differ" in found["parity.sample"].message
    assert found["parity.labels"].status == "pass"


def test_unseen_categories_that_a_library_answers_by_accident_need_a_word_and_no_more(mixed):
    pair = parity.RuntimePair(native=Asked(by_numbers), onnx=Asked(shifted(unseen)), tolerance=1e-9)
    check, comparison = parity.unseen_categories(pair, mixed, library="xgboost")
    assert (check.status, comparison) == ("warn", None)
    assert "the deployment refuses it" in check.message
    assert parity.unseen_categories(pair, mixed, library="lightgbm")[0].status == "fail"
    text = Column("kind", np.array(["x", "y"] * (len(mixed.rows) // 2), dtype=object))
    texts = replace(mixed, rows=mixed.rows.replace(text))
    assert parity.unseen_categories(pair, texts, library="xgboost")[0].status == "fail"


def _may_miss(subject, *names):
    features = tuple(
        one.model_copy(update={"missing": one.name in names}) for one in subject.contract.features
    )
    return replace(subject, contract=subject.contract.model_copy(update={"features": features}))


def test_missing_values_that_the_contract_refuses_are_a_note_where_it_is_kept(mixed):
    first = mixed.contract.features[0].name

    def in_first(table):
        return np.isnan(table.column(first).values)

    def check_of(refusing, *allowed):
        pair = parity.RuntimePair(native=Asked(by_numbers), onnx=Asked(shifted(in_first)), tolerance=1e-9)
        return parity.missing_values(pair, _may_miss(mixed, *allowed), refusing=refusing)

    check, comparison = check_of(True)
    assert (check.status, check.required, comparison.rows) == ("warn", False, 0)
    assert f"refuses missing values in {first}" in check.message
    assert check_of(False)[0].status == "fail"
    assert check_of(True, first)[0].status == "fail"
    others = [one.name for one in mixed.contract.features[1:]]
    check, comparison = check_of(True, *others)
    assert (check.status, comparison.beyond) == ("warn", 0)
    assert comparison.rows > 0


class Prover:
    """A worker that finds two trees different wherever `x` may be missing."""

    def __init__(self, without="proved"):
        self.without = without

    def call(self, op, arrays, names, missing=None):
        differs = missing is None or missing[names.index("x")]
        found = {
            "status": "different" if differs else self.without, "reason": "NaN goes elsewhere" if differs else "fine",
            "splits": 3, "bound": 0.0, "output_bound": 0.0, "labels_exact": True, "row": None,
        }  # fmt: skip
        return SimpleNamespace(result=found, arrays=[])


def _proved_as_served(*, serves="deployment", missing=(), method="none", without="proved"):
    worker = Prover(without)
    converted = SimpleNamespace(
        onnx=b"", conversion=SimpleNamespace(method=method), export=SimpleNamespace(header={})
    )
    first = ProofReply(
        status="different", reason="NaN goes elsewhere", splits=3, bound=None, output_bound=None, labels_exact=False
    )  # fmt: skip
    judge = Judge(worker=worker, proof=first, check=result("parity.proof", "", failed("NaN goes elsewhere")))
    features = tuple(FeatureSpec(name=name, dtype="float64", missing=name in missing) for name in ("x", "y"))
    contract = Contract(features=features, task="binary", classes=(0, 1))
    settings = Settings(model=("m",), serves=serves)
    return prove_as_served(settings, judge, converted, ["x", "y"], contract)


def test_a_proof_leaves_out_missing_values_only_where_they_are_refused_before_the_model():
    found = _proved_as_served(missing=("y",))
    assert (found.check.status, found.check.required) == ("warn", False)
    assert "the contract refuses" in found.check.message
    assert found.proof.missing == (False, True)
    measured = _proved_as_served(without="unproved")
    assert (measured.check.status, measured.check.required) == ("skip", False)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"serves": "onnx"}, {"serves": "native"}, {"serves": "wrapper"}, {"missing": ("x",)}, {"missing": ("x", "y")},
        {"method": "exact"}, {"without": "different"},
    ],
    ids=str,
)  # fmt: skip
def test_a_difference_that_can_be_met_stays_a_failure(otherwise):
    found = _proved_as_served(**otherwise)
    assert found.check.status == "fail"
    assert found.proof.missing is None


def test_equal_runtimes_pass(mixed):
    assert {check.status for check in judged(by_numbers, mixed).values()} == {"pass"}


def test_an_error_is_no_difference_and_its_remedy_is_no_row(mixed):
    """What an error says, and what to do about an error: not to look for a worst row that does not exist."""

    def broken(table):
        raise Raised("ImportError", ("ImportError",), "cannot import name 'thing'", "see the message")

    found = judged(broken, mixed)["parity.sample"]
    assert found.status != "pass"
    assert "ImportError: cannot import name 'thing'" in found.message
    assert "row" not in found.hint
    assert "ONNX file" not in found.hint


def test_a_row_that_meets_another_leaf_fails_the_check_of_leaves():
    """parity.leaves: even where the answers are the same."""
    same = run_check(
        "parity.leaves", "", lambda: judge_inside(Inside(tolerance=1e-9, rows=50, leaf_mismatches=0))
    )
    other = Inside(tolerance=1e-9, rows=50, leaf_mismatches=2, first_mismatch="a=0.5")
    found = run_check("parity.leaves", "", lambda: judge_inside(other))
    assert (same.status, found.status) == ("pass", "fail")
    assert "2 of 50 rows meet other leaves" in found.message
