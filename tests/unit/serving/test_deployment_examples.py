"""The trading example's two wrappers: what the mended one refuses, the unchecked one answers."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

TRADING = Path(__file__).parents[3] / "examples" / "trading"


def wrapper(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(f"trading_{name}", TRADING / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    deployment = module.TradingModelDeployment()
    deployment.load_model(str(TRADING / "model.pkl"))
    return deployment


@pytest.fixture(scope="module")
def mended() -> Any:
    return wrapper("serving")


@pytest.fixture(scope="module")
def unchecked() -> Any:
    return wrapper("serving_unchecked")


@pytest.fixture(scope="module")
def sample() -> pd.DataFrame:
    return pd.read_parquet(TRADING / "sample.parquet").drop(columns="direction")


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_both_answer_good_rows_as_the_model_does(mended: Any, unchecked: Any, sample: pd.DataFrame) -> None:
    model = pickle.loads((TRADING / "model.pkl").read_bytes())
    right = model.predict_proba(sample)
    rows = sample.head(5).to_dict("records")
    for deployment in (mended, unchecked):
        assert np.array_equal(deployment.predict(sample), right)
        assert np.array_equal(deployment.batch_predict(rows), right[:5])
        assert np.array_equal(deployment.predict_single(rows[2]), right[2])
    assert np.array_equal(mended.predict(sample[sample.columns[::-1]]), right)


BAD_TABLES: list[tuple[str, Callable[[pd.DataFrame], Any], type[Exception], str]] = [
    (
        "misspelt",
        lambda t: t.rename(columns={"range_1d": "rnge_1d"}),
        KeyError,
        r"range_1d \(is 'rnge_1d' meant",
    ),
    ("wrong names", lambda t: t.set_axis([f"x{i}" for i in range(10)], axis=1), KeyError, "missing features"),
    ("NaN", lambda t: t.assign(returns_5d=np.nan), ValueError, "'returns_5d' is NaN"),
    ("infinity", lambda t: t.assign(returns_5d=-np.inf), ValueError, "'returns_5d' is NaN or infinite"),
]
REFUSED_ONLY: list[tuple[str, Callable[[pd.DataFrame], Any], type[Exception], str]] = [
    ("missing", lambda t: t.drop(columns="momentum_10d"), KeyError, "missing features: momentum_10d"),
    ("extra", lambda t: t.assign(extra=1.0), KeyError, "unknown or repeated features: extra"),
    ("text", lambda t: t.assign(returns_1d="up"), TypeError, "'returns_1d' is"),
    ("dates", lambda t: t.assign(returns_1d=pd.Timestamp("2024-01-01")), TypeError, "datetime64"),
    ("truth", lambda t: t.assign(returns_1d=True), TypeError, "bool"),
    ("empty", lambda t: t.head(0), ValueError, "no rows"),
    ("array", lambda t: t.to_numpy(), TypeError, "not ndarray"),
]


@pytest.mark.parametrize(("what", "change", "error", "message"), BAD_TABLES + REFUSED_ONLY)
def test_the_mended_wrapper_names_each_breach(
    mended: Any, sample: pd.DataFrame, what: str, change: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        mended.predict(change(sample.head(3)))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
@pytest.mark.parametrize(("what", "change"), [case[:2] for case in BAD_TABLES])
def test_the_unchecked_wrapper_answers_it_all_the_same(
    unchecked: Any, sample: pd.DataFrame, what: str, change: Any
) -> None:
    assert np.isfinite(unchecked.predict(change(sample.head(3)))).all()


@pytest.mark.parametrize(
    ("value", "error"),
    [(None, ValueError), (float("nan"), ValueError), ("0.1", TypeError), (True, TypeError), (1j, TypeError)],
)
def test_the_mended_wrapper_checks_single_rows_and_batches(
    mended: Any, sample: pd.DataFrame, value: Any, error: type[Exception]
) -> None:
    row = sample.iloc[0].to_dict()
    for call in (mended.predict_single, lambda row: mended.batch_predict([row])):
        with pytest.raises(error, match="volatility_10d"):
            call({**row, "volatility_10d": value})
        with pytest.raises(KeyError, match="volatility_10d"):
            call({name: number for name, number in row.items() if name != "volatility_10d"})


def test_the_mended_wrapper_names_missing_and_damaged_files(tmp_path: Path) -> None:
    deployment = type(wrapper("serving"))()
    with pytest.raises(RuntimeError, match="call load_model first"):
        deployment.predict_single({})
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pkl"):
        deployment.load_model(str(tmp_path / "nowhere.pkl"))
    whole = (TRADING / "model.pkl").read_bytes()
    for name, content in (("cut", whole[: len(whole) // 2]), ("empty", b""), ("other", pickle.dumps([1]))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            deployment.load_model(str(tmp_path / name))


def test_the_mended_wrapper_tells_version_and_latency(sample: pd.DataFrame) -> None:
    deployment = wrapper("serving")
    row = sample.iloc[0].to_dict()
    assert deployment.latency_stats() == {"count": 0}
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: deployment.predict_single(row).tolist(), range(40)))
    assert answers == [answers[0]] * 40
    stats = deployment.latency_stats()
    assert stats["count"] == 40
    assert 0 < stats["p50_ms"] <= stats["p95_ms"] <= stats["p99_ms"] <= stats["max_ms"]
    metadata = deployment.metadata()
    assert metadata["version"].endswith(metadata["sha256"][:8])
    assert metadata["features"] == list(sample.columns)
