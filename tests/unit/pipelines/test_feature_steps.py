"""Steps that make new features, in double, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import FactorAnalysis, FastICA
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, PowerTransformer, StandardScaler

from tests.unit.pipelines.by_onnx import assert_answers, converted
from validator.errors import ConversionError

RNG = np.random.default_rng(3)
ROWS = pd.DataFrame(
    RNG.normal(size=(300, 4)) * [1.0, 30.0, 0.01, 5.0] + [0.0, 10.0, 0.0, -2.0], columns=list("abcd")
)
LABELS = (ROWS.a + ROWS.c > 0).astype(int)
STEPS = {
    "yeo-johnson": PowerTransformer(),
    "plain": PowerTransformer(standardize=False),
    "polynomial": PolynomialFeatures(),
    "interactions": PolynomialFeatures(3, interaction_only=True, include_bias=False),
    "between": PolynomialFeatures((2, 3)),
    "beyond": PolynomialFeatures(5, interaction_only=True),
    "ica": FastICA(3, random_state=0),
    "factors": FactorAnalysis(2),
    "fourier": RBFSampler(gamma=0.1, n_components=20, random_state=0),
    "nystroem": Nystroem(n_components=20, random_state=0),
    "nystroem-poly": Nystroem("poly", gamma=0.1, n_components=20, random_state=0),
}


def far(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, rows of nothing, of next to nothing and rows far away."""
    edges = np.array([0.0, -0.0, 1e-17, -1e-17, 1e-9, -1e-9, 1.0, -1.0, 1e3, -1e3])
    return pd.concat([rows, pd.DataFrame(np.repeat(edges[:, None], 4, axis=1), columns=rows.columns)])


@pytest.mark.parametrize("step", STEPS.values(), ids=list(STEPS))
def test_new_features_are_those_of_the_library(step: Any) -> None:
    model = make_pipeline(StandardScaler(), step, LogisticRegression(max_iter=2_000)).fit(ROWS, LABELS)
    assert_answers(model, far(ROWS), tolerance=1e-9)


@pytest.mark.parametrize("power", [0.0, 2.0, 1.0, -3.0, 0.3, 1e-12, 2 + 1e-12])
@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_every_power_of_a_column(method: str, power: float) -> None:
    rows = pd.DataFrame({"a": np.exp(RNG.normal(size=200)), "b": RNG.random(200) + 1e-6})
    model = make_pipeline(PowerTransformer(method), Ridge()).fit(rows, rows.a)
    model[0].lambdas_ = np.array([power, 0.7])
    given = rows if method == "box-cox" else pd.concat([rows, -rows, rows * 1e-9, rows * 0])
    _, found = converted(model, given)
    expected = model.predict(given)
    assert np.abs(found["prediction"].ravel() / np.where(expected == 0, 1, expected) - 1).max() < 1e-9


def test_missing_values_stay_missing() -> None:
    model = make_pipeline(PowerTransformer(), Ridge()).fit(ROWS, ROWS.a)
    given = ROWS.head(3).copy()
    given.iloc[1, 2] = np.nan
    _, found = converted(model, given)
    assert np.isnan(found["prediction"].ravel()).tolist() == [False, True, False]


def test_an_unknown_kernel_is_named() -> None:
    model = make_pipeline(Nystroem("cosine", n_components=5), Ridge()).fit(ROWS, ROWS.a)
    with pytest.raises(ConversionError, match="Nystroem cannot be converted with the kernel 'cosine'"):
        converted(model, ROWS)
