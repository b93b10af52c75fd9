"""LightGBM's texts and estimators across its releases."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest

from validator.documents import DocumentError
from validator.errors import ConversionError
from validator.libraries.adapter import Adapter
from validator.libraries.export import export
from validator.libraries.lightgbm.check import check_text
from validator.libraries.lightgbm.trees import read

_RNG = np.random.default_rng(0)
_ROWS = _RNG.normal(size=(200, 4))
_TRUTH = (_ROWS[:, 0] + _RNG.normal(size=200) > 0).astype(int)


def _second_text(objective: str, boosting: str) -> str:
    """A text as releases before 2.3 wrote it."""
    options = {"objective": objective, "boosting": boosting, "bagging_freq": 1, "bagging_fraction": 0.6,
               "verbosity": -1, "num_threads": 1}  # fmt: skip
    booster = lightgbm.train(options, lightgbm.Dataset(_ROWS, _TRUTH), 3)
    return booster.model_to_string().replace("version=v4", "version=v2")


@pytest.mark.parametrize("objective", ["binary", "poisson"])
def test_averaged_trees_of_which_the_release_is_not_known_are_refused(objective: str) -> None:
    with pytest.raises(ConversionError, match=r"2\.2\.1 and before answer the average.*2\.2\.3") as caught:
        read(_second_text(objective, "rf"))
    assert "lightgbm==3.3.5" in caught.value.hint


@pytest.mark.parametrize(("objective", "boosting"), [("binary", "gbdt"), ("regression", "rf")])
def test_all_other_second_texts_mean_one_thing(objective: str, boosting: str) -> None:
    assert read(_second_text(objective, boosting)).n_trees == 3


def _estimator(**options: Any) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=3, verbosity=-1, n_jobs=1, **options)


def _framed() -> Any:
    import pandas as pd

    return pd.DataFrame(_ROWS, columns=list("abcd"))


class _OfAnOlderRelease(lightgbm.LGBMClassifier):
    """Without `feature_names_in_`, as LightGBM before 4.5 has it."""

    __module__ = "lightgbm.sklearn"

    @property
    def feature_names_in_(self) -> Any:
        raise AttributeError("feature_names_in_")


@pytest.mark.parametrize("piped", [False, True])
def test_an_estimator_knows_its_columns_whichever_release_it_is_of(piped: bool) -> None:
    from sklearn.pipeline import make_pipeline

    model: Any = _OfAnOlderRelease(n_estimators=3, verbosity=-1, n_jobs=1)
    if piped:
        model = make_pipeline(model)
    model.fit(_framed(), _TRUTH)
    assert Adapter(model).feature_names == list("abcd")


@pytest.mark.parametrize("asked", [True, False, None])
def test_trees_that_calls_leave_out_are_told_of(asked: bool | None) -> None:
    options = {} if asked is None else {"pred_early_stop": asked}
    header, _ = export(_estimator(**options).fit(_framed(), _TRUTH))
    assert ("pred_early_stop" in header["called_otherwise"]) is bool(asked)


def test_regression_leaves_out_no_tree() -> None:
    model = lightgbm.LGBMRegressor(n_estimators=3, verbosity=-1, n_jobs=1, pred_early_stop=True)
    assert export(model.fit(_framed(), _TRUTH))[0]["called_otherwise"] == ""


def _first_text() -> bytes:
    """As releases before 2.2 wrote it: without a line at the end of the trees."""
    text = _second_text("binary", "gbdt").replace("\nend of trees\n", "\n")
    head, _, tail = text.partition("\nfeature_importances:")
    names = tail.partition("\nparameters:")[0]
    return f"{head}\nfeature importances:{names}\npandas_categorical:null\n".encode()


def test_the_oldest_texts_end_their_trees_without_a_word() -> None:
    old, new = _first_text(), _second_text("binary", "gbdt")
    assert b"end of trees" not in old
    assert check_text(old).facts == check_text(new.encode()).facts
    one, other = read(old), read(new)
    assert one.n_trees == other.n_trees == 3
    np.testing.assert_array_equal(one.leaf_value, other.leaf_value)
    booster = lightgbm.Booster(model_str=old.decode())
    np.testing.assert_array_equal(booster.predict(_ROWS), lightgbm.Booster(model_str=new).predict(_ROWS))


def test_the_oldest_texts_cut_short_are_refused() -> None:
    old = _first_text()
    whole = old.index(b"\nfeature importances:")
    for end in (whole - 1, whole // 2, whole - 40):
        with pytest.raises(DocumentError, match="cut off"):
            check_text(old[:end])
    without = old.replace(b"shrinkage=", b"", 1)
    with pytest.raises(DocumentError, match="tree 0"):
        check_text(without)
    with pytest.raises(DocumentError, match="cut off"):
        check_text(old.replace(b"version=v2", b"version=v4"))


def test_what_the_library_would_not_read_is_refused() -> None:
    """It takes a text to end at a NUL: what was checked behind one would not be what is used."""
    text = _second_text("binary", "gbdt").encode()
    for at in (len(text), text.index(b"\nend of trees"), text.index(b"Tree=1")):
        with pytest.raises(DocumentError, match="NUL"):
            check_text(text[:at] + b"\0" + text[at:])
