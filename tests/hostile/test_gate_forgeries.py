"""Models whose code lies for them, through the real command: a worker is believed about its own predictions alone.

The code runs because `--trust-pickle` or `--allow` lets it. It patches whatever it likes in its own process and
writes what it likes to its channel; a model that is too slow, wrong or broken fails all the same, in
a check that says so.
"""

from __future__ import annotations

import sys

import pytest
from gate_attempts import ATTEMPTS
from gate_pickles import RAN
from test_gate_attacks import _QUICK, Scene, scene

__all__ = ["scene"]
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Landlock and seccomp")

#: Every comparison and every clock in the process is made to say what suits the model.
LIES = """
import time, numpy as np
model = honest()
begun, real = time.perf_counter_ns(), time.perf_counter_ns
slept = time.sleep
for module in [time, *(m for n, m in list(sys.modules.items()) if n.startswith("validator."))]:
    for clock in ("perf_counter_ns", "thread_time_ns"):
        if hasattr(module, clock):
            setattr(module, clock, lambda: begun + (real() - begun) // 100)
np.array_equal = np.allclose = lambda *_, **__: True
try:
    import onnxruntime
    onnxruntime.InferenceSession = None
except ImportError:
    pass
answer, label = model.predict_proba, model.predict
"""


@pytest.mark.long
def test_a_slow_model_cannot_hide_behind_a_clock_of_its_own(scene: Scene) -> None:
    ran = scene.validate(
        LIES + "model.predict_proba = lambda rows, **_: (slept(0.04), answer(rows))[1]",
        "--max-latency-ms",
        "20",
    )
    failing = ran.failing()
    assert ran.code == 1, ran.out
    assert "less time than" in failing["latency.single/native"], failing
    assert "latency.single/onnx" not in failing
    assert ran.result["verdict"] == "fail"


@pytest.mark.long
def test_a_clock_that_stands_still_is_named_within_little_memory(scene: Scene) -> None:
    """The memory must do for the threads of the suites: one that cannot start would keep the others waiting."""
    ran = scene.validate(
        LIES.replace("lambda: begun + (real() - begun) // 100", "lambda: begun"), "--worker-memory-mb", "1024"
    )
    failing = ran.failing()
    assert ran.code == 1, ran.out
    assert "less time than" in failing["latency.single/native"], failing
    assert not any("threads" in place for place in failing), failing


@pytest.mark.long
def test_wrong_answers_are_seen_whatever_the_worker_s_numpy_says(scene: Scene) -> None:
    ran = scene.validate(LIES + "model.predict_proba = lambda rows, **_: np.full_like(answer(rows), 0.5)")
    failing = ran.failing()
    assert ran.code == 1, ran.out
    assert {"parity.sample", "parity.boundary"} <= set(failing), failing


def test_broken_trees_break_in_the_process_that_never_met_the_pickle(scene: Scene) -> None:
    """Native and export agree on values that are no probabilities, and the native side denies it."""
    ran = scene.validate(
        LIES
        + """
model.tree_.value[:, 0, :] = [9.0, -8.0]
model.predict_proba = lambda rows, **_: np.full((len(rows), 2), 0.5)
"""
    )
    failing = ran.failing()
    assert ran.code == 1, ran.out
    assert {"smoke.range/onnx", "convert.onnx"} & set(failing), failing


def test_a_forged_answer_to_the_question_before_it_is_asked(scene: Scene) -> None:
    """Facts that are no facts, sent as the answer to `load`, and a flood of answers for whatever comes next."""
    ran = scene.validate(
        """
from validator.sandbox import wire
wire.send(fd, {"result": {"library": ["sklearn"], "model_class": {}, "n_features": -1}, "seconds": 0.0})
for _ in range(100):
    wire.send(fd, {"result": {"outputs": ["label"]}, "seconds": -1e300})
import time; time.sleep(600)
""",
        "--worker-timeout-s",
        "60",
    )
    ran.ends("load.model/native", "malformed answer")


def test_text_of_the_model_s_cannot_speak_to_the_runner(scene: Scene) -> None:
    ran = scene.validate("tell(world['command'] + '\\x1b[2J<script>alert(1)</script>[x](javascript:y)')")
    ran.ends("load.model/native", RAN)
    for line in (ran.out + ran.err).splitlines():
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "\x1b[2J" not in line
    assert "<script>" not in (ran.folder / "report.html").read_text()


def test_an_allowed_package_of_one_s_own_is_locked_in_as_well(scene: Scene) -> None:
    package = scene.workspace / "ownpackage"
    package.mkdir()
    world = {**scene.world(), "supervisor": "1"}
    head = f"import os, sys\nworld = {world!r}\nfd = 3\n"
    (package / "__init__.py").write_text(
        head + ATTEMPTS + f"\nraise RuntimeError('{RAN}: ' + repr([got, len(refused)]))\n"
    )
    (scene.workspace / "model.pkl").write_bytes(b"\x80\x04\x8c\x0aownpackage\x8c\x05Model\x93)\x81.")
    ran = scene.run("validate", "model.pkl", "--data", "sample.csv", "--allow", "ownpackage.*", *_QUICK)
    ran.ends("load.model/native", RAN, "[{}, ")


def test_an_allowed_name_cannot_open_a_folder_through_a_link(scene: Scene) -> None:
    (scene.workspace / "linked").symlink_to("/")
    (scene.workspace / "model.pkl").write_bytes(b"\x80\x04\x8c\x06linked\x8c\x05Model\x93)\x81.")
    ran = scene.run("validate", "model.pkl", "--data", "sample.csv", "--allow", "linked.*", *_QUICK)
    assert ran.code == 2
    assert "symbolic link" in ran.err
    assert not (ran.folder / "result.json").exists()
