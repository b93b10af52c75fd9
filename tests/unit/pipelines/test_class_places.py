"""Classes of every type that scikit-learn takes, in the classifiers whose converters in skl2onnx take some alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import CategoricalNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC

from tests.unit.pipelines.by_onnx import assert_answers, converted
from validator.errors import ConversionError

IRIS = load_iris(as_frame=True)
ROWS = IRIS.data.set_axis(["a", "b", "c", "d"], axis=1)
COUNTS = ROWS.astype(np.int64)
MODELS = (
    AdaBoostClassifier(n_estimators=8),
    OneVsOneClassifier(LogisticRegression()),
    KNeighborsClassifier(),
    LinearSVC(),
    RidgeClassifier(),
)
CLASSES = {
    "booleans": np.array([True, False, False]),
    "counted": np.array([0, 1, 2], dtype=np.int8),
    "bytes": np.array([-3, 9, 5], dtype=np.int8),
    "floats": np.array([4.0, -2.0, 7.0]),
    "single": np.array([4, -2, 7], dtype=np.float32),
    "text": np.array(["no", "yes", "maybe"]),
    "objects": np.array(["no", "yes", "maybe"], dtype=object),
    "whole": np.array([7, 3, 5]),
}


@pytest.mark.parametrize("classes", CLASSES.values(), ids=list(CLASSES))
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_labels_are_those_of_the_library(model: Any, classes: Any) -> None:
    model.fit(ROWS, classes[IRIS.target])
    before = model.classes_
    file, found = converted(model, ROWS)
    assert file.input_dtype == "float64", file.reason
    assert found["label"].tolist() == model.predict(ROWS).tolist()
    assert len(set(found["label"].tolist())) == len(set(classes.tolist()))
    assert model.classes_ is before


def test_probabilities_stand_beside_their_labels() -> None:
    labels = CLASSES["bytes"][IRIS.target]
    assert_answers(make_pipeline(StandardScaler(), KNeighborsClassifier(7)).fit(ROWS, labels), ROWS)


@pytest.mark.parametrize("labels", [IRIS.target, IRIS.target == 1], ids=["three", "two"])
@pytest.mark.parametrize(
    "model", [AdaBoostClassifier(), LinearSVC(), RidgeClassifier()], ids=lambda model: type(model).__name__
)
def test_numbers_are_those_of_the_library_in_double(model: Any, labels: Any) -> None:
    assert_answers(model.fit(ROWS, labels), ROWS)


@pytest.mark.parametrize("labels", [IRIS.target, IRIS.target == 1], ids=["three", "two"])
def test_categories_speak_for_their_classes(labels: Any) -> None:
    assert_answers(CategoricalNB().fit(COUNTS, labels), COUNTS)


def test_ridge_of_several_labels_is_left_to_its_own_refusal() -> None:
    labels = np.column_stack([IRIS.target == 1, IRIS.target > 0]).astype(int)
    with pytest.raises(ConversionError):
        converted(RidgeClassifier().fit(ROWS, labels), ROWS)


def test_self_training_answers_what_its_inner_classifier_does() -> None:
    labels = np.where(np.arange(len(ROWS)) % 3 == 0, -1, IRIS.target)
    assert_answers(SelfTrainingClassifier(LogisticRegression()).fit(ROWS, labels), ROWS)
