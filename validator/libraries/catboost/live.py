"""CatBoost's models, asked where they are loaded."""

from __future__ import annotations

import json
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Dict, List, Optional, Tuple

from validator.libraries.live import Live, as_array, estimator_task, fractional, matrix, texts, through_file
from validator.libraries.plain import Export, Header, NotExpressible, class_labels, plain


class LiveCatBoost(Live):
    """`CatBoost` and its classifier, regressor and ranker."""

    #: CatBoost alone takes its threads from no variable.
    options: ClassVar[Dict[str, Any]] = {"thread_count": 1}

    def load(self, data: bytes, format: str) -> Any:
        """As the estimator whose `predict` and classes its users know: the file does not say which one wrote it."""
        import catboost

        kind = format.partition("-")[2]
        with tempfile.TemporaryDirectory() if kind == "json" else nullcontext("") as folder:
            source: Dict[str, Any] = {"blob": data}
            if folder:  # CatBoost takes JSON from a path alone
                path = Path(folder) / "model"
                path.write_bytes(data)
                source = {"fname": str(path)}
            model = catboost.CatBoost().load_model(format=kind, **source)
            estimator = catboost.CatBoostClassifier() if len(model.classes_) else catboost.CatBoostRegressor()
            return estimator.load_model(format=kind, **source)

    def sums_to_one(self, model: Any) -> bool:
        return "MultiClassOneVsAll" not in str(_parameters(model).get("loss_function"))

    def n_features(self, model: Any) -> Optional[int]:
        """A file loads as a model of 0 where it was trained on a bare matrix; its names are counted all the same."""
        return super().n_features(model) or len(model.feature_names_)

    def categories(self, model: Any) -> Header:
        """CatBoost is given the values themselves."""
        columns = set(model.get_cat_feature_indices()) | set(model.get_text_feature_indices())
        columns |= set(getattr(model, "get_embedding_feature_indices", list)())
        return {"category_columns": sorted(int(column) for column in columns), "categories": []}

    def missing(self, model: Any) -> Dict[int, bool]:
        """Its own file tells of every numeric column whether it had missing values."""
        return {
            int(one["flat_feature_index"]): bool(one["has_nans"])
            for one in _float_features(model)
            if "flat_feature_index" in one and "has_nans" in one
        }

    def numbers(self, model: Any) -> Dict[int, str]:
        """Its borders lie in the middle between two values of training, unless it was told to lay them elsewhere."""
        if _parameters(model).get("feature_border_type") not in ("GreedyLogSum", "Median", "MaxLogSum"):
            return {}
        found: Dict[int, str] = {}
        for one in _float_features(model):
            borders = one.get("borders") or []
            found.update(fractional([int(one["flat_feature_index"])] * len(borders), borders))
        return found

    def importance(self, model: Any) -> Optional[Tuple[str, Any]]:
        return "change of the prediction", model.get_feature_importance()

    def leaves(self, model: Any, given: Any) -> Optional[Any]:
        if _parameters(model).get("grow_policy") != "SymmetricTree":
            return None
        return matrix(model.calc_leaf_indexes(given))

    def raw_scores(self, model: Any, given: Any) -> Optional[Any]:
        # Rankers answer with raw scores, and know no other way.
        raw = {} if "Ranker" in type(model).__name__ else {"prediction_type": "RawFormulaVal"}
        return model.predict(given, **raw)

    def export(self, model: Any) -> Export:
        """Kind "catboost-json"."""
        for kind in ("text", "embedding"):
            if getattr(model, f"get_{kind}_feature_indices", list)():
                raise NotExpressible(
                    f"the CatBoost model has {kind} features, which it turns into numbers of its own",
                    f"turn the {kind} into numbers before training, in a step of its own",
                )
        names = model.feature_names_
        header: Header = {
            "kind": "catboost-json",
            # A .cbm file loads as a plain CatBoost, which knows its classes all the same.
            "task": "classification" if len(model.classes_) else estimator_task(model),
            "classes": class_labels(model) if len(model.classes_) else None,
            "threshold": plain(_probability_threshold(model)),
            "prediction_type": _answer(model),
            "n_features": len(names),
            "feature_names": texts(names),
            "loss": plain(_parameters(model).get("loss_function")),
        }
        data = through_file("model.json", lambda path: model.save_model(path, format="json"))
        return header, {"model": as_array(data)}


def _float_features(model: Any) -> List[Dict[str, Any]]:
    data = through_file("model.json", lambda path: model.save_model(path, format="json"))
    return json.loads(data).get("features_info", {}).get("float_features") or []


def _parameters(model: Any) -> Dict[str, Any]:
    """Those that the file keeps; of files of old releases CatBoost cannot list them, and `get_params` has a few."""
    import catboost

    try:
        return model.get_all_params() or {}
    except catboost.CatBoostError:
        return model.get_params() or {}


def _probability_threshold(model: Any) -> Any:
    found = getattr(model, "get_probability_threshold", None)
    return found() if callable(found) and len(model.classes_) == 2 else None


def _answer(model: Any) -> Optional[str]:
    """What a regressor's `predict` returns by default; None for estimators that have no choice."""
    choose = getattr(model, "_get_default_prediction_type", None)
    return str(choose()) if callable(choose) else None
