"""LightGBM's boosters and estimators, asked where they are loaded."""

from __future__ import annotations

import re
from typing import Any, Dict, Optional, Tuple

from validator.errors import ModelError
from validator.libraries.live import (
    Live,
    as_array,
    is_booster,
    matrix,
    most_probable,
    texts,
    through_file,
)
from validator.libraries.plain import Export, Header, class_labels, plain
from validator.outputs import Outputs

_TASKS = {
    "binary": "binary",
    "multiclass": "multiclass",
    "multiclassova": "multiclass",
    "lambdarank": "ranking",
    "rank_xendcg": "ranking",
}


#: A tree's features by node, and what each node decides by.
_SPLITS = re.compile(r"^split_feature=([\d ]+)$(?:\n(?!Tree=).*)*?\ndecision_type=([\d ]+)$", re.MULTILINE)
_IGNORES_MISSING = "\n[use_missing: 0]\n"
_ZERO_IS_MISSING, _NAN_IS_MISSING = 1, 2


class LiveLightGBM(Live):
    """`LGBMModel` and `Booster`."""

    #: A booster and its text, until it is exported: writing a large one takes a while.
    _written: Optional[Tuple[Any, bytes]] = None

    def load(self, data: bytes, format: str) -> Any:
        import lightgbm

        try:
            return lightgbm.Booster(model_str=data.decode("utf-8"), params={"verbosity": -1})
        except lightgbm.basic.LightGBMError as error:
            raise ModelError(
                f"LightGBM cannot load the model: {error}", hint="save it again; is the file whole?"
            ) from error

    def load_path(self, path: str, format: str) -> Any:
        import lightgbm

        return lightgbm.Booster(model_file=path)

    def task(self, model: Any) -> str:
        return _TASKS.get(_objective(model), "regression") if is_booster(model) else super().task(model)

    def n_classes(self, model: Any) -> int:
        return int(model.num_model_per_iteration())

    def feature_names(self, model: Any) -> Optional[Any]:
        """The booster's own: releases differ in which of their names the estimator repeats."""
        booster = model if is_booster(model) else getattr(model, "booster_", None)
        return super().feature_names(model) if booster is None else booster.feature_name()

    def n_features(self, model: Any) -> Optional[int]:
        return int(model.num_feature()) if is_booster(model) else super().n_features(model)

    def classify(self, model: Any, given: Any, task: str) -> Outputs:
        return (
            most_probable(model.predict(given)) if is_booster(model) else super().classify(model, given, task)
        )

    def sums_to_one(self, model: Any) -> bool:
        return _objective(getattr(model, "booster_", model)) != "multiclassova"

    def categories(self, model: Any) -> Header:
        """LightGBM lists pandas categories without naming their columns; those that it declares may be others too."""
        booster = getattr(model, "booster_", model)
        lists = getattr(booster, "pandas_categorical", None) or []
        if not lists:
            return super().categories(model)
        found = re.search(r"^\[categorical_feature: ([\d,]+)\]$", _head(booster), re.MULTILINE)
        declared = sorted({int(word) for word in found.group(1).split(",")}) if found else []
        return {
            "category_columns": declared if len(declared) == len(lists) else None,
            "categories": [plain(list(values)) for values in lists],
        }

    def missing(self, model: Any) -> Dict[int, bool]:
        """A column's numeric splits say how missing values go: by a way of their own, or, where training had none, as
        zero does. Columns without such a split are left out, and all of a model that counts zeros as missing.
        """
        import numpy as np

        booster = getattr(model, "booster_", model)
        self._written = booster, _text(booster, -1)
        text = self._written[1].decode("utf-8", "replace")
        trees = [tree.groups() for tree in _SPLITS.finditer(text)]
        columns, decisions = (
            np.fromstring(" ".join(lines), dtype=np.int64, sep=" ")
            for lines in (zip(*trees) if trees else ("", ""))
        )
        numeric = decisions & 1 == 0
        kinds = np.full(int(booster.num_feature()), -1, dtype=np.int64)
        np.maximum.at(kinds, columns[numeric], decisions[numeric] >> 2 & 3)
        if _ZERO_IS_MISSING in kinds or _IGNORES_MISSING in text:
            return {}
        return {column: kind == _NAN_IS_MISSING for column, kind in enumerate(kinds.tolist()) if kind >= 0}

    def numbers(self, model: Any) -> Dict[int, str]:
        """A column's least and greatest value in training, where they are no whole numbers."""
        told = re.search(r"^feature_infos=(.*)$", _head(getattr(model, "booster_", model)), re.MULTILINE)
        words = told.group(1).split(" ") if told else []
        ranges = [
            (column, float(end))
            for column, word in enumerate(words)
            if word.startswith("[")
            for end in word.strip("[]").split(":")
        ]
        return {column: "float" for column, end in ranges if end != round(end)}

    def importance(self, model: Any) -> Optional[Tuple[str, Any]]:
        booster = getattr(model, "booster_", model)
        return "gain of its splits", booster.feature_importance(importance_type="gain")

    def leaves(self, model: Any, given: Any) -> Optional[Any]:
        return matrix(model.predict(given, pred_leaf=True))

    def raw_scores(self, model: Any, given: Any) -> Optional[Any]:
        return model.predict(given, raw_score=True)

    def export(self, model: Any) -> Export:
        """Kind "lightgbm-text": the model text of the iterations that `predict` uses."""
        booster = getattr(model, "booster_", model)
        wrapped = booster is not model
        best = int(getattr(booster, "best_iteration", -1) or -1)
        written, self._written = self._written, None
        if best > 0 or written is None or written[0] is not booster:
            written = booster, _text(booster, best if best > 0 else -1)
        header: Header = {
            "kind": "lightgbm-text",
            "classes": class_labels(model) if wrapped else None,
            "start_iteration": 0,
            "num_iteration": -1,
            "n_features": int(booster.num_feature()),
            "feature_names": texts(booster.feature_name()),
            "called_otherwise": _shortcut(model) if wrapped else "",
        }
        return header, {"model": as_array(written[1])}


def _shortcut(model: Any) -> str:
    """What makes the estimator's own calls answer with fewer trees than it has; empty where nothing does.

    Objectives that need accurate predictions, those of regression, pay no heed to it.
    """
    asked = model.get_params().get("pred_early_stop", False)
    if str(asked).lower() in ("false", "0", "none", "-") or _objective(model.booster_) not in _TASKS:
        return ""
    return "pred_early_stop lets `predict` leave out trees once a row's score is large enough"


def _head(booster: Any) -> str:
    """The text of the first iteration, with all that stands before and after the trees."""
    return str(booster.model_to_string(num_iteration=1))


def _objective(booster: Any) -> str:
    found = re.search(r"^objective=(\S+)", _head(booster), re.MULTILINE)
    return found.group(1) if found else ""


def _text(booster: Any, iterations: int) -> bytes:
    """By way of a file: `model_to_string` writes a large text twice, the first time only to learn its length."""
    try:
        return through_file("model.txt", lambda path: booster.save_model(path, num_iteration=iterations))
    except OSError:
        # Where nothing may be written.
        return bytes(booster.model_to_string(num_iteration=iterations).encode("utf-8"))
