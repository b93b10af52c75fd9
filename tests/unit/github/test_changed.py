from __future__ import annotations

import pytest

from validator.github.changed import ChangedFiles, WatchedModel, touched
from validator.github.deciding import Names, is_governing


def watched(path: str, *files: str, modules: tuple[str, ...] = (), doubt: str = "") -> WatchedModel:
    names = Names(files=frozenset((path, *files)), modules=frozenset(modules), doubt=doubt)
    return WatchedModel(path=path, names=names)


CHURN = watched("models/churn.pkl", "data/churn.parquet", "requirements.txt", modules=("serving",))
PRICE = watched("models/price.onnx", "data/price")
BOTH = [CHURN.path, PRICE.path]


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
        (("models",), BOTH),
        (("data",), BOTH),
        (("serving/app/web.py",), [CHURN.path]),
        (("serving/notes.md",), []),
        (("serving",), [CHURN.path]),
        (("preflight.toml",), BOTH),
        (("sub/pyproject.toml",), BOTH),
        ((".github/workflows/x.yml",), BOTH),
        ((".gitmodules",), BOTH),
        (("data/.gitattributes",), BOTH),
        (("tools/gate/action.yml",), BOTH),
        (("action.yaml",), BOTH),
        ((".lfsconfig",), BOTH),
        ((), []),
    ],
)
def test_which_models_a_change_touches(paths, expected):
    assert judged(*paths) == expected


def test_not_known_means_all():
    assert touched([CHURN, PRICE], ChangedFiles(paths=None, reason="403")) == (CHURN, PRICE)


def test_a_model_in_doubt_is_judged():
    doubted = watched("m.pkl", doubt="m.pkl is no part of the commit")
    assert touched([doubted, PRICE], ChangedFiles(paths=frozenset({"README.md"}))) == (doubted,)


def test_the_whole_repository_is_touched_by_anything():
    assert touched([watched(".")], ChangedFiles(paths=frozenset({"a/b"})))
    modules = WatchedModel(path="m", names=Names(modules=frozenset({"."})))
    assert touched([modules], ChangedFiles(paths=frozenset({"a/b.py"})))
    assert not touched([modules], ChangedFiles(paths=frozenset({"a/b.md"})))


def test_governing_files():
    assert is_governing(".github/actions/a/action.yml")
    assert is_governing("a/b/preflight.toml")
    assert not is_governing("github/x.yml")
    assert not is_governing("notpreflight.toml")
