"""XGBoost: the scikit-learn API and the booster, every objective and booster that it can express."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.zoo import data as sets
from tests.zoo import saving
from tests.zoo.case import PROVED, Case, Made, line, refused
from tests.zoo.data import Data

_SMALL = {"max_depth": 3, "learning_rate": 0.3, "n_jobs": 1, "random_state": 0, "n_estimators": 10}


def wrapper(kind: str, data: Callable[[], Data], fit: Any = None, **params: Any) -> Callable[[], Made]:
    def make() -> Made:
        import xgboost

        model = getattr(xgboost, f"XGB{kind}")(**{**_SMALL, **params})
        return Made(model=model.fit(data().X, data().y, **(fit or {})), data=data())

    return make


def booster(data: Callable[[], Data], rounds: int = 10, **params: Any) -> Callable[[], Made]:
    def make() -> Made:
        import xgboost

        matrix = xgboost.DMatrix(data().X, data().y, enable_categorical=True)
        options = {"max_depth": 3, "nthread": 1, "seed": 0, **params}
        return Made(model=xgboost.train(options, matrix, rounds), data=data())

    return make


def stopped_early() -> Made:
    import xgboost

    data = sets.diabetes()
    options = {**_SMALL, "n_estimators": 200, "learning_rate": 0.5}
    model = xgboost.XGBRegressor(early_stopping_rounds=5, **options)
    model.fit(
        data.X.iloc[:300], data.y.iloc[:300], eval_set=[(data.X.iloc[300:], data.y.iloc[300:])], verbose=False
    )
    assert model.best_iteration < model.get_booster().num_boosted_rounds() - 1
    return Made(model=model, data=data)


def several_answers(*, bare: bool = False) -> Made:
    import numpy as np
    import xgboost

    data = sets.iris()
    model = xgboost.XGBClassifier(**_SMALL).fit(data.X, np.column_stack([data.y == 1, data.y == 2]))
    return Made(model=model.get_booster() if bare else model, data=data)


def survival(objective: str) -> Callable[[], Made]:
    """Tumours by their mean radius as if it were a time, every fourth still going on."""

    def make() -> Made:
        import numpy as np
        import xgboost

        data = sets.cancer()
        time = data.X["mean radius"].to_numpy()
        running = np.arange(len(time)) % 4 == 0
        X = data.X.drop(columns="mean radius")
        matrix = xgboost.DMatrix(X)
        if objective == "survival:aft":
            matrix.set_float_info("label_lower_bound", time)
            matrix.set_float_info("label_upper_bound", np.where(running, np.inf, time))
        else:
            matrix.set_label(np.where(running, -time, time))
        options = {"objective": objective, "max_depth": 3, "nthread": 1}
        return Made(model=xgboost.train(options, matrix, 10), data=data.with_features(X))

    return make


def ranker(objective: str) -> Callable[[], Made]:
    def make() -> Made:
        import xgboost

        data = sets.diabetes()
        relevance = (data.y.rank(pct=True) * 4).astype(int)
        if objective == "rank:map":
            relevance = (relevance > 2).astype(int)
        model = xgboost.XGBRanker(objective=objective, **_SMALL)
        return Made(model=model.fit(data.X, relevance, group=[17] * 26), data=data)

    return make


def shares() -> Data:
    return sets.diabetes().with_answers(sets.diabetes().y / 350.0)


def labels(data: Callable[[], Data]) -> Callable[[], Data]:
    return lambda: data().with_answers(data().y.astype(int))


def own_mark() -> Data:
    """Missing values marked by -999."""
    data = sets.cancer_with_gaps()
    return data.with_features(data.X.fillna(-999.0))


def zero_mark() -> Data:
    """Missing values marked by 0, which some pixels are anyhow."""
    data = sets.digits()
    return data.with_answers(data.y.astype(float))


def _objective(name: str, data: Callable[[], Data] = sets.diabetes, **params: Any) -> Case:
    return line(f"XGBoost {name}", booster(data, objective=name, **params), PROVED)


CASES: tuple[Case, ...] = (
    line("XGBoost classifier, names with blanks", wrapper("Classifier", sets.cancer), PROVED, quick=True),
    line("XGBoost classifier, multiclass", wrapper("Classifier", sets.wine), PROVED),
    line("XGBoost classifier, True and False", wrapper("Classifier", sets.benign), PROVED),
    line("XGBoost regressor", wrapper("Regressor", sets.diabetes), PROVED),
    *(_objective(name) for name in ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror")),
    *(
        _objective(name, shares)
        for name in ("reg:squaredlogerror", "reg:logistic", "reg:gamma", "reg:tweedie")
    ),
    line(
        "XGBoost reg:quantileerror, three quantiles",
        booster(sets.diabetes, objective="reg:quantileerror", quantile_alpha=[0.1, 0.5, 0.9]),
        PROVED,
    ),
    _objective("count:poisson"),
    *(_objective(name, sets.cancer) for name in ("binary:logistic", "binary:logitraw", "binary:hinge")),
    line("XGBoost multi:softprob", booster(sets.wine, objective="multi:softprob", num_class=3), PROVED),
    line(
        "XGBoost multi:softmax",
        booster(sets.wine, objective="multi:softmax", num_class=3),
        PROVED,
    ),
    line(
        "XGBoost classifier, multi:softmax",
        wrapper("Classifier", sets.wine, objective="multi:softmax"),
        PROVED,
    ),
    line("XGBoost survival:cox", survival("survival:cox"), PROVED),
    line("XGBoost survival:aft", survival("survival:aft"), PROVED),
    *(line(f"XGBoost {name}", ranker(name), PROVED) for name in ("rank:ndcg", "rank:pairwise", "rank:map")),
    line(
        "XGBoost regressor with binary:logistic",
        wrapper("Regressor", shares, objective="binary:logistic"),
        PROVED,
    ),
    line(
        "XGBoost dart",
        booster(sets.cancer, objective="binary:logistic", booster="dart", rate_drop=0.3),
        PROVED,
    ),
    line(
        "XGBoost gblinear",
        booster(sets.diabetes, objective="reg:squarederror", booster="gblinear"),
        refused("gblinear"),
    ),
    line("XGBoost random forest, classifier", wrapper("RFClassifier", sets.cancer), PROVED),
    line("XGBoost random forest, regressor", wrapper("RFRegressor", sets.diabetes), PROVED),
    line(
        "XGBoost boosted forests",
        wrapper("Regressor", sets.diabetes, n_estimators=4, num_parallel_tree=3, subsample=0.7),
        PROVED,
    ),
    line("XGBoost missing values", wrapper("Classifier", sets.cancer_with_gaps), PROVED, quick=True),
    line(
        "XGBoost missing=-999",
        wrapper("Classifier", own_mark, missing=-999.0),
        PROVED,
    ),
    line("XGBoost missing=0", wrapper("Regressor", zero_mark, missing=0), PROVED),
    line("XGBoost pandas categories", booster(sets.firms_as_categories), PROVED, quick=True),
    line(
        "XGBoost pandas categories, regressor",
        wrapper("Regressor", sets.firms_as_categories, enable_categorical=True, max_cat_to_onehot=2),
        PROVED,
    ),
    line(
        "XGBoost pandas categories, sample as CSV text",
        wrapper("Regressor", sets.firms_as_categories, enable_categorical=True),
        PROVED,
        sample="csv",
    ),
    line("XGBoost base_score 0.7", wrapper("Classifier", sets.cancer, base_score=0.7), PROVED),
    line("XGBoost early stopping", stopped_early, PROVED),
    line("XGBoost several outputs, a tree each", wrapper("Regressor", sets.linnerud), PROVED, quick=True),
    line(
        "XGBoost several outputs, shared trees",
        wrapper("Regressor", sets.linnerud, multi_strategy="multi_output_tree", tree_method="hist"),
        PROVED,
    ),
    line("XGBoost yes-or-no answers", several_answers, refused("yes-or-no answers")),
    line("XGBoost yes-or-no answers, booster", lambda: several_answers(bare=True), PROVED),
    line("XGBoost exact", wrapper("Regressor", sets.diabetes, tree_method="exact"), PROVED),
    line("XGBoost approx, loss-guided", wrapper("Regressor", sets.diabetes, tree_method="approx"), PROVED),
    line("XGBoost as JSON", wrapper("Classifier", sets.cancer), PROVED, saving.by_own_method("model.json")),
    line("XGBoost as UBJ", wrapper("Classifier", sets.wine), PROVED, saving.by_own_method("model.ubj")),
)
