"""LightGBM: gradient boosting by Microsoft, its model text, and what its scikit-learn wrappers add."""

from __future__ import annotations

import re

from validator.libraries.library import Format, Library, Refused
from validator.libraries.lightgbm.check import check_text

LIBRARY = Library(
    name="lightgbm",
    distributions=("lightgbm",),
    formats=(
        Format(
            name="lightgbm-text",
            shown="LightGBM text",
            begins=re.compile(rb"tree\r?\nversion=v\d"),
            model_class="lightgbm.basic.Booster",
            check=check_text,
            remedy="Write the file again with `booster.save_model(path)`; if this stays, find out who made it.",
        ),
    ),
    refused=(
        Refused(
            begins=re.compile(rb"\s*\{\s*\"name\"\s*:\s*\"tree\""),
            what="LightGBM's JSON dump, which LightGBM itself cannot load and which may lack the objective",
            remedy="Save the model with `booster.save_model(path)`, or pickle it.",
        ),
    ),
    told_as="lightgbm model text",
)
