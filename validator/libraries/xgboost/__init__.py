"""XGBoost: its JSON and UBJSON models of any release since 1.0, and what its scikit-learn wrappers add."""

from __future__ import annotations

import re

from validator.libraries.library import Format, Library
from validator.libraries.xgboost.check import check_file

_REMEDY = "Write the file again with `model.save_model(path)`; if this stays, find out who made it."

LIBRARY = Library(
    name="xgboost",
    distributions=("xgboost", "xgboost-cpu"),
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
        ),
        Format(
            name="xgboost-ubj",
            shown="XGBoost UBJSON",
            begins=re.compile(rb"\{(\$\S#)?(L\0{7}|l\0{3}|I\0|[iU])(\x07learner|\x07version)", re.DOTALL),
            model_class="xgboost.core.Booster",
            check=check_file,
            remedy=_REMEDY,
        ),
    ),
)
