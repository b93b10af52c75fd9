"""scikit-learn: trees and what is made of them, everything else that predicts, and pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.zoo import data as sets
from tests.zoo import own_functions, saving
from tests.zoo.case import MEASURED, PROVED, Case, Expected, Made, line, refused
from tests.zoo.data import Data


def fitted(path: str, data: Callable[[], Data], matrix: bool = False, **params: Any) -> Callable[[], Made]:
    """`path` names the class below sklearn; an estimator among `params` is given as such a pair (path, params)."""

    def make() -> Made:
        model = _made(path, params)
        X = data().matrix if matrix else data().X
        return Made(model=model.fit(X, data().y), data=data())

    return make


def _made(path: str, params: dict[str, Any]) -> Any:
    import importlib

    module, _, name = path.rpartition(".")
    cls = getattr(importlib.import_module(f"sklearn.{module}"), name)
    return cls(**{key: _argument(value) for key, value in params.items()})


class E:
    """An estimator inside another, made only when the case runs."""

    def __init__(self, path: str, **params: Any) -> None:
        self.path, self.params = path, params

    def __call__(self) -> Any:
        return _made(self.path, self.params)


class Ufunc(E):
    """A function of numpy's."""

    def __call__(self) -> Any:
        import numpy as np

        return getattr(np, self.path)


def _argument(value: Any) -> Any:
    if isinstance(value, E):
        return value()
    if isinstance(value, list):
        return [_argument(item) for item in value]
    return tuple(_argument(item) for item in value) if isinstance(value, tuple) else value


def pipeline(data: Callable[[], Data], *steps: E, matrix: bool = False) -> Callable[[], Made]:
    def make() -> Made:
        from sklearn.pipeline import make_pipeline

        model = make_pipeline(*(step() for step in steps))
        return Made(model=model.fit(data().matrix if matrix else data().X, data().y), data=data())

    return make


class Booster(E):
    """An estimator of another library."""

    def __init__(self, module: str, path: str, **params: Any) -> None:
        super().__init__(path, **params)
        self.module = module

    def __call__(self) -> Any:
        import importlib

        return getattr(importlib.import_module(self.module), self.path)(**self.params)


LOGISTIC = E("linear_model.LogisticRegression", max_iter=2000)
SCALED = E("preprocessing.StandardScaler")
BOOSTED_CLASSES = E("ensemble.HistGradientBoostingClassifier", max_iter=10)
FOREST = E("ensemble.RandomForestClassifier", n_estimators=10, max_depth=5, random_state=0)
TREE = E("tree.DecisionTreeClassifier", max_depth=4, random_state=0)


def _trees(
    name: str,
    data: Callable[[], Data],
    expected: Expected = PROVED,
    note: str = "",
    quick: bool = False,
    **params: Any,
) -> Case:
    params = {"random_state": 0, **params}
    where = "tree" if name.startswith(("Decision", "ExtraTreeC", "ExtraTreeR")) else "ensemble"
    if where == "ensemble" and not name.startswith(("Hist", "Bagging")):
        params = {"n_estimators": 10, **params}
    if name.startswith("Hist"):
        params = {"max_iter": 10, "min_samples_leaf": 5, **params}
    title = f"{name}, {note}" if note else name
    return line(title, fitted(f"{where}.{name}", data, **params), expected, quick=quick)


