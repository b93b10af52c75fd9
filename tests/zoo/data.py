"""Real data sets that scikit-learn and statsmodels bring along, as frames with plain column names or their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Data:
    """Features [N, F] as a DataFrame, answers [N] or [N, K]."""

    X: Any
    y: Any

    @property
    def matrix(self) -> Any:
        """The features as a bare float64 matrix [N, F]."""
        import numpy as np

        return self.X.to_numpy(np.float64)

    def with_answers(self, y: Any) -> Data:
        return Data(X=self.X, y=y)

    def with_features(self, X: Any) -> Data:
        return Data(X=X, y=self.y)


def _bundled(name: str) -> Data:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    return Data(X=bunch.data, y=bunch.target)


@cache
def iris() -> Data:
    """150 flowers, 4 measures, 3 species."""
    return _bundled("iris")


@cache
def wine() -> Data:
    """178 wines, 13 measures, 3 growers."""
    return _bundled("wine")


@cache
def cancer() -> Data:
    """569 tumours, 30 measures, malignant (0) or benign (1). The columns' names hold blanks."""
    return _bundled("breast_cancer")


@cache
def diabetes() -> Data:
    """442 patients, 10 standardised measures, the disease's progress."""
    return _bundled("diabetes")


@cache
def digits() -> Data:
    """1,797 written digits of 64 pixels with 17 shades: many ties, and columns that never change."""
    return _bundled("digits")


@cache
def linnerud() -> Data:
    """20 men, 3 exercises, 3 answers: weight, waist and pulse."""
    return _bundled("linnerud")


@cache
def cancer_with_gaps() -> Data:
    """Every eleventh cell of the tumours is missing."""
    return _with_gaps(cancer())


@cache
def diabetes_with_gaps() -> Data:
    return _with_gaps(diabetes())


@cache
def wine_with_gaps() -> Data:
    return _with_gaps(wine())


def _with_gaps(data: Data) -> Data:
    import numpy as np

    holes = np.arange(data.X.size).reshape(data.X.shape) % 11 == 3
    return data.with_features(data.X.mask(holes))


@cache
def species() -> Data:
    """The flowers with their species' names as answers."""
    import numpy as np

    names = np.array(["setosa", "versicolor", "virginica"], dtype=object)
    return iris().with_answers(names[iris().y])


@cache
def benign() -> Data:
    """The tumours with True and False as answers."""
    return cancer().with_answers(cancer().y.astype(bool))


@cache
def growers() -> Data:
    """The wines, with growers numbered 3, 7 and 12: labels that are no positions."""
    import numpy as np

    return wine().with_answers(np.array([3, 7, 12])[wine().y])


@cache
def affairs() -> Data:
    """6,366 women's answers to a survey, occupations as codes: had an affair or not. Every sixth row."""
    import numpy as np
    import statsmodels.api as sm

    frame = sm.datasets.fair.load_pandas().data.iloc[::6].reset_index(drop=True)
    X = frame.drop(columns="affairs")
    for name in ("occupation", "occupation_husb"):
        X[name] = X[name].astype(np.int64)
    return Data(X=X, y=(frame["affairs"] > 0).astype(int))


@cache
def firms() -> Data:
    """Eleven American firms over twenty years (Grunfeld): investment from value, capital, year and firm."""
    import statsmodels.api as sm

    frame = sm.datasets.grunfeld.load_pandas().data
    X = frame[["firm", "value", "capital", "year"]].copy()
    X["firm"] = X["firm"].astype(object)
    return Data(X=X, y=frame["invest"])


@cache
def firms_as_categories() -> Data:
    """The same with the name as a pandas category."""
    X = firms().X.copy()
    X["firm"] = X["firm"].astype("category")
    return firms().with_features(X)


@cache
def firms_of_four_types() -> Data:
    """The same with a float32, a float64, an integer, a boolean and a text column."""
    import numpy as np

    X = firms().X.copy()
    X["value"] = X["value"].astype(np.float32)
    X["year"] = X["year"].astype(np.int64)
    X["large"] = X["capital"] > X["capital"].median()
    return firms().with_features(X)


@cache
def sentences() -> Data:
    """Sentences of the descriptions of scikit-learn's data sets, where each stands, its first letter: of which?"""
    import pandas as pd
    from sklearn import datasets

    rows = []
    for name in ("iris", "wine", "breast_cancer", "diabetes"):
        text = getattr(datasets, f"load_{name}")().DESCR
        parts = [part.strip() for part in re.split(r"[.\n]\s+", text)]
        kept = [part for part in parts if len(re.findall(r"[A-Za-z]{2,}", part)) > 2]
        for place, part in enumerate(kept):
            initial = part[0].upper() if part[0].isalpha() else "other"
            rows.append((part, initial, float(len(part)), place / len(kept), name))
    frame = pd.DataFrame(rows, columns=["text", "initial", "length", "place", "source"])
    for name in ("text", "initial", "source"):
        frame[name] = frame[name].astype(object)
    return Data(X=frame.drop(columns="source"), y=frame["source"].to_numpy(dtype=object))
