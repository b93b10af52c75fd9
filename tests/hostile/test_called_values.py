"""Attributes that name what is called later are held to what their class can hold; honest ones stay honest."""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import pickle
import textwrap
from collections.abc import Iterator

import lightgbm
import numpy as np
import pandas as pd
import pytest
import scipy.special
import sklearn.preprocessing
import spelling as s
import xgboost
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer, _analyze, _preprocess
from sklearn.feature_selection import SelectFromModel
from sklearn.feature_selection._base import _get_feature_importances
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer
from sklearn.utils import Bunch

from validator.errors import UnsafeModelError
from validator.model.safety import load, scan_pickle
from validator.model.safety.policy import table

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


def with_attributes(model: object, **attributes: object) -> object:
    vars(model).update(attributes)
    return model


def stacking(**attributes: object) -> object:
    return with_attributes(StackingClassifier([("l", LogisticRegression())], cv=2).fit(X, Y), **attributes)


def chain(*functions: object) -> object:
    """Functions one after the other, each given what the one before it returned."""
    return make_pipeline(*map(FunctionTransformer, functions))


def looked_up(name: str) -> object:
    return functools.partial(_get_feature_importances, getter=name)


def before_a_booster(*functions: object) -> object:
    return make_pipeline(
        *map(FunctionTransformer, functions), xgboost.XGBClassifier(n_estimators=1).fit(X, Y)
    )


def voting(answers: object) -> object:
    fitted = VotingClassifier([("l", LogisticRegression())]).fit(X, Y)
    return with_attributes(fitted, estimators_=[answers])


FRAME = pd.DataFrame({"a": [1.0]})
PATH = np.array(["written#cache"], dtype=object)
HOSTILE = {
    "a key instead of a method": voting(Bunch(predict=functools.partial(np.where, True))),
    "a key by which NumPy reads memory": Bunch(
        __array_interface__={"data": (4096, False), "shape": (1,), "typestr": "<u8", "version": 3}
    ),
    "a label by which NumPy reads memory": {"a": pd.Series([{"data": (4096, False)}], index=["__array_interface__"])},
    "a frame's own transform": make_pipeline(FunctionTransformer(), FRAME, LogisticRegression()),
    "a series that answers by its labels": voting(pd.Series([np.mean], index=["predict"])),
    "a frame in an array": with_attributes(
        BaggingClassifier().fit(X, Y), estimators_=np.array([FRAME, 1], dtype=object)
    ),
    "a text for a booster": before_a_booster(functools.partial(np.where, True, PATH), np.max),
    "one of the rows' texts for a booster": before_a_booster(np.max),
    "a text, squeezed, for a booster": before_a_booster(np.squeeze, functools.partial(np.logical_or, 0)),
    "one of the rows' texts, without dimensions, for a booster": before_a_booster(
        functools.partial(np.reshape, shape=()), functools.partial(np.logical_or, 0)
    ),
    "a report for a booster": before_a_booster(
        functools.partial(classification_report, [0, 1], target_names=["a", "b"])
    ),
    "a text of NumPy for a booster": before_a_booster(np.str_),
    "a word that is equal to a word": with_attributes(CountVectorizer(), input=pd.Index(["filename"])),
    "a method looked up, then called": chain(looked_up("tofile"), functools.partial(_analyze, "written")),
    "a program of harmless functions": chain(
        functools.partial(_analyze, LogisticRegression(), looked_up("fit.__func__.__globals__.get")),
        functools.partial(_preprocess, "warnings"), looked_up("sys.modules.get"),
        functools.partial(_preprocess, "os"), looked_up("system"), functools.partial(_preprocess, "true"),
    ),
    "a method of an array": stacking(stack_method_=["tofile"], estimators_=[np.array([b"x"])]),
    "a method in an array of names": stacking(stack_method_=np.array(["dump"], dtype=object)),
    "the chain's": with_attributes(ClassifierChain(LogisticRegression()).fit(X, np.c_[Y, 1 - Y]),
                                   chain_method_="tofile"),
    "a distribution": with_attributes(QuantileTransformer(n_quantiles=5).fit(X), output_distribution="__builtins__"),
    "a way to an attribute": SelectFromModel(LogisticRegression(), importance_getter="__class__.__init__"),
    "a file to read": CountVectorizer(input="filename"),
    "a memmap": FunctionTransformer(np.memmap, kw_args={"mode": "w+", "shape": (1,)}),
    "a memmap in a partial": FunctionTransformer(functools.partial(np.memmap, "x", mode="w+")),
    "an array of raw memory": FunctionTransformer(np.ndarray),
    "a function instead of a method": with_attributes(LogisticRegression().fit(X, Y), predict=np.mean),
    "a partial instead of a method": with_attributes(
        LogisticRegression().fit(X, Y), decision_function=functools.partial(np.where, True, np.array(["x"]))
    ),
    "a file loader": FunctionTransformer(np.load),
    "a file writer": FunctionTransformer(np.savetxt),
}  # fmt: skip

