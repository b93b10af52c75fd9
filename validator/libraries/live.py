"""What is asked of a model, in the process that holds it, by the interface that scikit-learn's estimators share.

A library whose models answer in another way says so in a class of its own, in its folder. Python 3.9 with numpy and
the model's library.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, List, Optional, Tuple

from validator.libraries.plain import Export, Header, NotExpressible
from validator.outputs import Outputs


class Live:
    """The interface of scikit-learn's estimators, and of whatever is made in their likeness."""

    #: Whether its models answer in float32 whatever they are given.
    single: ClassVar[bool] = False
    #: What every call of `predict` is given.
    options: ClassVar[Dict[str, Any]] = {}

    def load(self, data: bytes, format: str) -> Any:
        """The model in a file of one of the library's own formats. Raises ModelError, or what the library raises."""
        raise NotImplementedError(format)

    def read_as(self, model: Any, reading: str) -> Any:
        """A model that came of a file with two readings, in the one that is asked for: auto, wrapper or booster."""
        return model

    def reading(self, model: Any) -> Tuple[str, bool]:
        """Which of two readings of a model's file is taken, in words, and whether the file itself says so.

        Nothing where there is only one.
        """
        return "", True

    def options_of(self, model: Any) -> Dict[str, Any]:
        """What every call of this model's `predict` is given."""
        return self.options

    def load_path(self, path: str, format: str) -> Any:
        """The same from a path, as the library does it. For what happens when there is no such file."""
        with Path(path).open("rb") as file:
            return self.load(file.read(), format)

    def task(self, model: Any) -> str:
        """binary, multiclass, multilabel, regression, ranking or outlier."""
        if "Ranker" in type(model).__name__:
            return "ranking"
        last = model.steps[-1][1] if hasattr(model, "steps") else model
        if hasattr(last, "fit_predict") and hasattr(last, "offset_"):
            return "outlier"
        classes = getattr(model, "classes_", None)
        if classes is None or not len(classes):  # CatBoost's regressors have an empty list
            return "regression"
        if answers_several(last):
            return "multilabel"
        return "binary" if len(classes) == 2 else "multiclass"

    def n_classes(self, model: Any) -> int:
        """How many classes a classifier knows that does not list them."""
        raise NotImplementedError(type(model).__name__)

    def feature_names(self, model: Any) -> Optional[Any]:
        """The names of the columns it was trained on, or those that the library gave them; None where it has none."""
        names = getattr(model, "feature_names_in_", None)
        if names is None:
            names = getattr(model, "feature_names_", None)
        if names is None and hasattr(model, "steps"):
            names = getattr(model.steps[0][1], "feature_names_in_", None)
        return names

    def n_features(self, model: Any) -> Optional[int]:
        found = getattr(model, "n_features_in_", None)
        return None if found is None else int(found)

    def given(self, model: Any, table: Any) -> Any:
        """A DataFrame or matrix as `predict` takes it."""
        return table

    def classify(self, model: Any, given: Any, task: str) -> Outputs:
        """A classifier's labels, and its probabilities or scores where it has them."""
        import numpy as np

        label = np.asarray(model.predict(given)).reshape(-1)
        label = label.astype(object) if label.dtype.kind in "OUS" else label.astype(np.int64)
        if hasattr(model, "predict_proba"):
            return Outputs(label=label, probabilities=np.asarray(model.predict_proba(given)))
        if hasattr(model, "decision_function"):
            return Outputs(label=label, score=np.asarray(model.decision_function(given)))
        return Outputs(label=label)

    def sums_to_one(self, model: Any) -> bool:
        """Whether a classifier's probabilities are one distribution; some train each class apart."""
        return True

    def categories(self, model: Any) -> Header:
        """`category_columns`: the numbers of the columns that it takes as categories, None where it does not say.

        `categories`: a list of values for each of them, in the columns' order, where its file records them.
        """
        return {"category_columns": [], "categories": []}

    def missing(self, model: Any) -> Dict[int, bool]:
        """By number, the columns of which the model tells whether values were missing when it was trained."""
        return {}

    def numbers(self, model: Any) -> Dict[int, str]:
        """By number, the columns of which the model tells what numbers it was trained on: float, integer or bool.

        It may be a step of a pipeline, numbered by what that step is given.
        """
        return {}

    def importance(self, model: Any) -> Optional[Tuple[str, Any]]:
        """What the library counts of each feature's use, in words, and a number for each [F]; None without any."""
        found = None if hasattr(model, "steps") else getattr(model, "feature_importances_", None)
        return None if found is None else ("decrease of impurity", found)

    def leaves(self, model: Any, given: Any) -> Optional[Any]:
        """The leaf that each row meets in each tree, numbered within the tree from 0 in the library's own order.

        Integers [N, T]; None where the library does not say.
        """
        return None

    def raw_scores(self, model: Any, given: Any) -> Optional[Any]:
        """Scores [N] or [N, K] before the transform to outputs; None where the library does not give them."""
        return None

    def export(self, model: Any) -> Export:
        """The trees as a header that JSON can carry and named arrays. Raises NotExpressible where there are none."""
        if getattr(model, "steps", None):
            raise NotExpressible("a pipeline: its steps are converted one by one")
        raise NotExpressible(f"{type(model).__name__} is no tree ensemble")


