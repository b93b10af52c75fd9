"""scikit-learn: its trees and forests, exactly, and the interface that every other library's estimators share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from validator.libraries.library import Estimators, KnownHazard, Library, OldReleases

if TYPE_CHECKING:
    from validator.libraries.header import Arrays, Header
    from validator.libraries.live import Live
    from validator.trees.ensemble import TreeEnsemble


def _live() -> Live:
    from validator.libraries.sklearn.live import LiveSklearn

    return LiveSklearn()


def _read(header: Header, arrays: Arrays) -> TreeEnsemble:
    from validator.libraries.sklearn.trees import read_sklearn

    return read_sklearn(header, arrays)


LIBRARY = Library(
    name="sklearn",
    shown="scikit-learn",
    distributions=("scikit-learn",),
    live=_live,
    kind="sklearn-trees",
    read=_read,
    estimators=(
        Estimators(module="sklearn.tree", stem="DecisionTree"),
        Estimators(module="sklearn.tree", stem="ExtraTree"),
        Estimators(module="sklearn.ensemble", stem="RandomForest"),
        Estimators(module="sklearn.ensemble", stem="ExtraTrees"),
        Estimators(module="sklearn.ensemble", stem="GradientBoosting"),
        Estimators(module="sklearn.ensemble", stem="HistGradientBoosting"),
    ),
    hazards=(
        KnownHazard(
            id="missing-values",
            what="the trees route missing values",
            elsewhere="stock converters send them all one way",
            applies=lambda trees: trees.admits_missing and trees.comparison_dtype == "float32",
        ),
    ),
    trees_alone=False,
    numpy_2="1.4.2",
    # The last skl2onnx for it uses what later releases of onnx lack.
    old_releases=(OldReleases(before="1.1", constraints=("onnx<1.17",)),),
    mlflow_key="sklearn_version",
)