TREES: tuple[Case, ...] = (
    _trees("DecisionTreeClassifier", sets.cancer, max_depth=5),
    _trees("DecisionTreeClassifier", sets.cancer_with_gaps, note="missing values", max_depth=5),
    _trees("DecisionTreeClassifier", sets.species, note="text labels"),
    _trees("DecisionTreeRegressor", sets.diabetes, max_depth=5),
    _trees("DecisionTreeRegressor", sets.linnerud, note="three outputs"),
    _trees("ExtraTreeClassifier", sets.wine),
    _trees("ExtraTreeRegressor", sets.diabetes, max_depth=6),
    _trees("RandomForestClassifier", sets.cancer, max_depth=5),
    _trees("RandomForestClassifier", sets.digits, note="ties of pixels", max_depth=4, n_estimators=5),
    _trees("RandomForestClassifier", sets.cancer_with_gaps, note="missing values", max_depth=5, quick=True),
    _trees("RandomForestClassifier", sets.benign, note="True and False", max_depth=5),
    _trees("RandomForestRegressor", sets.diabetes, max_depth=6),
    _trees(
        "RandomForestRegressor", sets.diabetes, note="absolute error", max_depth=4, criterion="absolute_error"
    ),
    _trees("RandomForestRegressor", sets.linnerud, note="three outputs"),
    _trees("ExtraTreesClassifier", sets.wine, max_depth=5),
    _trees("ExtraTreesRegressor", sets.diabetes_with_gaps, note="missing values", max_depth=5),
    _trees("GradientBoostingClassifier", sets.cancer),
    _trees("GradientBoostingClassifier", sets.wine, note="multiclass"),
    _trees("GradientBoostingClassifier", sets.cancer, note="exponential loss", loss="exponential"),
    _trees("GradientBoostingClassifier", sets.cancer, note="init zero", init="zero"),
    _trees("GradientBoostingRegressor", sets.diabetes, quick=True),
    _trees("GradientBoostingRegressor", sets.diabetes, note="huber", loss="huber", subsample=0.7),
    _trees(
        "GradientBoostingRegressor",
        sets.diabetes,
        refused("starts from a LinearRegression"),
        note="starts from a linear model",
        init=E("linear_model.LinearRegression"),
    ),
    _trees("HistGradientBoostingClassifier", sets.cancer, quick=True),
    _trees("HistGradientBoostingClassifier", sets.wine, note="multiclass"),
    _trees("HistGradientBoostingClassifier", sets.cancer_with_gaps, note="missing values"),
    _trees("HistGradientBoostingRegressor", sets.diabetes),
    _trees("HistGradientBoostingRegressor", sets.diabetes, note="poisson", loss="poisson"),
    _trees("HistGradientBoostingRegressor", sets.diabetes, note="gamma", loss="gamma"),
    _trees("HistGradientBoostingRegressor", sets.diabetes, note="quantile", loss="quantile", quantile=0.8),
    _trees("HistGradientBoostingRegressor", sets.firms_as_categories, note="pandas categories", quick=True),
    _trees(
        "HistGradientBoostingClassifier",
        sets.affairs,
        note="category codes",
        categorical_features=["occupation", "occupation_husb"],
    ),
    _trees("IsolationForest", sets.cancer),
    _trees(
        "IsolationForest",
        sets.cancer,
        note="contamination, half the features",
        contamination=0.1,
        max_features=0.5,
    ),
    _trees("BaggingClassifier", sets.cancer, note="of trees", estimator=TREE, max_features=0.5),
    _trees("BaggingRegressor", sets.diabetes, note="of trees"),
    _trees("BaggingClassifier", sets.cancer, MEASURED, note="of logistic regressions", estimator=LOGISTIC),
    _trees("AdaBoostClassifier", sets.cancer, MEASURED, estimator=TREE),
    _trees("AdaBoostRegressor", sets.diabetes, MEASURED),
)


def _linear(
    name: str, data: Callable[[], Data], expected: Expected = MEASURED, note: str = "", **params: Any
) -> Case:
    title = f"{name}, {note}" if note else name
    return line(title, fitted(f"linear_model.{name}", data, **params), expected)


