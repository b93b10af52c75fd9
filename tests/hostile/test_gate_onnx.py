"""Hostile ONNX files through the real command, as the model itself and as `--onnx` beside an honest pickle."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from gate_onnx import HARMFUL, SHOUT, UNLIKE, damaged, redrawn
from gate_pickles import honest_model
from test_gate_attacks import _QUICK, Ran, Scene, scene

__all__ = ["scene"]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Landlock and seccomp")

WAYS = ("alone", "beside")
#: The rest takes longer or says nothing new; all of them run in `make test-long`.
_SOON = (("hoard", "alone"), ("outside data", "alone"), ("feature out of range", "beside"))


def _cases(names: Any, ways: tuple[str, ...] = WAYS) -> list[Any]:
    return [
        (name, way) if (name, way) in _SOON else pytest.param(name, way, marks=pytest.mark.long)
        for name in names
        for way in ways
    ]


def judged(scene: Scene, data: bytes, way: str) -> Ran:
    (scene.workspace / "given.onnx").write_bytes(data)
    model = ["given.onnx"]
    if way == "beside":
        (scene.workspace / "model.pkl").write_bytes(pickle.dumps(honest_model()))
        model = ["model.pkl", "--onnx", "given.onnx"]
    ran = scene.run("validate", *model, "--data", "sample.csv", *_QUICK, "--worker-timeout-s", "5")
    assert "Traceback" not in ran.out + ran.err
    assert "internal error" not in ran.err
    return ran


@pytest.mark.parametrize(("name", "way"), _cases(HARMFUL))
def test_harm_is_a_failed_check_with_its_cause(scene: Scene, name: str, way: str) -> None:
    make, words = HARMFUL[name]
    ran = judged(scene, make(), way)
    assert ran.code == 1, ran.err
    if not ran.is_judged:  # it is no model at all
        assert words in ran.err
        assert "hint:" in ran.err
        return
    assert ran.result["verdict"] == "fail"
    assert any(words in message for message in ran.failing().values()), ran.failing()


@pytest.mark.long
@pytest.mark.parametrize("name", UNLIKE)
def test_another_model_is_seen_to_be_another(scene: Scene, name: str) -> None:
    make, words = UNLIKE[name]
    ran = judged(scene, make(), "beside")
    assert ran.code == 1, ran.err
    assert any(words in message for message in ran.failing().values()), ran.failing()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_names_in_the_file_cannot_speak_to_the_runner(scene: Scene, way: str) -> None:
    ran = judged(scene, UNLIKE["shouting"][0](), way)
    for line in (ran.out + ran.err).splitlines():
        assert not line.lstrip().startswith(SHOUT)
        assert "\x1b[2J" not in line
    if (page := ran.folder / "report.html").exists():
        assert "<script>alert" not in page.read_text()


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("make", [damaged, redrawn])
@pytest.mark.parametrize("seed", range(6))
def test_mutants_are_named_or_harmless(
    scene: Scene, seed: int, make: Callable[[int], bytes], way: str
) -> None:
    ran = judged(scene, make(seed), way)
    assert ran.code in (0, 1, 2), ran.err
    if not ran.is_judged:
        assert ran.code
        assert "hint:" in ran.err
    elif ran.code:
        assert ran.failing()
        assert all(ran.failing().values())
    elif way == "beside":  # the proof saw no difference, so there is none
        assert ran.check("parity.proof")["status"] == "pass"
