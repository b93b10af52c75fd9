"""XGBoost's boosters and estimators, asked where they are loaded."""

from __future__ import annotations

import inspect
import json
import math
import re
from typing import Any, Dict, List, Optional, Tuple

from validator.libraries.live import (
    Live,
    as_array,
    estimator_task,
    is_booster,
    is_classifier,
    matrix,
    most_probable,
    through_file,
)
from validator.libraries.plain import Export, Header, class_labels, plain
from validator.outputs import Outputs

#: What its feature types say of a data frame's columns; others are somebody's own words.
_NUMBERS = {"float": "float", "int": "integer", "i": "bool"}
_TASKS = {"binary:logistic": "binary", "multi:softprob": "multiclass", "multi:softmax": "multiclass"}


class LiveXGBoost(Live):
    """`XGBModel` and `Booster`."""

    single = True

    def load(self, data: bytes, format: str) -> Any:
        import xgboost

        return xgboost.Booster(model_file=bytearray(data))

    def load_path(self, path: str, format: str) -> Any:
        import xgboost

        return xgboost.Booster(model_file=path)

    def read_as(self, model: Any, reading: str) -> Any:
        """Estimators stop at the best iteration, boosters do not: what the file was saved by decides, unless told.

        Estimators leave their mark, `scikit_learn`, in the files that they save.
        """
        if reading == "booster":
            model.set_attr(scikit_learn=None)
        elif reading == "wrapper" and model.attr("scikit_learn") is None:
            model.set_attr(scikit_learn="{}")
        return model

    def reading(self, model: Any) -> Tuple[str, bool]:
        best = _best_iteration(model) if is_booster(model) else None
        if best is None or best + 1 >= (total := _count_rounds(model)):
            return "", True
        if _stops_early(model):
            return (
                f"read as XGBoost's estimators read it: the first {best + 1} of {total} rounds, up to the best "
                "iteration, where a bare Booster would take all",
                True,
            )
        return (
            f"read as a bare Booster reads it: all {total} rounds, where XGBoost's estimators would take the first "
            f"{best + 1}, up to the best iteration",
            False,
        )

    def options_of(self, model: Any) -> Dict[str, Any]:
        return _rounds(model) if is_booster(model) else super().options_of(model)

    def task(self, model: Any) -> str:
        if not is_booster(model):
            return super().task(model)
        learner = _learner(model)
        objective = str(learner["learner_train_param"]["objective"])
        if objective.startswith("binary:") and int(learner["learner_model_param"].get("num_target", 1)) > 1:
            return "regression"  # a probability for each of several yes-or-no answers, and no label
        return "ranking" if objective.startswith("rank:") else _TASKS.get(objective, "regression")

    def n_classes(self, model: Any) -> int:
        return int(_learner(model)["learner_model_param"]["num_class"])

    def feature_names(self, model: Any) -> Optional[Any]:
        return model.feature_names if is_booster(model) else super().feature_names(model)

    def n_features(self, model: Any) -> Optional[int]:
        return int(model.num_features()) if is_booster(model) else super().n_features(model)

    def given(self, model: Any, table: Any) -> Any:
        if not is_booster(model):
            return table
        import xgboost

        return xgboost.DMatrix(table, enable_categorical=True)

    def classify(self, model: Any, given: Any, task: str) -> Outputs:
        """multi:softmax gives the label alone; its probabilities are the softmax of its margins."""
        import numpy as np

        if not is_booster(model):
            return super().classify(model, given, task)
        answer = np.asarray(model.predict(given, **_rounds(model)))
        if task == "binary" or answer.ndim == 2:
            return most_probable(answer)
        margin = np.asarray(model.predict(given, output_margin=True, **_rounds(model)))
        weight = np.exp(margin - margin.max(axis=1, keepdims=True))
        return Outputs(
            label=answer.astype(np.int64), probabilities=weight / weight.sum(axis=1, keepdims=True)
        )

    def categories(self, model: Any) -> Header:
        booster = _booster(model)
        columns = [i for i, kind in enumerate(booster.feature_types or []) if kind == "c"]
        encodings = _encodings(booster) if columns else []
        values = [_values(encodings[i]) if i < len(encodings) else None for i in columns]
        return {"category_columns": columns, "categories": [] if None in values else values}

    def numbers(self, model: Any) -> Dict[int, str]:
        types = _booster(model).feature_types or []
        return {column: _NUMBERS[kind] for column, kind in enumerate(types) if kind in _NUMBERS}

    def importance(self, model: Any) -> Optional[Tuple[str, Any]]:
        booster = _booster(model)
        names = booster.feature_names or [f"f{i}" for i in range(int(booster.num_features()))]
        gains = booster.get_score(importance_type="total_gain")
        return "gain of its splits", [gains.get(name, 0.0) for name in names]

    def leaves(self, model: Any, given: Any) -> Optional[Any]:
        """XGBoost gives nodes: the leaves among them are counted in their order."""
        import numpy as np

        wrapped = hasattr(model, "get_booster")
        nodes = matrix(
            model.apply(given) if wrapped else model.predict(given, pred_leaf=True, **_rounds(model))
        )
        for place, text in enumerate(_booster(model).get_dump()[: nodes.shape[1]]):
            known = np.sort(np.array(re.findall(r"(\d+):leaf=", text), dtype=np.int64))
            nodes[:, place] = np.searchsorted(known, nodes[:, place])
        return nodes

    def raw_scores(self, model: Any, given: Any) -> Optional[Any]:
        rounds = _rounds(model) if is_booster(model) else {}
        return model.predict(given, output_margin=True, **rounds)

    def export(self, model: Any) -> Export:
        """Kind "xgboost-ubj": UBJSON, or JSON from releases before 1.6, which knew no other way."""
        wrapped = hasattr(model, "get_booster")
        booster = _booster(model)
        header: Header = {
            "kind": "xgboost-ubj",
            "task": estimator_task(model) if wrapped else None,
            "classes": class_labels(model) if wrapped and is_classifier(model) else None,
            "best_iteration": _best_iteration(booster) if wrapped or _stops_early(booster) else None,
            "missing": _missing(model) if wrapped else None,
            "inplace": bool(wrapped and _predicts_inplace(model)),
            "n_features": int(booster.num_features()),
        }
        try:
            data = bytes(booster.save_raw(raw_format="ubj"))
        except TypeError:
            data = through_file("model.json", booster.save_model)
        return header, {"model": as_array(data)}


