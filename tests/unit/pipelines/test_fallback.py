"""Models that are no trees, and trees inside pipelines: scikit-learn's own answers against the ONNX file's."""

from __future__ import annotations

import os
from typing import Any

import lightgbm
import numpy as np
import onnx
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.svm import SVC, OneClassSVM

from validator.errors import ConversionError
from validator.libraries.convert import ConvertedModel
from validator.pipelines.fallback import convert_estimator

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

RNG = np.random.default_rng(11)
X = RNG.normal(size=(200, 4))
BINARY = (X[:, 0] + X[:, 1] > 0).astype(int)
THREE = np.array(["high", "low", "middle"])[RNG.integers(0, 3, 200)]
NUMBER = X @ np.array([1.0, -2.0, 0.5, 3.0])
COLUMNS = [(name, "float64") for name in "abcd"]


def answers(converted: ConvertedModel, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(converted.data, providers=["CPUExecutionProvider"])
    wanted = [item.name for item in session.get_inputs()]
    names = [item.name for item in session.get_outputs()]
    found = session.run(None, {name: given[name] for name in wanted})
    return dict(zip(names, found, strict=True))


def check(
    model: Any, *, dtype: str, tolerance: float, columns: list[tuple[str, str]] = COLUMNS
) -> ConvertedModel:
    converted = convert_estimator(model, columns)
    assert (converted.method, converted.input_dtype) == ("skl2onnx", dtype)
    found = answers(converted, {"features": X.astype(dtype)})
    if hasattr(model, "classes_"):
        np.testing.assert_array_equal(found["label"], model.predict(X))
    if hasattr(model, "predict_proba"):
        name, expected = "probabilities", model.predict_proba(X)
    elif hasattr(model, "decision_function"):
        name, expected = "score", model.decision_function(X)
    else:
        name, expected = "prediction", model.predict(X)
    assert found[name].shape == expected.shape
    assert np.abs(found[name] - expected).max() <= tolerance
    assert converted.data == convert_estimator(model, columns).data
    assert not any(node.op_type == "ZipMap" for node in onnx.load_from_string(converted.data).graph.node)
    return converted


@pytest.mark.parametrize("target", [BINARY, THREE], ids=["binary", "three"])
@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()),
        GaussianNB(),
        StackingClassifier(
            [("a", LogisticRegression()), ("b", lightgbm.LGBMClassifier(n_estimators=5, verbose=-1))]
        ),
        make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)),
        make_pipeline(MinMaxScaler(), HistGradientBoostingClassifier(max_iter=10)),
    ],
    ids=["logistic", "bayes", "stacking", "forest", "histogram"],
)
def test_classifiers_in_double(model: Any, target: np.ndarray) -> None:
    check(model.fit(X, target), dtype="float64", tolerance=1e-13)


@pytest.mark.parametrize(
    "model",
    [
        LinearRegression(),
        GridSearchCV(Ridge(), {"alpha": [0.1, 1.0]}, cv=2),
        GaussianProcessRegressor(),
        make_pipeline(StandardScaler(), ExtraTreesRegressor(20, random_state=0)),
        make_pipeline(SimpleImputer(), lightgbm.LGBMRegressor(n_estimators=20, verbose=-1)),
    ],
    ids=["linear", "search", "process", "trees", "lightgbm"],
)
def test_regressors_in_double(model: Any) -> None:
    check(model.fit(X, NUMBER), dtype="float64", tolerance=1e-11)


def test_float_where_double_has_no_operator() -> None:
    model = make_pipeline(StandardScaler(), IsolationForest(n_estimators=10, random_state=0)).fit(X)
    check(model, dtype="float32", tolerance=1e-4)


@pytest.mark.parametrize("target", [BINARY, THREE], ids=["binary", "three"])
def test_support_vector_machines_give_the_score_of_their_library(target: np.ndarray) -> None:
    check(SVC().fit(X, target), dtype="float64", tolerance=1e-9)