LINEAR: tuple[Case, ...] = (
    *(
        _linear(name, sets.diabetes)
        for name in (
            "LinearRegression",
            "Ridge",
            "RidgeCV",
            "Lasso",
            "LassoLars",
            "ElasticNet",
            "Lars",
            "OrthogonalMatchingPursuit",
            "BayesianRidge",
            "ARDRegression",
            "HuberRegressor",
            "TheilSenRegressor",
        )
    ),
    _linear("RANSACRegressor", sets.diabetes, random_state=0),
    _linear("SGDRegressor", sets.diabetes, random_state=0),
    _linear("PassiveAggressiveRegressor", sets.diabetes, random_state=0),
    _linear("QuantileRegressor", sets.diabetes, alpha=0.01),
    *(_linear(name, sets.diabetes) for name in ("PoissonRegressor", "GammaRegressor", "TweedieRegressor")),
    _linear("LinearRegression", sets.linnerud, note="three outputs"),
    _linear("MultiTaskLasso", sets.linnerud),
    _linear("LogisticRegression", sets.cancer, max_iter=5000),
    _linear("LogisticRegression", sets.species, note="text labels", max_iter=2000),
    _linear("LogisticRegressionCV", sets.iris, max_iter=2000, Cs=3),
    _linear("RidgeClassifier", sets.cancer),
    _linear("SGDClassifier", sets.cancer, random_state=0),
    _linear("SGDClassifier", sets.wine, note="log loss", random_state=0, loss="log_loss"),
    _linear("Perceptron", sets.cancer, random_state=0),
    _linear("PassiveAggressiveClassifier", sets.cancer, random_state=0),
)


def _other(
    path: str,
    data: Callable[[], Data],
    expected: Expected = MEASURED,
    note: str = "",
    quick: bool = False,
    **params: Any,
) -> Case:
    name = path.rpartition(".")[2]
    return line(f"{name}, {note}" if note else name, fitted(path, data, **params), expected, quick=quick)


def one_measure() -> Data:
    """The patients' body mass index alone."""
    return sets.diabetes().with_features(sets.diabetes().X[["bmi"]])


OTHERS: tuple[Case, ...] = (
    _other("svm.SVC", sets.iris),
    _other("svm.SVC", sets.iris, note="probabilities", probability=True, random_state=0),
    _other("svm.NuSVC", sets.cancer),
    _other("svm.LinearSVC", sets.iris),
    _other("svm.SVR", sets.diabetes, C=100.0),
    _other("svm.NuSVR", sets.diabetes),
    _other("svm.LinearSVR", sets.diabetes, max_iter=20000),
    _other("svm.OneClassSVM", sets.iris),
    _other("neighbors.KNeighborsClassifier", sets.wine, quick=True),
    _other(
        "neighbors.KNeighborsClassifier",
        sets.iris,
        refused("differ", check="parity.sample"),
        note="equal distances",
    ),
    _other("neighbors.KNeighborsRegressor", sets.diabetes),
    _other(
        "neighbors.KNeighborsRegressor",
        sets.diabetes,
        note="distance weights",
        weights="distance",
    ),
    _other(
        "neighbors.KNeighborsRegressor",
        sets.diabetes,
        refused("anything but their Euclidean distance"),
        note="by city blocks",
        weights="distance",
        p=1,
    ),
    _other("neighbors.RadiusNeighborsClassifier", sets.iris, refused("breaks off"), radius=5.0),
    _other("neighbors.NearestCentroid", sets.iris),
    _other("neighbors.LocalOutlierFactor", sets.iris, novelty=True),
    *(
        _other(f"naive_bayes.{name}", sets.digits)
        for name in ("GaussianNB", "MultinomialNB", "ComplementNB", "BernoulliNB")
    ),
    _other("naive_bayes.CategoricalNB", sets.digits, min_categories=17),
    _other("neural_network.MLPClassifier", sets.iris, random_state=0, hidden_layer_sizes=(8,), max_iter=2000),
    _other(
        "neural_network.MLPRegressor", sets.diabetes, random_state=0, hidden_layer_sizes=(8,), max_iter=3000
    ),
    _other(
        "neural_network.MLPRegressor",
        sets.linnerud,
        note="three outputs",
        random_state=0,
        hidden_layer_sizes=(4,),
        max_iter=3000,
    ),
    _other("discriminant_analysis.LinearDiscriminantAnalysis", sets.wine),
    _other("discriminant_analysis.QuadraticDiscriminantAnalysis", sets.wine),
    _other("gaussian_process.GaussianProcessRegressor", sets.linnerud, note="three outputs", alpha=1.0),
    _other("gaussian_process.GaussianProcessRegressor", sets.diabetes, alpha=1.0),
    _other("gaussian_process.GaussianProcessClassifier", sets.iris, refused("operator")),
    _other("kernel_ridge.KernelRidge", sets.diabetes),
    _other("isotonic.IsotonicRegression", one_measure),
    _other("cross_decomposition.PLSRegression", sets.linnerud),
    _other("dummy.DummyClassifier", sets.iris),
    _other("covariance.EllipticEnvelope", sets.iris, random_state=0),
)


