"""How good answers are, by scikit-learn's metrics, and how sure it is that one model's are better than another's."""

#: Metrics of which more is better; of the others less is.
HIGHER_IS_BETTER = frozenset({"auc", "accuracy", "f1", "r2", "ndcg"})
METRICS = {
    "binary": ("auc", "log_loss", "brier", "accuracy", "f1"),
    "multiclass": ("log_loss", "accuracy", "f1"),
    "regression": ("rmse", "mae", "r2"),
    "ranking": ("ndcg",),
}
