"""CatBoost: its cbm and JSON models of numeric features, and what its wrappers add."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from validator.libraries.catboost.document import check_cbm, check_json
from validator.libraries.library import Estimators, Format, Library

if TYPE_CHECKING:
    from validator.libraries.header import Arrays, Header
    from validator.libraries.live import Live
    from validator.trees.ensemble import TreeEnsemble


def _live() -> Live:
    from validator.libraries.catboost.live import LiveCatBoost

    return LiveCatBoost()


def _read(header: Header, arrays: Arrays) -> TreeEnsemble:
    from validator.libraries.catboost.trees import read_export

    return read_export(header, arrays)


LIBRARY = Library(
    name="catboost",
    shown="CatBoost",
    distributions=("catboost",),
    live=_live,
    kind="catboost-json",
    read=_read,
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
    estimators=(Estimators(module="catboost", stem="CatBoost", unmarked=True),),
    unnamed="{}",
    numpy_2="1.2.8",
    mlflow_key="catboost_version",
)
