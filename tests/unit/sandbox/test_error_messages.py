"""What is told of an error that was raised in a worker."""

from __future__ import annotations

import locale
import zlib

import numpy as np
import pytest
import xgboost

from validator.sandbox.inside.child import describe_error


def test_a_librarys_own_stack_frames_are_left_out() -> None:
    with pytest.raises(xgboost.core.XGBoostError) as raised:
        xgboost.Booster(model_file=bytearray(b'{"learner":'))
    assert "Stack trace" in str(raised.value)
    told = describe_error(raised.value)["message"]
    assert told
    assert "Stack trace" not in told
    assert "[bt]" not in told


def test_all_else_of_a_message_stays() -> None:
    assert describe_error(ValueError("first\nsecond"))["message"] == "first\nsecond"
    assert describe_error(KeyError(np.str_("a")))["bases"][0] == "KeyError"
    assert [describe_error(kind("x"))["type"] for kind in (zlib.error, locale.Error, OSError)] == [
        "zlib.error", "locale.Error", "OSError"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "said", ["std::bad_alloc", "Unable to allocate 4.0 GiB for an array", "Failed to allocate memory"]
)
def test_a_library_that_was_given_no_memory_is_told_of_with_the_setting(said: str) -> None:
    assert "worker-memory-mb" in describe_error(RuntimeError(said))["hint"]
    assert describe_error(RuntimeError("a tree is broken"))["hint"] == ""