class FittedBayes(E):
    """A model that was trained before, as frozen ones are."""

    def __init__(self) -> None:
        super().__init__("naive_bayes.GaussianNB")

    def __call__(self) -> Any:
        return super().__call__().fit(sets.iris().X, sets.iris().y)


COMBINED: tuple[Case, ...] = (
    _other(
        "calibration.CalibratedClassifierCV",
        sets.cancer,
        note="sigmoid",
        estimator=E("naive_bayes.GaussianNB"),
        cv=3,
    ),
    _other(
        "calibration.CalibratedClassifierCV",
        sets.cancer,
        note="isotonic, over a forest",
        estimator=FOREST,
        cv=3,
        method="isotonic",
        quick=True,
    ),
    _other(
        "calibration.CalibratedClassifierCV",
        sets.wine,
        note="isotonic, over boosted trees, three classes",
        estimator=E("ensemble.HistGradientBoostingClassifier", max_iter=5, random_state=0),
        cv=3,
        method="isotonic",
    ),
    _other(
        "calibration.CalibratedClassifierCV",
        sets.cancer,
        note="isotonic, over a vector machine",
        estimator=E("svm.LinearSVC", random_state=0),
        cv=3,
        method="isotonic",
    ),
    _other(
        "calibration.CalibratedClassifierCV",
        sets.cancer,
        note="temperature",
        estimator=LOGISTIC,
        cv=3,
        method="temperature",
    ),
    _other(
        "calibration.CalibratedClassifierCV",
        sets.cancer,
        note="isotonic, over XGBoost",
        estimator=Booster("xgboost", "XGBClassifier", n_estimators=8, n_jobs=1, max_depth=3),
        cv=3,
        method="isotonic",
    ),
    _other("model_selection.FixedThresholdClassifier", sets.cancer, estimator=FOREST, threshold=0.3),
    _other("model_selection.TunedThresholdClassifierCV", sets.cancer, estimator=BOOSTED_CLASSES, cv=3),
    _other("kernel_ridge.KernelRidge", sets.diabetes, note="rbf", kernel="rbf"),
    _other("dummy.DummyRegressor", sets.diabetes, strategy="median"),
    _other(
        "ensemble.VotingClassifier",
        sets.iris,
        note="soft",
        estimators=[("a", LOGISTIC), ("b", FOREST)],
        voting="soft",
    ),
    _other("ensemble.VotingClassifier", sets.iris, note="hard", estimators=[("a", LOGISTIC), ("b", TREE)]),
    _other(
        "ensemble.VotingRegressor",
        sets.diabetes,
        estimators=[("a", E("linear_model.Ridge")), ("b", E("tree.DecisionTreeRegressor", max_depth=4))],
    ),
    _other(
        "ensemble.StackingClassifier",
        sets.iris,
        estimators=[("a", E("naive_bayes.GaussianNB")), ("b", FOREST)],
        final_estimator=LOGISTIC,
        cv=3,
        quick=True,
    ),
    _other(
        "ensemble.StackingRegressor",
        sets.diabetes,
        estimators=[("a", E("linear_model.Ridge")), ("b", E("tree.DecisionTreeRegressor", max_depth=4))],
        cv=3,
    ),
    _other("multiclass.OneVsRestClassifier", sets.wine, estimator=LOGISTIC),
    _other("multiclass.OneVsRestClassifier", sets.wine, note="of forests", estimator=FOREST),
    _other("multiclass.OneVsOneClassifier", sets.wine, estimator=LOGISTIC),
    _other(
        "multiclass.OutputCodeClassifier",
        sets.wine,
        estimator=LOGISTIC,
        random_state=0,
    ),
    _other("multioutput.MultiOutputRegressor", sets.linnerud, estimator=E("linear_model.Ridge")),
    _other(
        "multioutput.MultiOutputRegressor",
        sets.linnerud,
        note="of forests",
        estimator=E("ensemble.RandomForestRegressor", n_estimators=5, random_state=0),
    ),
    _other(
        "multioutput.RegressorChain",
        sets.linnerud,
        estimator=E("linear_model.Ridge"),
    ),
    line(
        "MultiOutputClassifier",
        lambda: _several_answers("multioutput.MultiOutputClassifier"),
        refused("several answers"),
    ),
    _other(
        "compose.TransformedTargetRegressor",
        sets.diabetes,
        regressor=E("linear_model.Ridge"),
        transformer=SCALED,
    ),
    _other(
        "compose.TransformedTargetRegressor",
        sets.diabetes,
        note="log1p, of a forest",
        regressor=E("ensemble.RandomForestRegressor", n_estimators=5, random_state=0),
        func=Ufunc("log1p"),
        inverse_func=Ufunc("expm1"),
    ),
    _other(
        "compose.TransformedTargetRegressor",
        sets.diabetes,
        note="quantiles",
        regressor=E("linear_model.Ridge"),
        transformer=E("preprocessing.QuantileTransformer", n_quantiles=50),
    ),
    _other(
        "compose.TransformedTargetRegressor",
        sets.diabetes,
        note="powers",
        regressor=E("linear_model.Ridge"),
        transformer=E("preprocessing.PowerTransformer"),
    ),
    _other(
        "model_selection.GridSearchCV",
        sets.iris,
        estimator=LOGISTIC,
        param_grid={"C": [0.1, 1.0]},
        cv=3,
    ),
    _other(
        "model_selection.GridSearchCV",
        sets.cancer,
        note="over forests",
        estimator=FOREST,
        param_grid={"max_depth": [2, 4]},
        cv=3,
    ),
    _other("frozen.FrozenEstimator", sets.iris, estimator=FittedBayes()),
)


