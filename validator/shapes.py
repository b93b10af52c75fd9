"""What a run saw as distributions and curves: the data of the reports' pictures, part of `result.json`.

Everything is bounded: histograms of at most 60 bins, curves of at most 101 points, 20 classes, 30 importances and the
ranges of 1,000 features. A picture without data is None or empty.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOST_BINS = 60
MOST_POINTS = 101
MOST_CLASSES = 20
MOST_IMPORTANCES = 30
MOST_FEATURES = 1_000

_Name = Annotated[str, Field(max_length=1_000)]
_Count = Annotated[int, Field(ge=0, le=10**15)]
_Points = Annotated[tuple[float, ...], Field(fail_fast=True, max_length=MOST_POINTS)]


class Shape(BaseModel):
    """Base of all: frozen, strict about names, without NaN and infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Series(Shape):
    """What one runtime or version counts in each bin."""

    name: _Name
    counts: Annotated[tuple[_Count, ...], Field(fail_fast=True, max_length=MOST_BINS)]


class Histogram(Shape):
    """Counts of several series in the same bins: bin i lies between `edges[i]` and `edges[i + 1]`, ascending."""

    edges: Annotated[tuple[float, ...], Field(fail_fast=True, min_length=2, max_length=MOST_BINS + 1)]
    series: Annotated[tuple[Series, ...], Field(fail_fast=True, min_length=1, max_length=6)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if any(a >= b for a, b in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        if any(len(one.counts) != len(self.edges) - 1 for one in self.series):
            raise ValueError("one count for each bin")
        return self


class CalibrationBin(Shape):
    """Rows of similar probability: its mean, the share of the second class among them with Wilson's 95 % interval."""

    predicted: float
    observed: float
    low: float
    high: float
    rows: _Count


class Curve(Shape):
    """Points from left to right."""

    x: _Points
    y: _Points

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.x) != len(self.y) or not self.x:
            raise ValueError("one height for each point")
        return self


class Band(Shape):
    """The 10 %, 50 % and 90 % points of the residuals (truth minus prediction) of rows of similar prediction."""

    predicted: float
    low: float
    middle: float
    high: float
    rows: _Count


class Confusion(Shape):
    """How often each true class (row) was answered as each class (column)."""

    labels: Annotated[tuple[_Name, ...], Field(fail_fast=True, max_length=MOST_CLASSES)]
    counts: Annotated[
        tuple[Annotated[tuple[_Count, ...], Field(fail_fast=True, max_length=MOST_CLASSES)], ...],
        Field(fail_fast=True, max_length=MOST_CLASSES),
    ]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if {len(self.counts), *map(len, self.counts)} != {len(self.labels)}:
            raise ValueError("one row and one column for each class")
        return self


class FeatureRange(Shape):
    """The 0 %, 10 %, ... 100 % points of a numeric feature, and the share of its values that is missing."""

    name: _Name
    points: Annotated[tuple[float, ...], Field(fail_fast=True, min_length=11, max_length=11)]
    missing: Annotated[float, Field(ge=0, le=1)] = 0.0


class Importance(Shape):
    """How much the model itself says it uses each feature: the largest of `total`, as shares of their sum.

    `kind` says what the library counts.
    """

    kind: _Name
    total: _Count
    names: Annotated[tuple[_Name, ...], Field(fail_fast=True, max_length=MOST_IMPORTANCES)]
    shares: Annotated[tuple[float, ...], Field(fail_fast=True, max_length=MOST_IMPORTANCES)]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.names) != len(self.shares):
            raise ValueError("one share for each name")
        return self


class Shapes(Shape):
    """All that one run saw. `rows` are those of the sample that calibration, curves, residuals and confusion show."""

    rows: _Count = 0
    score: _Name = ""
    scores: Histogram | None = None
    calibration: Annotated[tuple[CalibrationBin, ...], Field(fail_fast=True, max_length=20)] = ()
    roc: Curve | None = None
    precision_recall: Curve | None = None
    residuals: Histogram | None = None
    bands: Annotated[tuple[Band, ...], Field(fail_fast=True, max_length=20)] = ()
    confusion: Confusion | None = None
    features: Annotated[tuple[FeatureRange, ...], Field(fail_fast=True, max_length=MOST_FEATURES)] = ()
    features_of: _Name = ""
    importance: Importance | None = None
