"""Quality: scikit-learn's figures on whole samples, whatever the batches, and intervals as resampling gives them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn import metrics

from validator.errors import SampleError
from validator.worker.quality import bootstrap, scores
from validator.worker.quality.comparison import measured
from validator.worker.quality.rows import Gathering, positions

SEED = 3


def gathered(
    task: str, truth: Any, *models: Any, classes: Any = ((0, 1),), batch: int = 97, **more: Any
) -> Gathering:
    """Models as (label, values), added in batches."""
    given_classes = [*classes, *[classes[-1]] * (len(models) - len(classes))]
    found = Gathering(task, given_classes, list(more.get("slices", {})))
    for start in range(0, len(truth), batch):
        part = slice(start, start + batch)
        found.add(
            truth[part],
            [
                (None if label is None else label[part], more.get("output", "probabilities"), values[part])
                for label, values in models
            ],
            {name: values[part] for name, values in more.get("slices", {}).items()},
            None if more.get("group") is None else more["group"][part],
        )
    return found


def figures(found: Gathering, *, compare: bool = False) -> dict[str, Any]:
    return {
        f"{one['name']}[{one['slice']}]" if one["slice"] else one["name"]: one
        for one in measured(found, compare=compare)["metrics"]
    }


@pytest.fixture
def binary() -> dict[str, Any]:
    rng = np.random.default_rng(SEED)
    truth = rng.integers(0, 2, 1_500)
    good = np.clip(0.3 * truth + 0.7 * rng.random(1_500), 0, 1).round(2)  # rounded: ties
    fair = np.clip(0.15 * truth + 0.85 * rng.random(1_500), 0, 1).round(2)
    models = [((p > 0.5).astype(np.int64), np.column_stack([1 - p, p])) for p in (good, fair)]
    return {"truth": truth, "good": good, "fair": fair, "models": models}


def of_binary(truth: Any, p: Any) -> dict[str, float]:
    return {
        "auc": metrics.roc_auc_score(truth, p),
        "log_loss": metrics.log_loss(truth, p),
        "brier": metrics.brier_score_loss(truth, p),
        "accuracy": metrics.accuracy_score(truth, p > 0.5),
        "f1": metrics.f1_score(truth, p > 0.5),
    }


@pytest.mark.parametrize("piece", [64, 1 << 20])
def test_binary_metrics_are_scikit_learns(binary, monkeypatch, piece):
    monkeypatch.setattr(scores, "_PIECE", piece)
    found = figures(gathered("binary", binary["truth"], binary["models"][0]))
    for name, value in of_binary(binary["truth"], binary["good"]).items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-12), name


def test_multiclass_metrics_are_scikit_learns():
    rng = np.random.default_rng(SEED)
    names = np.array(["x", "y", "z"], dtype=object)
    values = rng.dirichlet([1, 1, 1], 800)
    truth = names[(values + 0.3 * rng.random((800, 3))).argmax(axis=1)]
    label = names[values.argmax(axis=1)]
    found = figures(gathered("multiclass", truth, (label, values), classes=(["x", "y", "z"],)))
    assert found["log_loss"]["value"] == pytest.approx(
        metrics.log_loss(truth, values, labels=names), rel=1e-12
    )
    assert found["accuracy"]["value"] == pytest.approx((truth == label).mean())
    assert found["f1"]["value"] == pytest.approx(metrics.f1_score(truth, label, average="macro"), rel=1e-12)


@pytest.mark.parametrize("targets", [1, 2])
def test_regression_metrics_are_scikit_learns(targets):
    rng = np.random.default_rng(SEED)
    truth = rng.normal(5, 2, (700, targets))
    values = truth + rng.normal(0, 1, truth.shape)
    flat = truth[:, 0] if targets == 1 else truth
    found = figures(gathered("regression", flat, (None, values)))
    assert found["rmse"]["value"] == pytest.approx(metrics.root_mean_squared_error(truth, values), rel=1e-12)
    assert found["mae"]["value"] == pytest.approx(metrics.mean_absolute_error(truth, values), rel=1e-12)
    assert found["r2"]["value"] == pytest.approx(metrics.r2_score(truth, values), rel=1e-12)


def test_ndcg_is_the_mean_over_queries():
    rng = np.random.default_rng(SEED)
    group = np.repeat(np.array(["q1", "q2", "q3", "alone"], dtype=object), [5, 9, 4, 1])
    truth, score = rng.integers(0, 4, len(group)), rng.random(len(group))
    found = figures(gathered("ranking", truth, (None, score.reshape(-1, 1)), group=group, batch=7))
    each = [metrics.ndcg_score([truth[group == q]], [score[group == q]]) for q in ("q1", "q2", "q3")]
    assert found["ndcg"]["value"] == pytest.approx(np.mean(each))


def quick(truth: Any, p: Any) -> list[float]:
    """AUC, log loss, Brier, accuracy and F1 from their definitions."""
    label, positives = p > 0.5, truth.sum()
    auc = (rankdata(p)[truth == 1].sum() - positives * (positives + 1) / 2) / (positives * (1 - truth).sum())
    true = np.clip(np.where(truth == 1, p, 1 - p), np.finfo(float).eps, 1)
    f1 = 2 * (label & (truth == 1)).sum() / (label.sum() + positives)
    return [auc, -np.log(true).mean(), ((p - truth) ** 2).mean(), (label == truth).mean(), f1]


def test_intervals_are_those_of_a_plain_paired_bootstrap(binary):
    truth, good, fair = binary["truth"], binary["good"], binary["fair"]
    rng = np.random.default_rng(SEED)
    drawn = [rng.integers(0, len(truth), len(truth)) for _ in range(2_000)]
    plain = np.array([np.subtract(quick(truth[r], good[r]), quick(truth[r], fair[r])) for r in drawn])
    found = figures(gathered("binary", truth, *binary["models"]), compare=True)
    for i, (name, value) in enumerate(of_binary(truth, fair).items()):
        low, high = np.quantile(plain[:, i], [0.025, 0.975])
        near = pytest.approx((low, high), abs=0.1 * (high - low))
        assert (found[name]["low"], found[name]["high"]) == near, name
        assert found[name]["base"] == pytest.approx(value)


def test_rows_in_blocks_spread_as_single_rows_do(binary, monkeypatch):
    found = gathered("binary", binary["truth"], *binary["models"])
    alone = bootstrap.intervals(found.rows(0), found.rows(1))
    monkeypatch.setattr(bootstrap, "UNITS", 400)
    blocked = bootstrap.intervals(found.rows(0), found.rows(1))
    for name, (low, high) in alone.items():
        width = high - low
        assert blocked[name] == pytest.approx((low, high), abs=0.2 * width), name


def test_the_same_model_twice_differs_by_nothing(binary):
    same = [binary["models"][0]] * 2
    for one in figures(gathered("binary", binary["truth"], *same), compare=True).values():
        assert (one["low"], one["high"]) == (0, 0)


def test_a_base_with_its_classes_in_another_order_is_read_by_name(binary):
    label, values = binary["models"][0]
    turned = gathered(
        "binary", binary["truth"], (label, values), (label, values[:, ::-1]), classes=([0, 1], [1, 0])
    )
    for one in figures(turned, compare=True).values():
        assert one["base"] == one["value"]


def test_rows_without_a_true_answer_are_left_out(binary):
    truth = binary["truth"].astype(float)
    truth[::3] = np.nan
    found = measured(gathered("binary", truth, binary["models"][0]), compare=False)
    assert found["left_out"] == 500
    assert {one["rows"] for one in found["metrics"]} == {1_000}


def test_a_true_answer_that_is_no_class_is_named(binary):
    truth = binary["truth"].copy()
    truth[700] = 7
    with pytest.raises(SampleError, match="'7', which is none of the model's classes"):
        gathered("binary", truth, binary["models"][0])


def test_scores_rank_two_classes_and_are_no_probabilities(binary):
    (label, values), truth = binary["models"][0], binary["truth"]
    scores_only = [(label, 3 * values[:, 1:] - 1), (label, 2 * values[:, 1:])]
    found = figures(gathered("binary", truth, *scores_only, output="score"), compare=True)
    assert found.keys() == {"auc", "accuracy", "f1"}
    assert found["auc"]["value"] == pytest.approx(metrics.roc_auc_score(truth, values[:, 1]))
    assert (found["auc"]["low"], found["auc"]["high"]) == pytest.approx((0, 0), abs=1e-12)


def test_one_class_only_leaves_the_auc_open(binary):
    found = figures(gathered("binary", np.ones(1_500, dtype=int), *binary["models"]), compare=True)
    assert found["auc"]["value"] is None
    assert found["auc"]["low"] is None
    assert found["accuracy"]["value"] is not None


def test_slices_by_text_by_number_and_by_quarter(binary):
    rng = np.random.default_rng(SEED + 1)
    region = np.array(["north", "south", None], dtype=object)[rng.integers(0, 3, 1_500)]
    size = rng.normal(size=1_500)
    year = rng.integers(2020, 2022, 1_500)
    found = figures(
        gathered(
            "binary",
            binary["truth"],
            binary["models"][0],
            slices={"region": region, "size": size, "year": year},
        )
    )
    north = region == "north"
    assert found["auc[region=north]"]["value"] == pytest.approx(
        metrics.roc_auc_score(binary["truth"][north], binary["good"][north])
    )
    assert found["auc[region=missing]"]["rows"] == sum(value is None for value in region)
    assert found["accuracy[year=2020]"]["rows"] == (year == 2020).sum()
    quarters = [one["rows"] for name, one in found.items() if name.startswith("auc[size ")]
    assert len(quarters) == 4
    assert sum(quarters) == 1_500


def test_rare_values_are_put_together(binary):
    column = np.arange(1_500) // 10
    found = figures(gathered("binary", binary["truth"], binary["models"][0], slices={"id": column}))
    rest = found["accuracy[id: other values]"]
    assert rest["rows"] == 1_500 - 20 * 10


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0]), min_size=1, max_size=30),
    st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.5, 1.0]), min_size=1, max_size=30),
)
def test_placements_are_the_auc(others, mine):
    truth = [0] * len(others) + [1] * len(mine)
    expected = metrics.roc_auc_score(truth, others + mine)
    assert scores.placements(np.array(others), np.array(mine)).mean() == pytest.approx(expected)


@given(st.lists(st.sampled_from([0, 1, 5]), min_size=1), st.sampled_from([int, float, str]))
def test_positions_are_the_same_for_numbers_and_their_texts(values, kind):
    array = np.array([kind(value) for value in values], dtype=object if kind is str else None)
    assert positions(array, [5, 0, 1]).tolist() == [[5, 0, 1].index(value) for value in values]


def test_positions_of_what_is_no_class():
    assert positions(np.array([2.5, 1.0, np.nan]), [0, 1]).tolist() == [-1, 1, -1]


@pytest.mark.parametrize(
    ("truth", "said"),
    [(np.array(["1", "high"], dtype=object), "no numbers.*'high'"), (np.array([1.0, np.inf]), "infinity")],
)
def test_true_answers_of_a_regressor_are_finite_numbers(truth: Any, said: str) -> None:
    with pytest.raises(SampleError, match=said):
        gathered("regression", truth, (None, np.zeros(2)))
