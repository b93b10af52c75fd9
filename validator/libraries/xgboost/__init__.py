"""XGBoost: its JSON and UBJSON models of any release since 1.0, and what its scikit-learn wrappers add."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from validator.libraries.library import Estimators, Format, KnownHazard, Library, OldReleases, Refused
from validator.libraries.xgboost.check import check_file

if TYPE_CHECKING:
    from validator.libraries.header import Arrays, Header
    from validator.libraries.live import Live
    from validator.trees.ensemble import TreeEnsemble

_REMEDY = "Write the file again with `model.save_model(path)`; if this stays, find out who made it."


def _live() -> Live:
    from validator.libraries.xgboost.live import LiveXGBoost

    return LiveXGBoost()


def _read(header: Header, arrays: Arrays) -> TreeEnsemble:
    from validator.libraries.xgboost.trees import read_export

    return read_export(header, arrays)


LIBRARY = Library(
    name="xgboost",
    shown="XGBoost",
    distributions=("xgboost", "xgboost-cpu"),
    live=_live,
    kind="xgboost-ubj",
    read=_read,
    formats=(
        Format(
            name="xgboost-json",
            shown="XGBoost JSON",
            begins=re.compile(
                rb"\s*\{\s*(\"version\"\s*:\s*\[[\d,\s]*\]\s*,\s*)?\"learner\"\s*:\s*\{",
            ),
            model_class="xgboost.core.Booster",
            check=check_file,
            remedy=_REMEDY,
            read_alike=True,
        ),
        Format(
            name="xgboost-ubj",
            shown="XGBoost UBJSON",
            begins=re.compile(rb"\{(\$\S#)?(L\0{7}|l\0{3}|I\0|[iU])(\x07learner|\x07version)", re.DOTALL),
            model_class="xgboost.core.Booster",
            check=check_file,
            remedy=_REMEDY,
            read_alike=True,
        ),
    ),
    refused=(
        Refused(
            begins=re.compile(rb"binf"),
            what="an XGBoost model in the old binary format, which nothing can check before it is loaded",
            remedy="Load it with the XGBoost that wrote it, and save it as .ubj or .json.",
        ),
    ),
    estimators=(
        Estimators(
            module="xgboost",
            stem="XGB",
            kinds=("Classifier", "Regressor", "Ranker", "RFClassifier", "RFRegressor"),
        ),
    ),
    hazards=(
        KnownHazard(
            id="several-outputs",
            what="the model has several outputs",
            elsewhere="stock converters give one of them",
            applies=lambda trees: trees.task == "regression" and trees.n_targets > 1,
        ),
    ),
    numpy_2="2.1.0",
    # Of setuptools they import what later releases of it lack.
    old_releases=(OldReleases(before="1.7", constraints=("pandas<2",), requirements=("setuptools<80",)),),
    mlflow_key="xgb_version",
)
