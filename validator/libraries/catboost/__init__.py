"""CatBoost: its cbm and JSON models of numeric features, and what its wrappers add."""

from __future__ import annotations

import re

from validator.libraries.catboost.document import check_cbm, check_json
from validator.libraries.library import Format, Library

LIBRARY = Library(
    name="catboost",
    distributions=("catboost",),
    formats=(
        Format(
            name="catboost-cbm",
            shown="CatBoost cbm",
            begins=re.compile(rb"CBM1"),
            model_class="catboost.core.CatBoost",
            check=check_cbm,
            remedy="The file was cut off: write it again.",
        ),
        Format(
            name="catboost-json",
            shown="CatBoost JSON",
            begins=re.compile(rb"\s*\{\s*\"(ctr_data|features_info)\"\s*:\s*\{"),
            model_class="catboost.core.CatBoost",
            check=check_json,
            remedy="Write the file again.",
            by_path=True,
        ),
    ),
)
