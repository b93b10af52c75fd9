"""One way to ask any native model: a table goes in, the outputs of the ONNX signature come out.

A model answers through the method its users call: `predict_proba` and `predict` of the scikit-learn API, or
`predict` of a booster. What the method takes, a DataFrame or a matrix, follows how the model was trained.
"""

from __future__ import annotations

import re
import warnings
from typing import Any, Dict, List, Optional

from validator.libraries import live_contents as contents
from validator.libraries.frames import frame
from validator.outputs import Outputs
from validator.table import Table

#: The names that LightGBM and CatBoost write for a bare matrix. Names such as f0 or x1 are somebody's own.
_AUTO_NAMES = ("Column_{}", "{}")
_LIGHTGBM_CLASS_TASKS = {"binary": "binary", "multiclass": "multiclass", "multiclassova": "multiclass"}
_LIGHTGBM_RANKING = ("lambdarank", "rank_xendcg")


class NotAModelError(TypeError):
    """The object has no method to predict with. Says what it is, and in `hint` what to save instead."""

    def __init__(self, found: Any) -> None:
        super().__init__(contents.describe(found))
        self.hint = contents.remedy(found)


class Adapter:
    """A native model behind one interface. Raises NotAModelError for an object that cannot predict."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.library = type(model).__module__.split(".")[0]
        self.is_booster = type(model).__name__ == "Booster" and self.library in ("lightgbm", "xgboost")
        if not callable(getattr(model, "predict", None)) or contents.is_unfitted(model):
            raise NotAModelError(model)
        # CatBoost alone takes its threads from no variable.
        self._pinned = {"thread_count": 1} if self.library == "catboost" else {}
        self.task = self._task()
        self.feature_names = self._feature_names()
        self._reads_texts = hasattr(_first_step(model), "build_analyzer")
        self.n_features = self._n_features()

    @property
    def classes(self) -> List[Any]:
        """Class labels in the order of the probabilities, as plain Python values."""
        found = getattr(self.model, "classes_", None)
        if found is not None and self.task in ("binary", "multiclass"):
            return [item.item() if hasattr(item, "item") else item for item in found]
        if self.task == "binary":
            return [0, 1]
        return list(range(self._booster_classes())) if self.task == "multiclass" else []

    @property
    def facts(self) -> Dict[str, Any]:
        """What the model is, as JSON can carry it."""
        return {
            "task": self.task,
            "classes": self.classes,
            "feature_names": self.feature_names,
            "n_features": self.n_features,
            "library": self.library,
            "model_class": f"{type(self.model).__module__}.{type(self.model).__qualname__}",
        }

    def inputs(self, table: Table) -> Any:
        """The table as the model's users would pass it: a DataFrame if it was trained on names, else a matrix.

        A model that begins with a vectoriser takes texts, not a table: of a DataFrame it would read the names.
        """
        if self._reads_texts and len(table.columns) == 1:
            return frame(table).iloc[:, 0]
        if self.feature_names is None and table.is_numeric:
            return self._matrix(table)
        return self._wrap(frame(table))

    def from_array(self, array: Any) -> Any:
        """A bare array as the model's users would pass it, whatever its rank and dtype."""
        return self._wrap(array)

    def call(self, given: Any) -> Any:
        """The one call that is timed: probabilities of classifiers, else the prediction."""
        if self.task in ("binary", "multiclass") and hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(given, **self._pinned)
        if self.task == "outlier" and hasattr(self.model, "decision_function"):
            return self.model.decision_function(given)
        return self.model.predict(given, **self._pinned)

    def predict(self, given: Any) -> Outputs:
        """All outputs for inputs that `inputs` or `from_array` made."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._outputs(given)

    def _outputs(self, given: Any) -> Outputs:
        import numpy as np

        if self.task in ("binary", "multiclass"):
            return self._classify(given)
        if self.task == "outlier":
            label = np.asarray(self.model.predict(given)).astype(np.int64)
            return Outputs(label=label, score=np.asarray(self.call(given)).reshape(-1))
        answer = np.asarray(self.model.predict(given))
        if self.task == "ranking":
            return Outputs(score=answer.reshape(-1))
        return Outputs(prediction=answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else answer)

    def _classify(self, given: Any) -> Outputs:
        import numpy as np

        if self.is_booster:
            return self._booster_classify(given)
        label = np.asarray(self.model.predict(given)).reshape(-1)
        label = label.astype(object) if label.dtype.kind in "OUS" else label.astype(np.int64)
        if hasattr(self.model, "predict_proba"):
            return Outputs(label=label, probabilities=np.asarray(self.model.predict_proba(given)))
        if hasattr(self.model, "decision_function"):
            return Outputs(label=label, score=np.asarray(self.model.decision_function(given)))
        return Outputs(label=label)

    def _booster_classify(self, given: Any) -> Outputs:
        """Boosters give probabilities alone; their label is the most probable class, the first on a tie.

        XGBoost's multi:softmax gives the label alone; its probabilities are the softmax of its margins.
        """
        import numpy as np

        answer = np.asarray(self.model.predict(given))
        if self.task == "multiclass" and answer.ndim == 1:
            margin = np.asarray(self.model.predict(given, output_margin=True))
            weight = np.exp(margin - margin.max(axis=1, keepdims=True))
            return Outputs(
                label=answer.astype(np.int64), probabilities=weight / weight.sum(axis=1, keepdims=True)
            )
        probabilities = answer if answer.ndim == 2 else np.column_stack([1.0 - answer, answer])
        return Outputs(label=probabilities.argmax(axis=1).astype(np.int64), probabilities=probabilities)

    def _matrix(self, table: Table) -> Any:
        return self._wrap(table.matrix())

    def _wrap(self, given: Any) -> Any:
        if self.is_booster and self.library == "xgboost":
            import xgboost

            return xgboost.DMatrix(given, enable_categorical=True)
        return given

    def _task(self) -> str:
        if self.is_booster:
            return self._booster_task()
        model, name = self.model, type(self.model).__name__
        if "Ranker" in name:
            return "ranking"
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        if hasattr(last, "fit_predict") and hasattr(last, "offset_"):
            return "outlier"
        classes = getattr(model, "classes_", None)
        if classes is None or not len(classes):  # CatBoost's regressors have an empty list
            return "regression"
        if isinstance(classes, list):
            return "multilabel"
        return "binary" if len(classes) == 2 else "multiclass"

    def _objective(self) -> str:
        if self.library == "lightgbm":
            found = re.search(r"^objective=(\S+)", self.model.model_to_string(num_iteration=1), re.MULTILINE)
            return found.group(1) if found else ""
        import json

        config = json.loads(self.model.save_config())
        return str(config["learner"]["learner_train_param"]["objective"])

    def _booster_task(self) -> str:
        objective = self._objective()
        if objective in _LIGHTGBM_RANKING or objective.startswith("rank:"):
            return "ranking"
        if objective in ("binary:logistic", "multi:softprob", "multi:softmax"):
            return "binary" if objective.startswith("binary") else "multiclass"
        return _LIGHTGBM_CLASS_TASKS.get(objective, "regression")

    def _booster_classes(self) -> int:
        if self.library == "lightgbm":
            return int(self.model.num_model_per_iteration())
        import json

        return int(json.loads(self.model.save_config())["learner"]["learner_model_param"]["num_class"])

    def _feature_names(self) -> Optional[List[str]]:
        """Names the model was trained with; None when it was trained on a bare matrix."""
        model = self.model
        names: Any = getattr(model, "feature_names_in_", None)
        if names is None and self.is_booster:
            names = model.feature_name() if self.library == "lightgbm" else model.feature_names
        if names is None:
            names = getattr(model, "feature_names_", None)
        if names is None and hasattr(model, "steps"):
            names = getattr(model.steps[0][1], "feature_names_in_", None)
        if names is None:
            return None
        found = [str(name) for name in names]
        counted = any(found == [auto.format(i) for i in range(len(found))] for auto in _AUTO_NAMES)
        return None if counted else found

    def _n_features(self) -> Optional[int]:
        model = self.model
        if self.is_booster:
            return int(model.num_feature() if self.library == "lightgbm" else model.num_features())
        found = getattr(model, "n_features_in_", None)
        return None if found is None else int(found)


def _first_step(model: Any) -> Any:
    """What a model hands its inputs to first: itself where it is no pipeline."""
    steps = getattr(model, "steps", None)
    if steps:
        return _first_step(steps[0][1])
    best = getattr(model, "best_estimator_", None)
    return model if best is None else _first_step(best)
