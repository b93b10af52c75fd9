"""No false alarm: honest models of every library pass the scan and load as they were."""

from __future__ import annotations

import io
import pickle
import warnings

import benign_models
import joblib
import numpy as np
import pytest

from validator.model.safety import load, scan, scan_pickle

COMPRESSIONS = (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 1), ("lzma", 1))
REPRESENTATIVE = (
    "RandomForestClassifier", "HistGradientBoostingRegressor", "GradientBoostingClassifier", "Pipeline",
    "KNeighborsClassifier", "GaussianProcessClassifier", "ColumnTransformer", "SGDClassifier", "MLPRegressor",
    "TfidfVectorizer", "GridSearchCV", "CalibratedClassifierCV", "IsotonicRegression", "SplineTransformer",
    "forest-rng", "hist-cat", "gb-huber", "function", "scorer", "plain-dict", "onehot-str", "knn-minkowski",
)  # fmt: skip


def quietly(source):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(source)


@pytest.fixture(scope="module")
def every_model() -> list:
    return quietly(benign_models.models())


@pytest.fixture(scope="module")
def some_models(every_model: list) -> list:
    other = ("lgb-", "xgb-", "cat-", "pandas-")
    return [(name, model) for name, model in every_model if name in REPRESENTATIVE or name.startswith(other)]


def files(model: object, protocols: tuple[int, ...], compressions: tuple) -> list[bytes]:
    made = [pickle.dumps(model, protocol) for protocol in protocols]
    for compression in compressions:
        target = io.BytesIO()
        joblib.dump(model, target, compress=compression)
        made.append(target.getvalue())
    return made


def assert_honest(name: str, model: object, data: bytes) -> None:
    report = scan_pickle(data)
    assert report.findings == (), name
    assert report.ok
    assert report.notes == (), name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = load(data)
        assert type(again) is type(model)
        X = benign_models.data()[0]
        for method in ("predict", "transform"):
            try:
                wanted = getattr(model, method)(X)
            except (AttributeError, ValueError, TypeError):
                continue
            found = getattr(again, method)(X)
            if hasattr(wanted, "toarray"):
                wanted, found = wanted.toarray(), found.toarray()
            assert np.array_equal(wanted, found, equal_nan=np.asarray(wanted).dtype.kind == "f"), name


def test_every_estimator_passes_in_the_usual_forms(every_model: list) -> None:
    assert len(every_model) > 230
    for name, model in every_model:
        for data in files(model, (5,), (0,)):
            assert scan_pickle(data).findings == (), name


def test_representative_models_load_as_they_were(some_models: list) -> None:
    assert len(some_models) > 35
    for name, model in some_models:
        for data in files(model, (0, 2, 5), (0, ("zlib", 1))):
            assert_honest(name, model, data)


def test_representative_models_pass_as_skops(some_models: list) -> None:
    skops = pytest.importorskip("skops.io")
    passed = 0
    for name, model in some_models:
        try:
            data = skops.dumps(model)
        except Exception:  # some models cannot be written by skops at all
            continue
        assert scan(data, "skops").findings == (), name
        passed += 1
    assert passed > 25


@pytest.mark.long
def test_every_estimator_in_every_form_loads_as_it_was(every_model: list) -> None:
    for name, model in every_model:
        for data in files(model, tuple(range(6)), COMPRESSIONS):
            assert_honest(name, model, data)