def _several_answers(path: str) -> Made:
    import numpy as np

    data = sets.iris()
    answers = np.column_stack([data.y, data.y == 1])
    model = _made(path, {"estimator": TREE}).fit(data.X, answers)
    return Made(model=model, data=data)


def _by_kind(numeric: E, text: str, categorical: E, *, last: E) -> Callable[[], Made]:
    """A text, a categorical and two numeric columns, each chosen by name."""

    def make() -> Made:
        from sklearn.compose import ColumnTransformer
        from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
        from sklearn.pipeline import make_pipeline

        data = sets.sentences()
        words = {"tfidf": TfidfVectorizer, "count": CountVectorizer}[text](lowercase=False, min_df=2)
        columns = ColumnTransformer(
            [
                ("words", words, "text"),
                ("kind", categorical(), ["initial"]),
                ("numbers", numeric(), ["length", "place"]),
            ]
        )
        return Made(model=make_pipeline(columns, last()).fit(data.X, data.y), data=data)

    return make


def _firms(encoder: E, last: E, data: Callable[[], Data] = sets.firms) -> Callable[[], Made]:
    def make() -> Made:
        from sklearn.compose import ColumnTransformer
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        X = data().X
        numbers = [name for name in X.columns if name != "firm"]
        columns = ColumnTransformer([("kind", encoder(), ["firm"]), ("numbers", StandardScaler(), numbers)])
        return Made(model=make_pipeline(columns, last()).fit(X, data().y), data=data())

    return make