def test_outlier_detector() -> None:
    model = OneClassSVM().fit(X)
    found = answers(convert_estimator(model, COLUMNS), {"features": X})
    assert found["score"].shape == (200,)
    assert np.abs(found["score"] - model.decision_function(X)).max() < 1e-9
    assert (found["label"] == model.predict(X)).all()


@pytest.mark.parametrize("target", [BINARY, THREE], ids=["binary", "three"])
@pytest.mark.parametrize(
    ("model", "hazard"),
    [
        (LinearDiscriminantAnalysis(), "lda-probabilities"),
        (
            VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB())], voting="soft"),
            "voting-flatten",
        ),
        (make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()), "lda-probabilities"),
    ],
    ids=["lda", "voting", "lda-inside"],
)
def test_repaired_hazards(model: Any, hazard: str, target: np.ndarray) -> None:
    converted = check(model.fit(X, target), dtype="float64", tolerance=1e-13)
    assert [(found.id, found.action) for found in converted.hazards] == [(hazard, "repaired")]


def test_votes_are_weighted_by_a_list_of_which_some_are_dropped() -> None:
    voters = [("a", LogisticRegression()), ("gone", "drop"), ("b", GaussianNB())]
    model = VotingClassifier(voters, voting="soft", weights=[2, 5, 1], flatten_transform=False)
    converted = check(model.fit(X, THREE), dtype="float64", tolerance=1e-13)
    assert [found.id for found in converted.hazards] == ["voting-weights"]
    assert model.weights == [2, 5, 1]
    numbers = VotingRegressor([("a", LinearRegression()), ("b", Ridge())], weights=[3, 1])
    check(numbers.fit(X, NUMBER), dtype="float64", tolerance=1e-9)


def test_a_repair_leaves_the_model_alone() -> None:
    model = make_pipeline(KBinsDiscretizer(quantile_method="averaged_inverted_cdf"), Ridge()).fit(X, NUMBER)
    before = model.predict(X)
    assert check(model, dtype="float64", tolerance=1e-9).hazards[0].id == "kbins-onehot"
    assert model[0].encode == "onehot"
    np.testing.assert_array_equal(model.predict(X), before)


@pytest.mark.parametrize(
    ("model", "target"),
    [
        (KNeighborsRegressor(weights="distance", p=1), NUMBER),
        (GaussianProcessClassifier(), BINARY),
        (make_pipeline(FunctionTransformer(np.abs), Ridge()), NUMBER),
        (RandomForestClassifier(3), np.column_stack([BINARY, BINARY])),
        (make_pipeline(StandardScaler(), StandardScaler()), NUMBER),
    ],
    ids=["neighbours", "process", "function", "multilabel", "no-predictor"],
)
def test_refusals_say_what_to_do(model: Any, target: np.ndarray) -> None:
    with pytest.raises(ConversionError) as caught:
        convert_estimator(model.fit(X, target), COLUMNS)
    assert caught.value.hint


def test_a_forced_type_is_not_replaced_by_another() -> None:
    model = IsolationForest(n_estimators=10, random_state=0).fit(X)
    assert convert_estimator(model, COLUMNS, input_dtype="float32").input_dtype == "float32"
    with pytest.raises(ConversionError, match="cannot convert the IsolationForest"):
        convert_estimator(model, COLUMNS, input_dtype="float64")


def test_numeric_columns_chosen_by_name_stay_one_input() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    chosen = ColumnTransformer([("n", SimpleImputer(), ["a", "c"]), ("m", MinMaxScaler(), ["d"])])
    model = make_pipeline(chosen, lightgbm.LGBMRegressor(n_estimators=10, verbose=-1)).fit(frame, NUMBER)
    found = answers(convert_estimator(model, COLUMNS), {"features": X})
    assert np.abs(found["prediction"] - model.predict(frame)).max() < 1e-12


