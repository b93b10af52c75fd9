"""What the user fixes is what is served, or it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from validator.checks.parity.rows import with_unseen
from validator.errors import PreflightError, SampleError, SettingsError
from validator.model.categories import as_categories
from validator.model.contract import Observer, make_contract
from validator.model.knowledge import Known
from validator.results import Contract, FeatureSpec
from validator.settings.table import ContractSettings
from validator.table import Column, Table

SEEN = (
    FeatureSpec(name="age", dtype="float64", minimum=18.0, maximum=80.0),
    FeatureSpec(name="spend", dtype="float64", minimum=0.0, maximum=9.5, missing=True),
    FeatureSpec(name="visits", dtype="int64", minimum=0.0, maximum=40.0),
    FeatureSpec(name="region", dtype="category", categories=("north", "south")),
)
KNOWN = {
    "region": Known(values=("north", "south", "west"), used=frozenset({"north"})),
    "age": Known(whole=False),
}


def fixed(feature: dict[str, Any] | None = None, **contract: Any) -> Contract:
    """The contract that `[contract]` makes of what was seen, set as a file sets it."""
    document = contract | ({"features": [feature]} if feature else {})
    settings = ContractSettings.model_validate(document)
    return make_contract(
        SEEN,
        task="binary",
        classes=(0, 1),
        n_outputs=1,
        fixed=settings.model_dump(exclude_unset=True),
        known=KNOWN,
    )


def test_what_is_set_is_set_though_it_is_the_default():
    visits = fixed({"name": "visits", "dtype": "float64"}).features[2]
    assert visits.dtype == "float64"
    assert fixed(allow_infinite=False).source == "fixed"
    with pytest.raises(SampleError, match="'spend' has no missing values, and the sample has some"):
        fixed({"name": "spend", "missing": False})


def test_a_contract_may_be_narrower_than_the_model_where_the_sample_keeps_it():
    assert fixed({"name": "region", "categories": ["north"]}).features[3].categories == ("north",)
    assert fixed({"name": "spend", "dtype": "int64"}).features[1].dtype == "int64"


def test_a_range_is_a_promise_only_where_it_was_fixed():
    seen, held = (
        fixed(task="binary").features[0],
        fixed({"name": "age", "minimum": 0.0, "maximum": 120.0}).features[0],
    )
    assert not seen.fixed_range
    assert (held.minimum, held.maximum, held.fixed_range) == (0.0, 120.0, True)
    half = fixed({"name": "age", "minimum": 0.0}).features[0]
    assert (half.minimum, half.maximum) == (0.0, None)
    assert fixed({"name": "age", "missing": True}).features[0].missing


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"name": "age", "maximum": 30.0}, r"'age' ends at 30, and the sample holds 80"),
        ({"name": "age", "minimum": 20.0}, r"'age' begins at 20, and the sample holds 18"),
        ({"name": "age", "dtype": "string"}, r"'age' is string, and the sample's column is float64"),
        ({"name": "age", "dtype": "int64"}, r"'age' is int64, and the sample holds fractions"),
        ({"name": "visits", "dtype": "bool"}, r"'visits' is bool, and the sample holds 40"),
        (
            {"name": "region", "categories": ["south"]},
            r"'region' does not list 'north', which the sample holds",
        ),
        ({"name": "agee"}, r"names a feature 'agee', which the model does not have"),
        (
            {"name": "region", "categories": ["north", "eest"]},
            r"category 'eest', which the model never saw",
        ),
    ],
)
def test_what_cannot_be_kept_is_refused(feature, message):
    with pytest.raises(PreflightError, match=message):
        fixed(feature)


@pytest.mark.parametrize("classes", [[1, 0], ["deny", "approve"], [0, 1, 2], [False, True], [0.0, 1.0]])
def test_classes_are_those_of_the_model_in_its_order(classes):
    with pytest.raises(SettingsError, match="in the order of its probabilities"):
        fixed(classes=classes)
    assert fixed(classes=[0, 1]).classes == (0, 1)


def test_a_model_that_only_counts_its_classes_takes_no_other_names():
    options: dict[str, Any] = {"task": "binary", "classes": (), "n_outputs": 1}
    assert make_contract(SEEN, **options, fixed={"classes": (0, 1)}).classes == (0, 1)
    with pytest.raises(SettingsError, match="only counts them"):
        make_contract(SEEN, **options, fixed={"classes": (1, 0)})


def test_a_classifier_has_no_range_of_predictions():
    with pytest.raises(SettingsError, match="limits the outputs of a classifier"):
        fixed(output_maximum=0.5)


def test_an_unknown_type_is_no_setting():
    with pytest.raises(ValueError, match="dtype"):
        ContractSettings.model_validate({"features": [{"name": "age", "dtype": "int"}]})


def test_a_category_column_keeps_all_values_that_its_model_knows():
    """The deployment refuses what the contract does not list: a list cut short would refuse known values."""
    values = np.array([f"u{i:05}" for i in range(1_500)], dtype=object)
    observer = Observer()
    for codes in (np.arange(5), np.array([1_499, -1])):
        observer.observe(Table.of([Column("user", codes.astype(np.int32), values)]))
    feature = observer.features[0]
    assert feature.categories == tuple(values)
    assert feature.missing


@pytest.mark.parametrize("values", [np.array([3, 8, 4]), np.array([3.0, np.nan, 8.0])])
def test_digits_that_a_model_knows_as_text_are_text_though_a_csv_file_says_no_type(values):
    table = as_categories(Table.of([Column("c", values)]), {"c": ("3", "4", "8")})
    read = [None if value is None else str(value) for value in table.column("c").decoded().tolist()]
    assert read == [None if value != value else str(int(value)) for value in values.tolist()]
    assert table.column("c").categories.tolist() == ["3", "4", "8"]


@pytest.mark.parametrize("known", [("03", "04", "08"), (3, 4, 8)])
def test_digits_are_text_only_where_the_model_knows_every_one_of_them_so(known):
    table = as_categories(Table.of([Column("c", np.array([3, 8, 4]))]), {"c": known})
    assert table.column("c").decoded().tolist() == [3, 8, 4]


def test_truth_values_are_categories_of_their_own_kind():
    flags = np.array(["x", None], dtype=object)
    flags[:] = [True, False]
    column = Column("flag", np.array([1, 0, -1], dtype=np.int32), flags)
    read = as_categories(Table.of([column]), {"flag": (False, True)}).column("flag")
    assert read.categories.dtype == bool
    assert read.values.tolist() == [0, 1, -1]
    unseen = with_unseen(read)
    assert unseen.decoded().tolist() == [2, 2, 2]