HONEST = {
    "logarithms for a booster": before_a_booster(np.log1p, functools.partial(np.clip, a_min=0, a_max=1)),
    "a column for a booster": before_a_booster(
        np.ravel, functools.partial(np.reshape, newshape=(-1, 1)), np.expm1
    ),
    "scales for a booster": before_a_booster(sklearn.preprocessing.scale, scipy.special.expit),
    "sums for a booster": make_pipeline(
        FunctionTransformer(np.sum, kw_args={"axis": 1, "keepdims": True}),
        lightgbm.LGBMClassifier(n_estimators=1, verbose=-1, min_child_samples=2),
    ),
    "named estimators": VotingClassifier([("score", LogisticRegression())]).fit(X, Y),
    "a frame beside a model": {"model": LogisticRegression().fit(X, Y), "statistics": FRAME},
    "a frame that a model remembers": with_attributes(LogisticRegression().fit(X, Y), statistics=FRAME),
    "stacking": stacking(),
    "chain": ClassifierChain(LogisticRegression()).fit(X, np.c_[Y, 1 - Y]),
    "quantiles": QuantileTransformer(n_quantiles=5, output_distribution="normal").fit(X),
    "importances": SelectFromModel(RandomForestClassifier(2), importance_getter="feature_importances_").fit(
        X, Y
    ),
    "nested importances": SelectFromModel(
        make_pipeline(LogisticRegression()), importance_getter="named_steps.logisticregression.coef_"
    ),
    "texts": CountVectorizer(encoding="latin-1", decode_error="replace", strip_accents="unicode"),
    "expit": FunctionTransformer(scipy.special.expit),
    "log1p of scipy": FunctionTransformer(scipy.special.log1p, scipy.special.expm1),
    "log1p of numpy": FunctionTransformer(np.log1p, np.expm1),
    "clip": FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 1}),
    "partial": FunctionTransformer(functools.partial(np.clip, a_min=0, a_max=1)),
    "calibration": CalibratedClassifierCV(LogisticRegression(), cv=2).fit(X, Y),
}


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("kind", HOSTILE)
def test_is_refused(kind: str, protocol: int) -> None:
    content = pickle.dumps(HOSTILE[kind], protocol)
    report = scan_pickle(content)
    assert not report.ok, kind
    with pytest.raises(UnsafeModelError):
        load(content)


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("kind", HONEST)
def test_is_loaded(kind: str, protocol: int) -> None:
    content = pickle.dumps(HONEST[kind], protocol)
    assert scan_pickle(content).findings == ()
    assert type(load(content)) is type(HONEST[kind])


@pytest.mark.parametrize("name", ["_get_param_names", "predict_proba", "set_fit_request"])
def test_a_function_takes_no_place_that_its_class_gives_to_another(name: str) -> None:
    """Class methods and those that depend on the model stand behind an attribute as functions do."""
    content = pickle.dumps(with_attributes(LogisticRegression().fit(X, Y), **{name: np.mean}))
    with pytest.raises(UnsafeModelError):
        load(content)


