"""LightGBM: every objective, boosting kind, missing type and kind of category."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.zoo import data as sets
from tests.zoo import own_functions, saving
from tests.zoo.case import PROVED, Case, Made, line, refused
from tests.zoo.data import Data

_SMALL = {"num_leaves": 7, "learning_rate": 0.2, "min_child_samples": 5, "verbosity": -1, "random_state": 0}


def classifier(data: Callable[[], Data], trees: int = 12, **params: Any) -> Callable[[], Made]:
    return _wrapper("LGBMClassifier", data, trees, params)


def regressor(data: Callable[[], Data], trees: int = 12, **params: Any) -> Callable[[], Made]:
    return _wrapper("LGBMRegressor", data, trees, params)


def _wrapper(kind: str, data: Callable[[], Data], trees: int, params: dict[str, Any]) -> Callable[[], Made]:
    def make() -> Made:
        import lightgbm

        model = getattr(lightgbm, kind)(n_estimators=trees, n_jobs=1, **{**_SMALL, **params})
        return Made(model=model.fit(data().X, data().y), data=data())

    return make


def booster(
    data: Callable[[], Data], trees: int = 12, named: bool = True, categorical: Any = "auto", **params: Any
) -> Callable[[], Made]:
    """`lightgbm.train` itself."""

    def make() -> Made:
        import lightgbm

        options = {"num_leaves": 7, "min_data_in_leaf": 5, "learning_rate": 0.2, "verbosity": -1, "seed": 0}
        X = data().X if named else data().matrix
        dataset = lightgbm.Dataset(
            X, data().y, categorical_feature=categorical, params={"verbosity": -1}, free_raw_data=False
        )
        return Made(
            model=lightgbm.train({**options, "num_threads": 1, **params}, dataset, trees), data=data()
        )

    return make


def stopped_early() -> Made:
    """Early stopping after a tenth of the trees: predictions use the best iteration's alone."""
    import lightgbm

    data = sets.diabetes()
    model = lightgbm.LGBMRegressor(n_estimators=300, n_jobs=1, **{**_SMALL, "learning_rate": 0.4})
    model.fit(
        data.X.iloc[:300],
        data.y.iloc[:300],
        eval_set=[(data.X.iloc[300:], data.y.iloc[300:])],
        callbacks=[lightgbm.early_stopping(5, verbose=False)],
    )
    assert 0 < model.best_iteration_ < 300
    return Made(model=model, data=data)


def ranker(objective: str) -> Callable[[], Made]:
    """Patients ranked by the disease's progress, in groups of seventeen."""

    def make() -> Made:
        import lightgbm

        data = sets.diabetes()
        relevance = (data.y.rank(pct=True) * 4).astype(int)
        model = lightgbm.LGBMRanker(n_estimators=12, n_jobs=1, objective=objective, **_SMALL)
        return Made(model=model.fit(data.X, relevance, group=[17] * 26), data=data)

    return make


_TRUSTED = {"trust_pickle": "our own training made the file"}


def own_objective() -> Made:
    """A booster trained with a function of the user's: its answers are the raw scores."""
    import lightgbm
    import numpy as np

    data = sets.diabetes()

    def squares(score: Any, dataset: Any) -> tuple[Any, Any]:
        return score - dataset.get_label(), np.ones_like(score)

    params = {"objective": squares, "num_leaves": 7, "verbosity": -1, "num_threads": 1}
    return Made(model=lightgbm.train(params, lightgbm.Dataset(data.X, data.y), 12), data=data)


def scaled() -> Data:
    """The disease's progress as a share of the worst: what cross-entropy and gamma losses can take."""
    return sets.diabetes().with_answers(sets.diabetes().y / 350.0)


def _objective(name: str, data: Callable[[], Data] = sets.diabetes, **params: Any) -> Case:
    return line(f"LightGBM {name}", booster(data, objective=name, **params), PROVED)


