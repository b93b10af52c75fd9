"""scikit-learn's estimators, asked where they are loaded."""

from __future__ import annotations

from typing import Any, Dict, Optional

from validator.libraries.live import Live, matrix
from validator.libraries.plain import Export, feature_names
from validator.libraries.sklearn import export_hist, export_trees
from validator.libraries.sklearn.numbers import fractions_of


class LiveSklearn(Live):
    """Estimators and pipelines."""

    def numbers(self, model: Any) -> Dict[int, str]:
        return fractions_of(model)

    def leaves(self, model: Any, given: Any) -> Optional[Any]:
        """`apply` gives nodes; among a tree's nodes, the leaves keep their order."""
        import numpy as np

        if not callable(getattr(model, "apply", None)):
            return None
        nodes = matrix(model.apply(given))
        if "GradientBoosting" in type(model).__name__:
            trees = [tree for stage in model.estimators_ for tree in stage]
        else:
            trees = list(getattr(model, "estimators_", [model]))
        for place, tree in enumerate(trees):
            rank = np.cumsum(tree.tree_.children_left < 0) - 1
            nodes[:, place] = rank[nodes[:, place]]
        return nodes

    def raw_scores(self, model: Any, given: Any) -> Optional[Any]:
        if "GradientBoostingClassifier" not in type(model).__name__:
            return None
        return model.decision_function(given)

    def export(self, model: Any) -> Export:
        """Kind "sklearn-trees"."""
        name = type(model).__name__
        if name in export_hist.NAMES:
            header, arrays = export_hist.export(model)
        elif name in export_trees.NAMES:
            header, arrays = export_trees.export(model)
        else:
            return super().export(model)
        header["kind"] = "sklearn-trees"
        header["n_features"] = int(model.n_features_in_)
        header["feature_names"] = feature_names(model)
        return header, arrays
