"""Models broken on purpose: a really trained classifier inside, and one fault around it.

A module of its own, as a user's package is: tests copy it beside the pickle and name it under `--allow`.
"""

from __future__ import annotations

import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin


class Sound(ClassifierMixin, BaseEstimator):
    """Answers as the fitted classifier inside does. The faults are its children."""

    def __init__(self, inner):
        self.inner = inner
        self.classes_ = inner.classes_
        self.n_features_in_ = inner.n_features_in_
        self.feature_names_in_ = np.asarray(inner.feature_names_in_)

    def predict_proba(self, X):
        return self.changed(self.inner.predict_proba(X), np.asarray(X))

    def predict(self, X):
        return self.classes_[(self.inner.predict_proba(X)[:, 1] > 0.5).astype(int)]

    def changed(self, probabilities, matrix):
        return probabilities


class GivesNaN(Sound):
    """Divides by a feature that is zero now and then."""

    def changed(self, probabilities, matrix):
        probabilities[matrix[:, 0] < 0] = np.nan
        return probabilities


class AboveOne(Sound):
    """Scales what is a probability already."""

    def changed(self, probabilities, matrix):
        return probabilities * 1.7


class NotSummingToOne(Sound):
    """Calibrates each class by itself and forgets to normalise."""

    def changed(self, probabilities, matrix):
        return probabilities**2


class Slow(Sound):
    """Takes 200 ms, whatever it is asked."""

    def predict_proba(self, X):
        time.sleep(0.2)
        return super().predict_proba(X)


class Random(Sound):
    """Averages over noise, anew at each call."""

    def changed(self, probabilities, matrix):
        shift = np.random.default_rng().uniform(-1e-3, 1e-3)
        return np.clip(probabilities + np.array([shift, -shift]), 0, 1)


class BatchDependent(Sound):
    """Ranks the rows of a batch among each other."""

    def changed(self, probabilities, matrix):
        up = probabilities[:, 1] - 0.01 * (probabilities[:, 1] - probabilities[:, 1].mean())
        return np.column_stack([1 - up, up])


class NotThreadSafe(Sound):
    """Keeps the rows it works on in an attribute that all callers share."""

    def predict_proba(self, X):
        self.rows_ = X
        time.sleep(0.001)
        return self.inner.predict_proba(self.rows_)


class ThirdClass(Sound):
    """Gives a probability to a class that does not exist."""

    def changed(self, probabilities, matrix):
        return np.column_stack([probabilities, np.zeros(len(probabilities))])


class LosesRows(Sound):
    """Drops rows that it does not like."""

    def changed(self, probabilities, matrix):
        return probabilities[: max(1, len(probabilities) - 1)]


class InfiniteRegressor(BaseEstimator):
    """A regressor that divides by what may be zero."""

    def __init__(self, inner):
        self.inner = inner
        self.n_features_in_ = inner.n_features_in_
        self.feature_names_in_ = np.asarray(inner.feature_names_in_)

    def predict(self, X):
        answers = self.inner.predict_proba(X)[:, 1]
        answers[answers > 0.55] = np.inf
        return answers