CASES: tuple[Case, ...] = (
    line(
        "LightGBM own objective, nobody vouches for it",
        regressor(sets.diabetes, objective=own_functions.squares),
        refused("own_functions.squares", check="load.safety"),
    ),
    line("LightGBM classifier, names with blanks", classifier(sets.cancer), PROVED, quick=True),
    line("LightGBM binary, sigmoid 2.5", booster(sets.cancer, objective="binary", sigmoid=2.5), PROVED),
    line("LightGBM binary, unbalanced", classifier(sets.cancer, is_unbalance=True), PROVED),
    line("LightGBM binary, True and False", classifier(sets.benign), PROVED),
    line("LightGBM multiclass", classifier(sets.wine), PROVED),
    line("LightGBM multiclass, text labels", classifier(sets.species), PROVED),
    line("LightGBM multiclass, labels 3, 7, 12", classifier(sets.growers), PROVED),
    line(
        "LightGBM multiclassova",
        booster(sets.wine, objective="multiclassova", num_class=3),
        PROVED,
    ),
    line(
        "LightGBM multiclassova, sigmoid 0.5",
        classifier(sets.wine, objective="multiclassova", sigmoid=0.5),
        PROVED,
    ),
    _objective("regression"),
    line(
        "LightGBM regression, reg_sqrt",
        booster(sets.diabetes, objective="regression", reg_sqrt=True),
        PROVED,
    ),
    *(_objective(name) for name in ("regression_l1", "huber", "fair", "quantile", "mape")),
    *(_objective(name) for name in ("poisson", "gamma", "tweedie")),
    *(_objective(name, scaled) for name in ("cross_entropy", "cross_entropy_lambda")),
    line("LightGBM lambdarank", ranker("lambdarank"), PROVED),
    line("LightGBM rank_xendcg", ranker("rank_xendcg"), PROVED),
    line("LightGBM own objective, booster", own_objective, PROVED),
    line(
        "LightGBM own objective, regressor",
        regressor(sets.diabetes, objective=own_functions.squares),
        PROVED,
        save=saving.as_cloudpickle,
        settings=_TRUSTED,
    ),
    line("LightGBM dart", classifier(sets.cancer, boosting_type="dart"), PROVED),
    line(
        "LightGBM goss",
        classifier(sets.cancer, data_sample_strategy="goss"),
        PROVED,
    ),
    line(
        "LightGBM rf",
        booster(
            sets.cancer,
            objective="binary",
            boosting="rf",
            bagging_freq=1,
            bagging_fraction=0.6,
            feature_fraction=0.7,
        ),
        PROVED,
        quick=True,
    ),
    line(
        "LightGBM rf, multiclass",
        booster(
            sets.wine,
            objective="multiclass",
            num_class=3,
            boosting="rf",
            bagging_freq=1,
            bagging_fraction=0.6,
        ),
        PROVED,
    ),
    line(
        "LightGBM rf, regression",
        booster(sets.diabetes, objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.6),
        PROVED,
    ),
    line("LightGBM linear trees", booster(sets.diabetes, objective="regression", linear_tree=True), PROVED),
    line(
        "LightGBM linear trees, missing values",
        booster(sets.diabetes_with_gaps, objective="regression", linear_tree=True),
        PROVED,
    ),
    line(
        "LightGBM linear trees, pandas categories",
        regressor(sets.firms_as_categories, linear_tree=True),
        PROVED,
    ),
    line("LightGBM missing values", classifier(sets.cancer_with_gaps), PROVED),
    line(
        "LightGBM missing values, use_missing off",
        classifier(sets.cancer_with_gaps, use_missing=False),
        PROVED,
    ),
    line(
        "LightGBM zero_as_missing", classifier(sets.digits, trees=3, zero_as_missing=True), PROVED, quick=True
    ),
    line(
        "LightGBM category codes",
        booster(
            sets.affairs,
            objective="binary",
            categorical=["occupation", "occupation_husb"],
            cat_smooth=1,
            min_data_per_group=5,
            max_cat_to_onehot=1,
        ),
        PROVED,
    ),
    line("LightGBM pandas categories", regressor(sets.firms_as_categories), PROVED, quick=True),
    line(
        "LightGBM pandas categories, sample as CSV text",
        regressor(sets.firms_as_categories),
        PROVED,
        sample="csv",
        quick=True,
    ),
    line("LightGBM single leaves", regressor(sets.diabetes, min_child_samples=400), PROVED),
    line("LightGBM early stopping", stopped_early, PROVED),
    line(
        "LightGBM iterations 3 to 8 alone",
        booster(sets.wine, objective="multiclass", num_class=3),
        PROVED,
        saving.as_lightgbm_part(3, 5),
    ),
    line("LightGBM bare matrix", booster(sets.cancer, named=False, objective="binary"), PROVED, sample="npz"),
    line("LightGBM extra trees", classifier(sets.cancer, extra_trees=True), PROVED),
    line(
        "LightGBM monotone and interaction constraints",
        regressor(
            sets.diabetes, monotone_constraints=[1] + [0] * 9, interaction_constraints=[[0, 1, 2], [3, 4]]
        ),
        PROVED,
    ),
    line(
        "LightGBM own objective, classifier",
        classifier(sets.cancer, objective=own_functions.squares),
        refused("gives no probabilities"),
        save=saving.as_cloudpickle,
        settings=_TRUSTED,
    ),
)
