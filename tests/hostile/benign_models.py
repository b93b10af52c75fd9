"""Honest models: every scikit-learn estimator fitted on small data, and the tree libraries where installed.

Runs on its own under any supported environment (`python benign_models.py FOLDER` writes each model as a pickle), so
that the scanner can be tried on files that other versions of the libraries wrote.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 60


def data() -> tuple[Any, Any, Any]:
    """Features [60, 5] of float64, a binary target and a real one."""
    rng = np.random.RandomState(7)
    X = rng.normal(size=(ROWS, 5))
    return X, (X[:, 0] + X[:, 1] > 0).astype(int), X @ np.arange(5.0) + rng.normal(size=ROWS)


def _make(estimator: Any) -> Any:
    """An instance of the class, with the parts that some cannot do without."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler
    from sklearn.tree import DecisionTreeClassifier

    name = estimator.__name__
    special = {
        "ColumnTransformer": lambda: estimator([("a", StandardScaler(), [0, 1])], remainder="passthrough"),
        "FeatureUnion": lambda: estimator([("a", StandardScaler()), ("b", StandardScaler())]),
        "Pipeline": lambda: estimator([("a", StandardScaler()), ("b", LogisticRegression())]),
        "GridSearchCV": lambda: estimator(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        "HalvingGridSearchCV": lambda: estimator(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        "RandomizedSearchCV": lambda: estimator(LogisticRegression(), {"C": [0.1, 1.0]}, n_iter=2, cv=2),
        "HalvingRandomSearchCV": lambda: estimator(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2),
        "VotingClassifier": lambda: estimator([("a", LogisticRegression()), ("b", DecisionTreeClassifier())]),
        "VotingRegressor": lambda: estimator([("a", Ridge()), ("b", Ridge(2.0))]),
        "StackingClassifier": lambda: estimator([("a", LogisticRegression())], cv=2),
        "StackingRegressor": lambda: estimator([("a", Ridge())], cv=2),
        "SparseCoder": lambda: estimator(np.eye(5)),
        "SelectFromModel": lambda: estimator(LogisticRegression()),
        "SequentialFeatureSelector": lambda: estimator(LogisticRegression(), n_features_to_select=2, cv=2),
        "FrozenEstimator": lambda: estimator(LogisticRegression().fit(*data()[:2])),
    }
    if name in special:
        return special[name]()
    for inner in (LogisticRegression, Ridge):
        try:
            return estimator()
        except TypeError:
            for arguments in ((inner(),), ([inner()],)):
                try:
                    return estimator(*arguments)
                except TypeError:
                    continue
    raise TypeError(name)


def _fit(model: Any) -> Any:
    """The model fitted on the first kind of target that it accepts, or as it was made."""
    X, y, t = data()
    texts = ["red green", "green blue", "blue red words"] * (ROWS // 3)
    tries = (
        (X, y), (X, t), (np.abs(X), y), (X, np.c_[t, t]), (X, np.c_[y, 1 - y]), (texts,), (y,), (t, t),
        ([{"a": 1.0, "b": "x"}] * ROWS,), ([["a", "b"], ["b"]],), (X[:, 0], t), (np.eye(ROWS), y),
    )  # fmt: skip
    for arguments in tries:
        try:
            return model.fit(*arguments)
        except Exception:
            continue
    return model


def sklearn_models() -> Iterator[tuple[str, Any]]:
    """Each of scikit-learn's `all_estimators`, and a few usual combinations."""
    from sklearn.experimental import enable_halving_search_cv, enable_iterative_imputer  # noqa: F401
    from sklearn.utils import all_estimators

    for name, estimator in all_estimators():
        yield name, _fit(_make(estimator))
    yield from _variants()


def _variants() -> Iterator[tuple[str, Any]]:
    """Options that bring other classes into the file: losses, metrics, kernels, sparse and structured state."""
    from sklearn import (
        ensemble,
        feature_selection,
        gaussian_process,
        linear_model,
        metrics,
        neighbors,
        neural_network,
        pipeline,
        preprocessing,
        svm,
        tree,
    )  # fmt: skip

    X, y, t = data()
    cells = (X * 2).round()
    kernel = gaussian_process.kernels
    yield "sgd-log", linear_model.SGDClassifier(loss="modified_huber").fit(X, y)
    yield "sgd-eps", linear_model.SGDRegressor(loss="epsilon_insensitive").fit(X, t)
    yield "knn-haversine", neighbors.KNeighborsClassifier(algorithm="ball_tree", metric="manhattan").fit(X, y)
    yield "knn-kd", neighbors.KNeighborsRegressor(algorithm="kd_tree", weights="distance").fit(X, t)
    yield "knn-minkowski", neighbors.KNeighborsClassifier(algorithm="ball_tree", p=3).fit(X, y)
    yield (
        "gp",
        gaussian_process.GaussianProcessRegressor(
            kernel.ConstantKernel() * kernel.Matern() + kernel.WhiteKernel()
        ).fit(X, t),
    )
    yield "hist-es", ensemble.HistGradientBoostingClassifier(early_stopping=True, max_iter=5).fit(X, y)
    yield "hist-3", ensemble.HistGradientBoostingClassifier(max_iter=3).fit(X, cells[:, 0] % 3)
    yield (
        "hist-cat",
        ensemble.HistGradientBoostingRegressor(
            max_iter=3,
            categorical_features=[0],
            loss="absolute_error" if _at_least(1, 0) else "least_squares",
        ).fit(np.abs(cells), t),
    )
    yield "hist-poisson", ensemble.HistGradientBoostingRegressor(loss="poisson", max_iter=3).fit(X, np.abs(t))
    yield "gb-3", ensemble.GradientBoostingClassifier(n_estimators=3).fit(X, cells[:, 0] % 3)
    yield "gb-huber", ensemble.GradientBoostingRegressor(n_estimators=3, loss="huber").fit(X, t)
    yield (
        "gb-init",
        ensemble.GradientBoostingRegressor(n_estimators=3, init=linear_model.LinearRegression()).fit(X, t),
    )
    yield "forest-rng", ensemble.RandomForestClassifier(5, random_state=np.random.RandomState(1)).fit(X, y)
    yield "tree-multi", tree.DecisionTreeClassifier().fit(X, np.c_[y, 1 - y])
    yield "svc-prob", svm.SVC(probability=True).fit(X, y)
    yield "mlp-es", neural_network.MLPClassifier((4,), early_stopping=True, max_iter=5).fit(X, y)
    yield (
        "onehot-str",
        preprocessing.OneHotEncoder(dtype=np.float32).fit(np.array([["a"], ["b"]], dtype=object)),
    )
    yield "ordinal", preprocessing.OrdinalEncoder(dtype=np.int64).fit(np.array([["a", "x"], ["b", "y"]]))
    yield "function", preprocessing.FunctionTransformer(np.log1p, inverse_func=np.expm1).fit(np.abs(X))
    yield (
        "function-none",
        pipeline.make_pipeline(preprocessing.FunctionTransformer(), svm.LinearSVC()).fit(X, y),
    )
    yield "kbest", feature_selection.SelectKBest(feature_selection.mutual_info_classif, k=2).fit(X, y)
    yield (
        "scorer",
        linear_model.LogisticRegressionCV(scoring=metrics.make_scorer(metrics.f1_score), cv=2).fit(X, y),
    )
    yield (
        "target-transform",
        _compose()
        .TransformedTargetRegressor(linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1)
        .fit(X, np.abs(t)),
    )
    yield "plain-dict", {"model": tree.DecisionTreeClassifier().fit(X, y), "columns": ["a", "b"], "when": 3.5}


def _compose() -> Any:
    from sklearn import compose

    return compose


def _at_least(*version: int) -> bool:
    import sklearn

    return tuple(int(part) for part in sklearn.__version__.split(".")[:2]) >= version


def pandas_models() -> Iterator[tuple[str, Any]]:
    """Models that met data frames: column names, selectors, categories."""
    import pandas as pd
    from sklearn import compose, impute, linear_model, pipeline, preprocessing

    X, y, _ = data()
    frame = pd.DataFrame(X, columns=list("abcde"))
    frame["city"] = pd.Categorical(["x", "y", "z"] * (ROWS // 3))
    numbers = pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler())
    encoder = preprocessing.OneHotEncoder(handle_unknown="ignore")
    selector = compose.make_column_selector(dtype_include="number")
    for name, columns in (("list", list("abcde")), ("index", frame.columns[:5]), ("selector", selector)):
        columns_of = compose.ColumnTransformer([("n", numbers, columns), ("c", encoder, ["city"])])
        yield (
            f"pandas-{name}",
            pipeline.make_pipeline(columns_of, linear_model.LogisticRegression()).fit(frame, y),
        )
    yield "pandas-onehot", preprocessing.OneHotEncoder().fit(frame[["city"]])
    yield (
        "pandas-series",
        {"columns": frame.columns, "means": frame[list("abcde")].mean(), "head": frame.head()},
    )


def lightgbm_models() -> Iterator[tuple[str, Any]]:
    """LightGBM's Booster and its scikit-learn wrappers, with evaluation results and categories."""
    import lightgbm

    X, y, t = data()
    few = {"n_estimators": 3, "num_leaves": 4, "min_child_samples": 2, "verbose": -1, "n_jobs": 1}
    params = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}
    yield "lgb-booster", lightgbm.train(params, lightgbm.Dataset(X, y), 3)
    yield "lgb-classifier", lightgbm.LGBMClassifier(**few).fit(X, y)
    yield "lgb-multi", lightgbm.LGBMClassifier(**few).fit(X, np.arange(ROWS) % 3)
    yield "lgb-text-labels", lightgbm.LGBMClassifier(**few).fit(X, np.array(["no", "yes"])[y])
    yield "lgb-eval", lightgbm.LGBMRegressor(**few).fit(X, t, eval_set=[(X, t)], eval_metric=["l2", "l1"])
    yield "lgb-ranker", lightgbm.LGBMRanker(**few).fit(X, y, group=[ROWS // 2, ROWS // 2])


def xgboost_models() -> Iterator[tuple[str, Any]]:
    """XGBoost's Booster and its scikit-learn wrappers."""
    import xgboost

    X, y, t = data()
    few = {"n_estimators": 3, "max_depth": 2, "n_jobs": 1}
    classifier = xgboost.XGBClassifier(**few).fit(X, y)
    yield "xgb-classifier", classifier
    yield "xgb-booster", classifier.get_booster()
    yield (
        "xgb-regressor",
        xgboost.XGBRegressor(**few, early_stopping_rounds=2).fit(X, t, eval_set=[(X, t)], verbose=False),
    )
    yield "xgb-ranker", xgboost.XGBRanker(**few).fit(X, y, qid=np.repeat([0, 1], ROWS // 2))
    yield "xgb-forest", xgboost.XGBRFClassifier(**few).fit(X, y)


def catboost_models() -> Iterator[tuple[str, Any]]:
    """CatBoost's own classes."""
    import catboost

    X, y, t = data()
    few = {"iterations": 3, "depth": 2, "verbose": False, "thread_count": 1, "allow_writing_files": False}
    yield "cat-classifier", catboost.CatBoostClassifier(**few).fit(X, y)
    yield "cat-regressor", catboost.CatBoostRegressor(**few).fit(X, t)
    yield "cat-plain", catboost.CatBoost({**few, "loss_function": "RMSE"}).fit(X, t)


SOURCES = (sklearn_models, pandas_models, lightgbm_models, xgboost_models, catboost_models)


def models() -> Iterator[tuple[str, Any]]:
    """Every honest model that the installed libraries can make."""
    for source in SOURCES:
        try:
            yield from source()
        except ImportError as error:
            print(f"skipped {source.__name__}: {error}", file=sys.stderr)


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    import joblib

    for name, model in models():
        for protocol in (0, 2, 4, 5):
            (folder / f"{name}.{protocol}.pkl").write_bytes(pickle.dumps(model, protocol))
        joblib.dump(model, folder / f"{name}.joblib")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
