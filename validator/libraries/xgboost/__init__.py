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
            # Before the release that wrote "binf", 136 bytes of parameters and the objective's length and name.
            begins=re.compile(rb"binf|.{136}.\0{7}(binary|count|multi|rank|reg|survival):", re.DOTALL),
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
    # 3.1 and 3.2 answer as for the first category that they know.
    unseen="XGBoost answers a category that it never saw as one that it knows, another one in other releases",
    numpy_2="2.1.0",
    # Of setuptools they import what later releases of it lack.
    old_releases=(OldReleases(before="1.7", constraints=("pandas<2",), requirements=("setuptools<80",)),),
    mlflow_key="xgb_version",
)