ONE_HOT = E("preprocessing.OneHotEncoder", handle_unknown="ignore")
ORDINAL = E("preprocessing.OrdinalEncoder", handle_unknown="use_encoded_value", unknown_value=-1)
RIDGE = E("linear_model.Ridge")
BOOSTED_ELSEWHERE = Booster("xgboost", "XGBRegressor", n_estimators=8, n_jobs=1, max_depth=3)
BOOSTED = E("ensemble.HistGradientBoostingRegressor", max_iter=10, random_state=0)


def _own_function() -> Made:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    data = sets.diabetes()
    return Made(
        model=make_pipeline(FunctionTransformer(own_functions.doubled), Ridge()).fit(data.X, data.y),
        data=data,
    )


def _numpy_function(name: str) -> Callable[[], Made]:
    def make() -> Made:
        import numpy as np
        from sklearn.linear_model import Ridge
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer

        data = sets.wine()
        model = make_pipeline(FunctionTransformer(getattr(np, name)), Ridge()).fit(data.X, data.y)
        return Made(model=model, data=data)

    return make


def _booster_in_pipeline(library: str, name: str, **params: Any) -> Callable[[], Made]:
    def make() -> Made:
        import importlib

        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        data = sets.cancer()
        last = getattr(importlib.import_module(library), name)(**params)
        return Made(model=make_pipeline(StandardScaler(), last).fit(data.X, data.y), data=data)

    return make


