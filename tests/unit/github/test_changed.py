from __future__ import annotations

import pytest

from validator.github.changed import ChangedFiles, WatchedModel, is_governing, touched

CHURN = WatchedModel(path="models/churn.pkl", inputs=("data/churn.parquet", "requirements.txt"))
PRICE = WatchedModel(path="./models/price.onnx", inputs=("data/price",))


def judged(*paths: str) -> list[str]:
    return [model.path for model in touched([CHURN, PRICE], ChangedFiles(paths=frozenset(paths)))]


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (("README.md", "models/churn.pkl.bak", "models/churn"), []),
        (("models/churn.pkl",), [CHURN.path]),
        (("data/churn.parquet",), [CHURN.path]),
        (("requirements.txt",), [CHURN.path]),
        (("models/price.onnx",), [PRICE.path]),
        (("data/price/part-1.parquet",), [PRICE.path]),
        (("data/prices.parquet",), []),
        (("preflight.toml",), [CHURN.path, PRICE.path]),
        (("sub/pyproject.toml",), [CHURN.path, PRICE.path]),
        ((".github/workflows/x.yml",), [CHURN.path, PRICE.path]),
        ((), []),
    ],
)
def test_which_models_a_change_touches(paths, expected):
    assert judged(*paths) == expected


def test_not_known_means_all():
    assert touched([CHURN, PRICE], ChangedFiles(paths=None, reason="403")) == (CHURN, PRICE)


def test_governing_files():
    assert is_governing(".github/actions/a/action.yml")
    assert is_governing("a/b/preflight.toml")
    assert not is_governing("github/x.yml")
    assert not is_governing("notpreflight.toml")
