"""A check that everything after it needs: what goes wrong is its failure, in the words of whatever went wrong."""

from __future__ import annotations

import pytest

from validator.catalog import BY_ID
from validator.checks.check import CheckFailedError, needed, run_check
from validator.errors import ConversionError, SampleError, SettingsError, UsageError, WorkerError
from validator.gate.result_builder import ResultBuilder, Stages
from validator.results import ModelInfo
from validator.sandbox.handle import NO_HINT
from validator.sandbox.worker_pool import Raised


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ConversionError("no tree is left", hint="train again"), "no tree is left"),
        (WorkerError("the worker died", hint="give it memory"), "the worker died"),
        (Raised("ValueError", ("ValueError",), "bad header", "save it again"), "ValueError: bad header"),
        (Raised("ModelError", ("ModelError",), "an empty file", "save it again"), "an empty file"),
    ],
)
def test_what_goes_wrong_fails_the_check_and_is_its_cause(error, message):
    with pytest.raises(CheckFailedError) as caught, needed("load.model", "native"):
        raise error
    check = caught.value.check
    assert (check.id, check.runtime, check.status) == ("load.model", "native", "fail")
    assert (check.message, check.hint) == (message, error.hint)
    assert caught.value.message == f"{BY_ID['load.model'].title}: {message}"
    assert caught.value.hint == error.hint
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("kind", [UsageError, SettingsError, SampleError])
def test_mistakes_of_whoever_runs_the_command_stay_theirs(kind):
    with pytest.raises(kind), needed("load.model", "native"):
        raise kind("no such column", hint="check the sample")


def test_the_check_that_was_needed_first_is_the_one_that_failed():
    with pytest.raises(CheckFailedError) as caught, needed("convert.onnx"), needed("load.safety"):
        raise ConversionError("refused", hint="save it again")
    assert caught.value.check.id == "load.safety"


def test_a_record_holds_it_once_and_goes_on():
    model = ModelInfo(path="model.pkl", name="model", format="pickle", sha256="0" * 64, size_bytes=1)
    shown: list[str] = []
    run = ResultBuilder(model=model, stage=Stages(progress=shown.append))
    with run.recording(), run.stage("convert"), needed("convert.onnx"):
        raise ConversionError("no tree is left", hint="train again")
    assert [check.id for check in run.checks] == ["convert.onnx"]
    assert shown == list(run.stage.seconds) == ["convert"]


@pytest.mark.parametrize(
    "id", ["smoke.latency", "smoke.threads", "smoke.repeatable", "smoke.rowwise", "errors.nan"]
)
def test_an_error_instead_of_an_answer_is_not_blamed_on_speed_threads_or_state(id):
    def stumbles():
        raise Raised("KeyError", ("KeyError",), "'income'", NO_HINT)

    check = run_check(id, "wrapper", stumbles)
    assert (check.status, check.message) == ("fail", "KeyError: 'income'")
    assert "this error came instead of an answer" in check.hint
    assert run_check("smoke.batch", "wrapper", stumbles).hint == BY_ID["smoke.batch"].hint