@pytest.mark.parametrize("zone", ["dateutil//etc/passwd", "UTC"])
def test_a_time_zone_is_no_path(zone: str) -> None:
    made = s.name("pandas._libs.tslibs.timestamps", "_unpickle_timestamp")
    assert not scan_pickle(s.PROTO + made + b"(K\x05N" + s.text(zone) + b"K\x0atR.").ok
    index = s.name("pandas.core.indexes.base", "_new_Index") + s.name("pandas", "DatetimeIndex")
    index += b"}(" + s.text("data") + b"]" + s.text("tz") + s.text(zone) + b"u\x86R."
    assert scan_pickle(s.PROTO + index).ok is (zone == "UTC")


def test_the_attribute_is_named() -> None:
    (finding,) = scan_pickle(pickle.dumps(HOSTILE["a method of an array"])).findings
    assert finding.name == "sklearn.ensemble._stacking.StackingClassifier.stack_method_"


def test_a_ufunc_is_known_wherever_the_pickler_found_it() -> None:
    content = b"\x80\x02cscipy.stats._continuous_distns\nxlog1py\n."
    assert scan_pickle(content).findings == ()
    assert load(content) is scipy.special.xlog1py
    assert not scan_pickle(content.replace(b"xlog1py", b"system1")).ok


@pytest.mark.parametrize("module", ["forest", "gradient_boosting", "weight_boosting"])
def test_models_of_scikit_learn_0_21_are_told_what_they_need(module: str) -> None:
    from validator.errors import ModelError

    kind = {"forest": "RandomForestClassifier", "gradient_boosting": "GradientBoostingClassifier",
            "weight_boosting": "AdaBoostClassifier"}[module]  # fmt: skip
    content = f"\x80\x02csklearn.ensemble.{module}\n{kind}\n)\x81.".encode("latin-1")
    assert scan_pickle(content).ok
    with pytest.raises(ModelError, match="not installed here") as refused:
        load(content)
    assert "scikit-learn 0.21 or older" in refused.value.hint
    gone = scan_pickle(b"\x80\x02csklearn.preprocessing.imputation\nImputer\n)\x81.").findings
    assert "0.21" in gone[0].hint
    assert "who made" not in gone[0].hint


def own_calls(function: ast.FunctionDef) -> Iterator[str]:
    """The parameters that a function calls, and names computed from what it is given."""
    given = function.args
    parameters = {item.arg for item in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in parameters:
            yield f"{function.name} calls its {node.func.id}"
        plain = all(isinstance(item, (ast.Constant, ast.Name)) for item in node.args[1:2])
        computed = node.args[:1] if node.func.id in ("attrgetter", "methodcaller") else node.args[1:2]
        by_name = node.func.id in ("getattr", "setattr", "attrgetter", "methodcaller")
        if by_name and not (plain and all(isinstance(item, ast.Constant) for item in computed)):
            yield f"{function.name} looks up a name it was given"
        if node.func.id in ("eval", "exec", "compile", "open", "__import__", "import_module"):
            yield f"{function.name} calls {node.func.id}"


def found_in(source: str) -> list[str]:
    (function,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(function, ast.FunctionDef)
    return list(own_calls(function))


def permitted_functions() -> Iterator[object]:
    for (module, name), entry in table().items():
        if "value" not in entry.uses or not module.startswith(("sklearn.", "scipy.", "numpy.")):
            continue
        try:
            found = inspect.unwrap(getattr(importlib.import_module(module), name))
        except (ImportError, AttributeError):
            continue  # of another version
        if inspect.isfunction(found):
            yield found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_permitted_function_calls_what_it_is_handed() -> None:
    functions = list(permitted_functions())
    assert len(functions) > 150
    assert [reason for function in functions for reason in found_in(inspect.getsource(function))] == []  # type: ignore[arg-type]


@pytest.mark.parametrize("function", [_get_feature_importances, _analyze, _preprocess])
def test_functions_that_do_are_told_apart(function: object) -> None:
    assert found_in(inspect.getsource(function))  # type: ignore[arg-type]
