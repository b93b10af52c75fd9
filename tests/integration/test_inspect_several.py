"""`inspect` on several files, as pre-commit hands them over."""

from __future__ import annotations

import json
import pickle
import shutil

import pytest

from tests.integration.command import TRADING, judge


@pytest.fixture
def folder(tmp_path):
    shutil.copy(TRADING / "model.pkl", tmp_path / "good.pkl")
    (tmp_path / "evil.pkl").write_bytes(b"cposix\nsystem\n(S'echo'\ntR.")
    (tmp_path / "table.pkl").write_bytes(b"PAR1" + bytes(100))
    return tmp_path


def test_each_is_told_of_and_the_worst_decides(folder):
    ran = judge("inspect", "good.pkl", "evil.pkl", cwd=folder)
    assert ran.code == 1
    assert (
        ran.out.index("good.pkl: ") < ran.out.index("Nothing in it is refused") < ran.out.index("evil.pkl: ")
    )
    assert "REFUSED  posix.system" in ran.out
    assert judge("inspect", "good.pkl", "good.pkl", cwd=folder).code == 0


def test_what_is_no_model_is_named_and_hides_none_of_the_others(folder):
    ran = judge("inspect", "table.pkl", "evil.pkl", "absent.pkl", "good.pkl", "--json", cwd=folder)
    assert ran.code == 2
    table, evil, absent, good = json.loads(ran.out)
    assert "Parquet" in table["error"]
    assert "absent.pkl" in absent["error"]
    assert evil["format"] == good["format"] == "pickle"
    assert "a Parquet table" in ran.err
    assert isinstance(json.loads(judge("inspect", "good.pkl", "--json", cwd=folder).out), dict)


def test_a_pickle_is_looked_at_and_not_run(folder):
    class Trap:
        def __reduce__(self):
            return (open, (str(folder / "ran"), "w"))

    (folder / "trap.pkl").write_bytes(pickle.dumps(Trap()))
    assert judge("inspect", "trap.pkl", "good.pkl", cwd=folder).code == 1
    assert not (folder / "ran").exists()
