"""A sample's truth values with nulls, from training through the real command to the deployment."""

from __future__ import annotations

import pickle
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa

from tests.integration.command import judge, unhurried
from validator import Deployment


def test_true_is_answered_where_the_sample_held_it_among_nulls(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    vip = np.where(rng.random(900) < 0.1, None, rng.random(900) < 0.4)
    frame = pd.DataFrame({"visits": rng.integers(0, 30, 900), "vip": pd.array(vip, dtype="boolean")})
    answer = (frame["visits"] > 12) ^ frame["vip"].fillna(False).astype(bool)
    model = lgb.LGBMClassifier(n_estimators=8, num_leaves=6, n_jobs=1, verbosity=-1)
    model.fit(frame.astype("float64"), answer.astype(int))
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(model))
    frame.to_parquet(tmp_path / "s.parquet", index=False)
    unhurried(tmp_path)

    ran = judge("validate", "m.pkl", "--data", "s.parquet", cwd=tmp_path)

    assert ran.code == 0, ran.out + ran.err
    (check,) = (one for one in ran.result["checks"] if one["id"] == "smoke.forms")
    assert (check["status"], check["runtime"]) == ("pass", "deployment")
    for form in ("a pandas DataFrame", "an Arrow table", "a list of mappings", "JSON"):
        assert form in check["message"]
    (artifact,) = (tmp_path / "preflight/artifact/m").glob("v_*")
    served = Deployment.load(artifact)
    some = frame.head(100)
    wanted = served.predict(some.astype("float64").to_numpy()).probabilities
    for given in (some, some.astype(object), pa.Table.from_pandas(some)):
        assert np.array_equal(served.predict(given).probabilities, wanted)