@pytest.mark.parametrize("mixed", [False, True])
def test_columns_keep_their_names_whatever_is_in_them(mixed: bool) -> None:
    """Cleaned of what is in them, `a b` and `a_b` are one name; `v0` is what a value inside may be called."""
    frame = pd.DataFrame(X, columns=["a b", "a_b", "c[0]", "v0"]).assign(**{"é !": X[:, 0] * 2})
    parts = [("n", StandardScaler(), ["a b", "a_b"]), ("m", MinMaxScaler(), ["c[0]", "v0"])]
    columns = [(name, "float64") for name in frame]
    if mixed:
        frame["the city"] = RNG.choice(["x", "y"], 200)
        parts.append(("o", OneHotEncoder(), ["the city"]))
        columns.append(("the city", "string"))
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(frame, BINARY)
    given = {name: frame[[name]].to_numpy(object if name == "the city" else np.float64) for name in frame}
    numbers = frame.to_numpy() if mixed else frame.to_numpy(np.float64)
    found = answers(convert_estimator(model, columns), given if mixed else {"features": numbers})
    assert np.abs(found["probabilities"] - model.predict_proba(frame)).max() < 1e-12


def test_a_column_of_an_outputs_name_is_refused_among_odd_names_too() -> None:
    frame = pd.DataFrame({"label": X[:, 0], "a b": RNG.choice(["x", "y"], 200)})
    parts = [("n", StandardScaler(), ["label"]), ("o", OneHotEncoder(), ["a b"])]
    model = make_pipeline(ColumnTransformer(parts), LogisticRegression()).fit(frame, BINARY)
    with pytest.raises(ConversionError, match="'label', which is the name of an output"):
        convert_estimator(model, [("label", "float64"), ("a b", "string")])


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize(
    "last",
    [LogisticRegression(), lightgbm.LGBMClassifier(n_estimators=10, verbose=-1), RandomForestClassifier(10)],
    ids=["logistic", "lightgbm", "forest"],
)
def test_mixed_tables_have_an_input_per_column(last: Any, sparse: bool) -> None:
    frame = pd.DataFrame(
        {"size": X[:, 0], "city": RNG.choice(["x", "y", "z"], 200), "rooms": RNG.integers(0, 4, 200)}
    )
    frame.loc[::9, "size"] = np.nan
    prepared = ColumnTransformer(
        [
            ("n", make_pipeline(SimpleImputer(), StandardScaler()), ["size"]),
            ("o", OneHotEncoder(handle_unknown="ignore", sparse_output=sparse), ["city", "rooms"]),
        ]
    )
    model = make_pipeline(prepared, last).fit(frame, THREE)
    columns = [("size", "float64"), ("city", "string"), ("rooms", "int64")]
    converted = convert_estimator(model, columns, metadata={"b": "2", "a": "1"})
    rows = frame.copy()
    rows.loc[:20, "city"] = "unseen"
    given = {name: rows[[name]].to_numpy(object if name == "city" else np.float64) for name in rows}
    found = answers(converted, given)
    assert np.abs(found["probabilities"] - model.predict_proba(rows)).max() < 1e-12
    assert found["label"].tolist() == model.predict(rows).tolist()
    assert [(prop.key, prop.value) for prop in onnx.load_from_string(converted.data).metadata_props] == [
        ("a", "1"),
        ("b", "2"),
    ]


def test_a_column_called_like_an_output_is_refused() -> None:
    frame = pd.DataFrame({"label": X[:, 0], "city": RNG.choice(["x", "y"], 200)})
    prepared = ColumnTransformer([("n", StandardScaler(), ["label"]), ("o", OneHotEncoder(), ["city"])])
    model = make_pipeline(prepared, LogisticRegression()).fit(frame, BINARY)
    with pytest.raises(ConversionError, match="column is named 'label'"):
        convert_estimator(model, [("label", "float64"), ("city", "string")])
