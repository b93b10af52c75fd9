"""Damaged model files of every format through the real command: a parser's crash is a failed check with its cause."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from gate_pickles import honest_model, honest_rows
from test_gate_attacks import _QUICK, Scene, scene

__all__ = ["scene"]


def _answers() -> Any:
    rows = honest_rows()
    return (rows["a"] + rows["b"] > 0).astype(int)


def _lightgbm(path: Path) -> None:
    import lightgbm

    data = lightgbm.Dataset(honest_rows(), _answers())
    lightgbm.train({"objective": "binary", "verbosity": -1, "num_leaves": 5}, data, 3).save_model(path)


def _xgboost(path: Path) -> None:
    xgboost = pytest.importorskip("xgboost")
    data = xgboost.DMatrix(honest_rows(), _answers())
    xgboost.train({"objective": "binary:logistic", "max_depth": 2}, data, 3).save_model(path)


def _catboost(path: Path) -> None:
    catboost = pytest.importorskip("catboost")
    model = catboost.CatBoostClassifier(iterations=3, depth=2, verbose=0, allow_writing_files=False)
    model.fit(honest_rows(), _answers()).save_model(str(path))


def _joblib(path: Path) -> None:
    import joblib

    joblib.dump(honest_model(), path, compress=3)


def _skops(path: Path) -> None:
    pytest.importorskip("skops.io").dump(honest_model(), path)


FORMATS: dict[str, Callable[[Path], None]] = {
    "model.txt": _lightgbm,
    "model.json": _xgboost,
    "model.ubj": _xgboost,
    "model.cbm": _catboost,
    "model.joblib": _joblib,
    "model.skops": _skops,
}


_SOON = (("model.txt", 0), ("model.json", 1), ("model.joblib", 2))


def damaged(data: bytes, seed: int) -> bytes:
    """Cut short, or with some bytes changed or repeated: the head, by which the format is known, stays."""
    pick = random.Random(seed)
    if seed % 3 == 0:
        return data[: pick.randrange(len(data) // 2, len(data) - 1)]
    mutant = bytearray(data)
    for _ in range(pick.randrange(1, 12)):
        at = pick.randrange(min(64, len(data) // 2), len(mutant))
        if seed % 3 == 1:
            mutant[at] = pick.choice(b"0129-.,\x00\xff{[")
        else:
            mutant[at:at] = mutant[at : at + pick.randrange(1, 40)]
    return bytes(mutant)


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        (name, seed) if (name, seed) in _SOON else pytest.param(name, seed, marks=pytest.mark.long)
        for name in FORMATS
        for seed in range(9)
    ],
)
def test_damage_is_named_or_harmless(scene: Scene, name: str, seed: int) -> None:
    path = scene.workspace / name
    FORMATS[name](path)
    path.write_bytes(damaged(path.read_bytes(), seed))
    ran = scene.run("validate", name, "--data", "sample.csv", *_QUICK)
    assert "Traceback" not in ran.out + ran.err
    assert "internal error" not in ran.err
    assert ran.code in ((1, 2) if seed == 0 else (0, 1, 2)), ran.err
    if ran.code == 1 and (ran.folder / "result.json").exists():
        failing = ran.failing()
        assert failing
        assert all(message for message in failing.values())
    else:
        assert ran.code == 0 or "hint:" in ran.err