def _booster(model: Any) -> Any:
    return model.get_booster() if hasattr(model, "get_booster") else model


def _learner(booster: Any) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads(booster.save_config())["learner"]
    return found


def _best_iteration(booster: Any) -> Optional[int]:
    """The iteration that early stopping chose; estimators predict with those up to it, boosters with all."""
    found = booster.attributes().get("best_iteration")
    return None if found is None else int(found)


def _stops_early(booster: Any) -> bool:
    """Whether a bare booster is to answer as the estimator that saved it would, up to the best iteration."""
    return booster.attr("scikit_learn") is not None and _best_iteration(booster) is not None


def _rounds(booster: Any) -> Dict[str, Any]:
    """The options of `Booster.predict` by which it takes the rounds that belong to its reading."""
    best = _best_iteration(booster)
    if best is None or not _stops_early(booster):
        return {}
    if "iteration_range" in inspect.signature(booster.predict).parameters:
        return {"iteration_range": (0, best + 1)}
    trees = booster.attr("best_ntree_limit")  # before 1.4
    return {"ntree_limit": best + 1 if trees is None else int(trees)}


def _count_rounds(booster: Any) -> int:
    counted = getattr(booster, "num_boosted_rounds", None)  # since 1.4
    return int(counted()) if callable(counted) else len(booster.get_dump())


def _missing(model: Any) -> Any:
    """The number that stands for missing values, infinite ones as text; None for NaN."""
    found = getattr(model, "missing", None)
    return str(float(found)) if isinstance(found, float) and math.isinf(found) else plain(found)


def _predicts_inplace(model: Any) -> bool:
    can = getattr(model, "_can_use_inplace_predict", None)
    return bool(can()) if callable(can) else False


def _encodings(booster: Any) -> List[Any]:
    try:
        learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    except TypeError:
        return []  # before 1.6 there were neither categories nor this argument
    inner = learner["gradient_booster"]
    return list(((inner.get("gbtree") or inner).get("model", {}).get("cats") or {}).get("enc") or [])


def _values(encoding: Any) -> Optional[List[Any]]:
    """A column's values in the order of their codes: text as offsets into bytes, or numbers."""
    values = encoding.get("values") or []
    if "offsets" not in encoding:
        return [plain(value) for value in values] or None
    offsets = encoding["offsets"]
    data = bytes(value & 0xFF for value in values)
    return [data[a:b].decode("utf-8", "replace") for a, b in zip(offsets, offsets[1:])] or None  # noqa: RUF007 - Python 3.9