def answers_several(model: Any) -> bool:
    """Whether a classifier gives several answers for each row, one for each column that it was trained on."""
    if isinstance(getattr(model, "classes_", None), list):
        return True
    # Networks, ridge classifiers and one against the rest keep what they made of such answers.
    binarizer = getattr(model, "_label_binarizer", None) or getattr(model, "label_binarizer_", None)
    return str(getattr(binarizer, "y_type_", "")).startswith("multilabel")


def is_booster(model: Any) -> bool:
    """Whether it is a library's bare booster rather than its estimator."""
    return type(model).__name__ == "Booster"


def most_probable(answer: Any) -> Outputs:
    """A booster gives probabilities alone; its label is the most probable class, the first on a tie."""
    import numpy as np

    answer = np.asarray(answer)
    probabilities = answer if answer.ndim == 2 else np.column_stack([1.0 - answer, answer])
    return Outputs(label=probabilities.argmax(axis=1).astype(np.int64), probabilities=probabilities)


def is_classifier(model: Any) -> bool:
    return getattr(model, "_estimator_type", None) == "classifier" or "Classifier" in type(model).__name__


def estimator_task(model: Any) -> str:
    """An estimator's task as a TreeEnsemble has it: ranking, classification or regression."""
    if "Ranker" in type(model).__name__:
        return "ranking"
    classes = getattr(model, "classes_", None) if is_classifier(model) else None
    return "regression" if classes is None or not len(classes) else "classification"


def fractional(column: Any, values: Any) -> Dict[int, str]:
    """float for each column that has one of these values [K], at `column` [K], which is neither whole nor the middle
    between two whole numbers: whoever was trained on whole numbers alone has no such threshold.
    """
    import numpy as np

    doubled = np.asarray(values, dtype=np.float64) * 2
    with np.errstate(invalid="ignore"):
        apart = np.abs(doubled - np.round(doubled)) > 1e-6 * np.maximum(1.0, np.abs(doubled))
    return {int(one): "float" for one in np.unique(np.asarray(column)[apart])}


def matrix(found: Any) -> Any:
    """Whole numbers [N, T]."""
    import numpy as np

    array = np.asarray(found)
    return array.reshape(len(array), -1).astype(np.int64)


def as_array(data: bytes) -> Any:
    """A model file as it travels among arrays: uint8."""
    import numpy as np

    return np.frombuffer(data, dtype=np.uint8)


def through_file(name: str, save: Callable[[str], Any]) -> bytes:
    """For libraries that write to paths alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        save(str(path))
        return path.read_bytes()


def texts(values: Any) -> List[str]:
    return [str(value) for value in values]
