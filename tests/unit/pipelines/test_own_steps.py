"""Steps with a converter of our own: on the edges of their bins, and where every probability rounds to nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, KBinsDiscretizer, StandardScaler

from validator.errors import ConversionError
from validator.pipelines.fallback import convert_estimator

WINE = load_wine()
COLUMNS = [(f"c{i}", "float64") for i in range(13)]


def assert_same(model: Any, rows: np.ndarray) -> None:
    import onnxruntime

    found = convert_estimator(model, COLUMNS)
    assert found.input_dtype == "float64"
    session = onnxruntime.InferenceSession(found.data, providers=["CPUExecutionProvider"])
    answers = dict(
        zip([o.name for o in session.get_outputs()], session.run(None, {"features": rows}), strict=True)
    )
    assert answers["label"].tolist() == model.predict(rows).tolist()
    assert np.abs(answers["probabilities"] - model.predict_proba(rows)).max() < 1e-12


def on_edges(edges: list[np.ndarray]) -> np.ndarray:
    """Rows with one column on an edge, or one ulp to either side."""
    rows = [WINE.data]
    for column, values in enumerate(edges):
        for value in values:
            for moved in (value, np.nextafter(value, np.inf), np.nextafter(value, -np.inf)):
                rows.append(WINE.data[:3].copy())
                rows[-1][:, column] = moved
    return np.concatenate(rows)


@pytest.mark.parametrize("encode", ["onehot", "onehot-dense", "ordinal"])
def test_bins_begin_at_their_edge(encode: str) -> None:
    step = KBinsDiscretizer(n_bins=4, encode=encode, quantile_method="averaged_inverted_cdf")
    model = make_pipeline(step, LogisticRegression(max_iter=3_000)).fit(WINE.data, WINE.target)
    assert_same(model, on_edges(list(step.bin_edges_)))


def test_a_binariser_is_strict_at_its_threshold() -> None:
    model = make_pipeline(Binarizer(threshold=2.1), LogisticRegression()).fit(WINE.data, WINE.target)
    assert_same(model, on_edges([np.array([2.1])] * 13))


def test_an_imputer_marks_what_was_missing() -> None:
    rows = WINE.data.copy()
    rows[::7, 2] = rows[3::11, 5] = np.nan
    model = make_pipeline(
        SimpleImputer(add_indicator=True), StandardScaler(), LogisticRegression(max_iter=1_000)
    )
    assert_same(model.fit(rows, WINE.target), rows)


@pytest.mark.parametrize(
    "labels",
    [WINE.target, WINE.target.astype(float), np.array(["a", "b", "c"])[WINE.target]],
    ids=["numbers", "floats", "text"],
)
def test_labels_follow_scores_where_probabilities_round_to_nothing(labels: np.ndarray) -> None:
    model = SGDClassifier(loss="log_loss", random_state=0).fit(WINE.data, labels)
    close = model.predict_proba(WINE.data).max(axis=1) == 1.0
    assert close.any()
    assert_same(model, WINE.data)


def test_boosted_trees_that_leave_out_trees_are_refused_inside_other_models_with_a_remedy_that_works() -> (
    None
):
    lightgbm = pytest.importorskip("lightgbm")
    trees = lightgbm.LGBMClassifier(
        n_estimators=9, num_leaves=4, verbosity=-1, n_jobs=1, pred_early_stop=True
    )
    model = make_pipeline(StandardScaler(), trees).fit(WINE.data, WINE.target)
    with pytest.raises(ConversionError, match="pred_early_stop") as caught:
        convert_estimator(model, COLUMNS)
    assert "set_params" in str(caught.value.hint)
    model[-1].set_params(pred_early_stop=False)
    assert_same(model, WINE.data)
