"""Trains the trading example: next-day direction of the S&P 500, 1999-2018, from ten features of daily prices.

The prices are the real series that the `arch` package carries (`arch.data.sp500`, source: Yahoo Finance).
Writes model.pkl (a LightGBM classifier) and sample.parquet (the last years, which training did not see).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from arch.data import sp500

HERE = Path(__file__).parent
FEATURES = [
    "returns_1d",
    "returns_5d",
    "volatility_10d",
    "volatility_30d",
    "momentum_10d",
    "momentum_30d",
    "volume_ratio_10d",
    "volume_change_1d",
    "range_1d",
    "range_10d",
]
SPLIT = "2015-01-01"


def make_features(prices: pd.DataFrame) -> pd.DataFrame:
    """Ten features a day, each from that day and earlier ones only, and the direction of the day after."""
    close, volume = prices["Close"], prices["Volume"]
    returns = close.pct_change()
    spread = (prices["High"] - prices["Low"]) / close
    table = pd.DataFrame(
        {
            "returns_1d": returns,
            "returns_5d": close.pct_change(5),
            "volatility_10d": returns.rolling(10).std(),
            "volatility_30d": returns.rolling(30).std(),
            "momentum_10d": close / close.rolling(10).mean() - 1,
            "momentum_30d": close / close.rolling(30).mean() - 1,
            "volume_ratio_10d": volume / volume.rolling(10).mean(),
            "volume_change_1d": volume.pct_change(),
            "range_1d": spread,
            "range_10d": spread.rolling(10).mean(),
        }
    )
    table["direction"] = (close.shift(-1) > close).astype("int64")
    return table.iloc[:-1].dropna()


def main() -> None:
    table = make_features(sp500.load())
    past, recent = table[table.index < SPLIT], table[table.index >= SPLIT]
    model = lgb.LGBMClassifier(
        n_estimators=200,
        num_leaves=15,
        learning_rate=0.03,
        min_child_samples=40,
        subsample=0.8,
        subsample_freq=1,
        random_state=7,
        n_jobs=1,
        verbosity=-1,
    )
    model.fit(past[FEATURES], past["direction"])
    (HERE / "model.pkl").write_bytes(pickle.dumps(model, protocol=5))
    recent.reset_index(drop=True).to_parquet(HERE / "sample.parquet", index=False)
    accuracy = float(np.mean(model.predict(recent[FEATURES]) == recent["direction"]))
    print(f"trained on {len(past)} days; right on {accuracy:.1%} of {len(recent)} later days")


if __name__ == "__main__":
    main()
