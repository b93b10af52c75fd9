"""One way to ask any native model: a table goes in, the outputs of the ONNX signature come out.

A model answers through the method its users call: `predict_proba` and `predict` of the scikit-learn API, or
`predict` of a booster. What the method takes, a DataFrame or a matrix, follows how the model was trained.
"""

from __future__ import annotations

import warnings
from typing import Any, Dict, List, Optional, Sequence

from validator.libraries import columns_used, contents
from validator.libraries.frames import frame, frames
from validator.libraries.known import LIBRARIES, live_of
from validator.libraries.plain import class_name, library_of
from validator.outputs import Outputs
from validator.table import Table


class NotAModelError(TypeError):
    """The object has no method to predict with. Says what it is, and in `hint` what to save instead."""

    def __init__(self, found: Any) -> None:
        super().__init__(contents.describe(found))
        self.hint = contents.remedy(found)


class Adapter:
    """A native model behind one interface. Raises NotAModelError for an object that cannot predict."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.library = library_of(model)
        self._live = live_of(model)
        self._options = self._live.options_of(model)
        if not callable(getattr(model, "predict", None)) or contents.is_unfitted(model):
            raise NotAModelError(model)
        self.task = self._live.task(model)
        self.feature_names = self._plain_names()
        self._reads_texts = hasattr(columns_used.first_step(model), "build_analyzer")
        self.n_features = self._live.n_features(model)
        self.unused = columns_used.unused(model) if self.feature_names is not None else []
        if self.unused and self.feature_names is not None:
            self.feature_names = [name for name in self.feature_names if name not in self.unused]
            self.n_features = len(self.feature_names)

    @property
    def classes(self) -> List[Any]:
        """Class labels in the order of the probabilities, as plain Python values."""
        found = getattr(self.model, "classes_", None)
        if found is not None and self.task in ("binary", "multiclass"):
            return [item.item() if hasattr(item, "item") else item for item in found]
        if self.task == "binary":
            return [0, 1]
        return list(range(self._live.n_classes(self.model))) if self.task == "multiclass" else []

    @property
    def facts(self) -> Dict[str, Any]:
        """What the model is, as JSON can carry it."""
        reading, marked = self._live.reading(self.model)
        return {
            "task": self.task,
            "classes": self.classes,
            "feature_names": self.feature_names,
            "unused": self.unused,
            "free_texts": columns_used.free_texts(self.model),
            "n_features": self.n_features,
            "library": self.library,
            "model_class": class_name(self.model),
            "reading": reading,
            "reading_marked": marked,
        }

    def inputs(self, table: Table) -> Any:
        """The table as the model's users would pass it: a DataFrame if it was trained on names, else a matrix.

        A model that begins with a vectoriser takes texts, not a table: of a DataFrame it would read the names.
        """
        if self._reads_texts and len(table.columns) == 1:
            return frame(table).iloc[:, 0]
        if self.feature_names is None and table.is_numeric:
            return self.from_array(table.matrix())
        return self.from_array(frame(table))

    def cut(self, table: Table, rows: int, starts: Sequence[int]) -> List[Any]:
        """The inputs of so many rows from each of `starts` on."""
        if self._reads_texts:
            return [self.inputs(table.take(slice(at, at + rows))) for at in starts]
        if self.feature_names is None and table.is_numeric:
            whole = table.matrix()
            return [self.from_array(whole[at : at + rows]) for at in starts]
        return [self.from_array(piece) for piece in frames(table, rows, starts)]

    def from_array(self, array: Any) -> Any:
        """An array or DataFrame as the model's users would pass it, whatever its rank and dtype."""
        return self._live.given(self.model, array)

    def call(self, given: Any) -> Any:
        """The one call that is timed: probabilities of classifiers, else the prediction."""
        if self.task in ("binary", "multiclass") and hasattr(self.model, "predict_proba"):
            return self.model.predict_proba(given, **self._options)
        if self.task == "outlier" and hasattr(self.model, "decision_function"):
            return self.model.decision_function(given)
        return self.model.predict(given, **self._options)

    def predict(self, given: Any) -> Outputs:
        """All outputs for inputs that `inputs` or `from_array` made."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._outputs(given)

    def _outputs(self, given: Any) -> Outputs:
        import numpy as np

        if self.task in ("binary", "multiclass"):
            return self._live.classify(self.model, given, self.task)
        if self.task == "outlier":
            label = np.asarray(self.model.predict(given)).astype(np.int64)
            return Outputs(label=label, score=np.asarray(self.call(given)).reshape(-1))
        answer = np.asarray(self.model.predict(given, **self._options))
        if self.task == "ranking":
            return Outputs(score=answer.reshape(-1))
        return Outputs(prediction=answer[:, 0] if answer.ndim == 2 and answer.shape[1] == 1 else answer)

    def _plain_names(self) -> Optional[List[str]]:
        """Names the model was trained with; None when that was a bare matrix, whatever its library calls them."""
        names = self._live.feature_names(self.model)
        if names is None and (first := columns_used.first_step(self.model)) is not self.model:
            names = live_of(first).feature_names(first)
        if names is None:
            return None
        found = [str(name) for name in names]
        numbered = [library.unnamed for library in LIBRARIES if library.unnamed]
        bare = any(found == [pattern.format(i) for i in range(len(found))] for pattern in numbered)
        return None if bare else found
