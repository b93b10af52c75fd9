"""Which columns a model takes as categories, and the values it was trained on, where its file records them."""

from __future__ import annotations

import json
import re
from typing import Any, List, Optional

from validator.libraries.live_plain import Header, library_of, plain


def categories_of(model: Any) -> Header:
    """`category_columns`: the numbers of such columns, None where the model does not say.

    `categories`: for LightGBM one list of values for each of them, in the columns' order; for XGBoost too, where its
    version records them. Empty where users give codes, and for CatBoost, which is given the values themselves.
    """
    library = library_of(model)
    finder = {"lightgbm": _lightgbm, "xgboost": _xgboost, "catboost": _catboost}.get(library)
    return {"category_columns": [], "categories": []} if finder is None else finder(model)


def _lightgbm(model: Any) -> Header:
    """LightGBM lists the pandas categories without naming their columns; those that it declares may be others too."""
    booster = getattr(model, "booster_", model)
    lists = getattr(booster, "pandas_categorical", None) or []
    if not lists:
        return {"category_columns": [], "categories": []}
    text = booster.model_to_string(num_iteration=1)
    found = re.search(r"^\[categorical_feature: ([\d,]+)\]$", text, re.MULTILINE)
    declared = sorted({int(word) for word in found.group(1).split(",")}) if found else []
    return {
        "category_columns": declared if len(declared) == len(lists) else None,
        "categories": [plain(list(values)) for values in lists],
    }


def _xgboost(model: Any) -> Header:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    columns = [i for i, kind in enumerate(booster.feature_types or []) if kind == "c"]
    encodings = _xgboost_encodings(booster) if columns else []
    values = [_xgboost_values(encodings[i]) if i < len(encodings) else None for i in columns]
    return {"category_columns": columns, "categories": [] if None in values else values}


def _xgboost_encodings(booster: Any) -> List[Any]:
    try:
        learner = json.loads(bytes(booster.save_raw(raw_format="json")))["learner"]
    except TypeError:
        return []  # before 1.6 there were neither categories nor this argument
    inner = learner["gradient_booster"]
    return list(((inner.get("gbtree") or inner).get("model", {}).get("cats") or {}).get("enc") or [])


def _xgboost_values(encoding: Any) -> Optional[List[Any]]:
    """A column's values in the order of their codes: text as offsets into bytes, or numbers."""
    values = encoding.get("values") or []
    if "offsets" not in encoding:
        return [plain(value) for value in values] or None
    offsets = encoding["offsets"]
    data = bytes(value & 0xFF for value in values)
    return [data[a:b].decode("utf-8", "replace") for a, b in zip(offsets, offsets[1:])] or None  # noqa: RUF007 - Python 3.9


def _catboost(model: Any) -> Header:
    columns = set(model.get_cat_feature_indices()) | set(model.get_text_feature_indices())
    columns |= set(getattr(model, "get_embedding_feature_indices", list)())
    return {"category_columns": sorted(int(column) for column in columns), "categories": []}
