"""LightGBM: gradient boosting by Microsoft, its model text, and what its scikit-learn wrappers add."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from validator.libraries.library import Estimators, Format, KnownHazard, Library, Refused
from validator.libraries.lightgbm.check import check_text

if TYPE_CHECKING:
    from validator.libraries.header import Arrays, Header
    from validator.libraries.live import Live
    from validator.trees.ensemble import TreeEnsemble


def _live() -> Live:
    from validator.libraries.lightgbm.live import LiveLightGBM

    return LiveLightGBM()


def _read(header: Header, arrays: Arrays) -> TreeEnsemble:
    from validator.libraries.lightgbm.trees import read_export

    return read_export(header, arrays)


def _factor(facts: Mapping[str, str]) -> bool:
    words = facts.get("objective", "").split()
    return any(word.startswith("sigmoid:") and word != "sigmoid:1" for word in words)


LIBRARY = Library(
    name="lightgbm",
    shown="LightGBM",
    distributions=("lightgbm",),
    live=_live,
    kind="lightgbm-text",
    read=_read,
    formats=(
        Format(
            name="lightgbm-text",
            shown="LightGBM text",
            begins=re.compile(rb"tree\r?\nversion=v\d"),
            model_class="lightgbm.basic.Booster",
            check=check_text,
            read_alike=True,
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
    estimators=(Estimators(module="lightgbm", stem="LGBM", kinds=("Classifier", "Regressor", "Ranker")),),
    hazards=(
        KnownHazard(
            id="averaged-trees",
            what="the trees are averaged (boosting=rf)",
            elsewhere="stock converters add them up",
            applies=lambda trees: trees.divisor != 1,
            shows=lambda facts: facts.get("averaged") == "yes",
        ),
        KnownHazard(
            id="linear-leaves",
            what="the leaves are linear models",
            elsewhere="stock converters keep their constants alone",
            applies=lambda trees: trees.linear is not None,
            shows=lambda facts: facts.get("linear trees", "0") != "0",
        ),
        KnownHazard(
            id="sigmoid-factor",
            what="the objective's sigmoid is not 1",
            elsewhere="stock converters take it for 1",
            applies=lambda trees: trees.transform.kind == "sigmoid" and trees.transform.factor != 1,
            shows=_factor,
        ),
        KnownHazard(
            id="one-against-all",
            what="each class has a probability of its own (multiclassova)",
            elsewhere="stock converters take a softmax",
            applies=lambda trees: trees.transform.kind == "sigmoid" and trees.n_targets > 1,
            shows=lambda facts: facts.get("objective", "").startswith("multiclassova"),
        ),
        KnownHazard(
            id="squared-answers",
            what="the answer is the square of the score (reg_sqrt)",
            elsewhere="stock converters leave the square out",
            applies=lambda trees: trees.transform.kind == "signed_square",
            shows=lambda facts: " sqrt" in facts.get("objective", ""),
        ),
    ),
    unnamed="Column_{}",
    numpy_2="4.4.0",
    mlflow_key="lgb_version",
    # Its files record the version of the text format only.
    told_as="lightgbm model text",
    eras={"v2": ((2, 0), (2, 3)), "v3": ((2, 3), (4, 0)), "v4": ((4, 0), (99, 0))},
    # 2.2.3 wrote v2 too, but answers otherwise with averaged trees of the releases before it.
    pins={"v2": "2.2.1", "v3": "3.3.5"},
)