PIPELINES: tuple[Case, ...] = (
    line(
        "Pipeline of scaler and logistic regression",
        pipeline(sets.cancer, SCALED, LOGISTIC),
        MEASURED,
        quick=True,
    ),
    line("Pipeline of scaler and forest", pipeline(sets.cancer, SCALED, FOREST), MEASURED),
    line(
        "Pipeline on a bare matrix",
        pipeline(sets.cancer, SCALED, LOGISTIC, matrix=True),
        MEASURED,
        sample="npz",
    ),
    *(
        line(
            f"Pipeline of {name} and logistic regression",
            pipeline(sets.wine, E(f"preprocessing.{name}", **params), LOGISTIC),
            expected,
        )
        for name, params, expected in (
            ("MinMaxScaler", {}, MEASURED),
            ("MaxAbsScaler", {}, MEASURED),
            ("RobustScaler", {}, MEASURED),
            ("Normalizer", {}, MEASURED),
            ("Binarizer", {"threshold": 2.0}, MEASURED),
            ("PolynomialFeatures", {}, MEASURED),
            ("PowerTransformer", {}, MEASURED),
            ("KBinsDiscretizer", {}, MEASURED),
            ("QuantileTransformer", {"n_quantiles": 50}, MEASURED),
            ("SplineTransformer", {}, MEASURED),
        )
    ),
    line(
        "Pipeline of RandomTreesEmbedding and logistic regression",
        pipeline(sets.wine, E("ensemble.RandomTreesEmbedding", n_estimators=5, random_state=0), LOGISTIC),
        refused("the leaves that a row meets"),
    ),
    *(
        line(
            f"Pipeline of {step.path.rpartition('.')[2]} and logistic regression",
            pipeline(sets.wine, SCALED, step, LOGISTIC),
            MEASURED,
        )
        for step in (
            E("decomposition.FastICA", n_components=5, random_state=0),
            E("decomposition.FactorAnalysis", n_components=5),
            E("kernel_approximation.RBFSampler", random_state=0),
            E("kernel_approximation.Nystroem", n_components=30, random_state=0),
        )
    ),
    line(
        "Pipeline of PCA and SVC",
        pipeline(sets.wine, SCALED, E("decomposition.PCA", n_components=5), E("svm.SVC")),
        MEASURED,
    ),
    line(
        "Pipeline of selection and forest",
        pipeline(sets.cancer, E("feature_selection.SelectKBest", k=8), FOREST),
        MEASURED,
    ),
    line(
        "Pipeline of imputer and logistic regression",
        pipeline(sets.wine_with_gaps, E("impute.SimpleImputer"), SCALED, LOGISTIC),
        MEASURED,
        quick=True,
    ),
    line(
        "Pipeline of imputer with indicator",
        pipeline(sets.wine_with_gaps, E("impute.SimpleImputer", add_indicator=True), SCALED, LOGISTIC),
        MEASURED,
    ),
    line(
        "Pipeline of median imputer and forest",
        pipeline(sets.cancer_with_gaps, E("impute.SimpleImputer", strategy="median"), FOREST),
        MEASURED,
    ),
    line(
        "Pipeline of KNN imputer",
        pipeline(sets.wine_with_gaps, E("impute.KNNImputer"), SCALED, LOGISTIC),
        MEASURED,
    ),
    line(
        "Pipeline of scaler and LightGBM",
        _booster_in_pipeline(
            "lightgbm", "LGBMClassifier", n_estimators=8, n_jobs=1, verbosity=-1, num_leaves=7
        ),
        MEASURED,
        quick=True,
    ),
    line(
        "Pipeline of scaler and XGBoost",
        _booster_in_pipeline("xgboost", "XGBClassifier", n_estimators=8, n_jobs=1, max_depth=3),
        MEASURED,
    ),
    line(
        "Pipeline of scaler and CatBoost",
        _booster_in_pipeline(
            "catboost", "CatBoostClassifier", iterations=8, depth=3, verbose=False, allow_writing_files=False
        ),
        MEASURED,
    ),
    line("ColumnTransformer, one-hot and linear", _firms(ONE_HOT, RIDGE), MEASURED),
    line("ColumnTransformer, one-hot and linear, CSV", _firms(ONE_HOT, RIDGE), MEASURED, sample="csv"),
    line("ColumnTransformer, ordinal and boosted trees", _firms(ORDINAL, BOOSTED), MEASURED),
    line(
        "ColumnTransformer, target encoding",
        _firms(E("preprocessing.TargetEncoder", random_state=0), RIDGE),
        MEASURED,
    ),
    line(
        "ColumnTransformer, five types in one frame",
        _firms(ONE_HOT, RIDGE, sets.firms_of_four_types),
        MEASURED,
    ),
    line("ColumnTransformer, pandas categories", _firms(ONE_HOT, RIDGE, sets.firms_as_categories), MEASURED),
    line("ColumnTransformer, sparse one-hot and XGBoost", _firms(ONE_HOT, BOOSTED_ELSEWHERE), MEASURED),
    line("TF-IDF, one-hot and scaler, linear", _by_kind(SCALED, "tfidf", ONE_HOT, last=LOGISTIC), MEASURED),
    line(
        "TF-IDF, one-hot and scaler, CSV",
        _by_kind(SCALED, "tfidf", ONE_HOT, last=LOGISTIC),
        MEASURED,
        sample="csv",
        quick=True,
    ),
    line(
        "Word counts, one-hot and forest, CSV",
        _by_kind(SCALED, "count", ONE_HOT, last=FOREST),
        MEASURED,
        sample="csv",
    ),
    line(
        "FunctionTransformer of one's own",
        _own_function,
        refused("FunctionTransformer"),
        saving.as_cloudpickle,
        settings={"trust_pickle": "our own model, made by our own training"},
    ),
    line("FunctionTransformer of numpy's log1p", _numpy_function("log1p"), MEASURED),
)

CASES: tuple[Case, ...] = (*TREES, *LINEAR, *OTHERS, *COMBINED, *PIPELINES)
