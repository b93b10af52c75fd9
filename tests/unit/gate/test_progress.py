"""What a run tells while it works: stages, then how far a long one is, no more often than anybody reads."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from validator.checks.load.sample import need_sample
from validator.cli.console import _plain, named
from validator.cli.init import render
from validator.errors import InternalError, UsageError
from validator.gate.result_builder import Stages
from validator.permissions import remedy, unforeseen
from validator.results import Contract, FeatureSpec
from validator.settings.table import Settings


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_long_stage_tells_rows_rate_and_time_left() -> None:
    clock, told = Clock(), []
    stage = Stages(progress=lambda *said: told.append(said), clock=clock)
    asked = []

    def total(done: int) -> int:
        asked.append(done)
        return 1_000_000

    with stage("sample parity"):
        for second in range(1, 6):
            clock.now = float(second)
            stage.rows(second * 10_000, total)
            stage.rows(second * 10_000 + 1, total)
    assert told[0] == ("sample parity",)
    assert told[1] == ("sample parity", "20,000 of 1,000,000 rows, 10,000 a second, 98 s left")
    assert len(told) == 5
    assert len(asked) == 4, "the file is not asked for each batch"
    assert stage.seconds == {"sample parity": 5.0}


def test_a_stage_that_will_be_long_says_so_and_what_shortens_it() -> None:
    told: list[tuple[str, ...]] = []
    stage = Stages(progress=lambda *said: told.append(said))
    with stage("boundary parity"):
        stage.foresee(20_000, 59.0)
        stage.foresee(20_000, 400.0)
    assert told[0] == ("boundary parity",)
    (said,) = told[1]
    assert "up to 20,000 rows, some 7 min" in said
    assert "boundary-rows" in said


def test_a_short_stage_tells_nothing_and_an_unknown_length_no_time_left() -> None:
    clock, told = Clock(), []
    stage = Stages(progress=lambda *said: told.append(said), clock=clock)
    with stage("profile"):
        clock.now = 1.0
        stage.rows(500, lambda _: None)
        clock.now = 600.0
        stage.rows(60_000, lambda _: None)
        clock.now = 660.0
        stage.rows(66_000, lambda _: 660_000)
        clock.now = 700.0
        stage.rows(660_000, lambda _: 660_000)
    assert told[1:] == [
        ("profile", "60,000 rows, 100 a second"),
        ("profile", "66,000 of 660,000 rows, 100 a second, 99 min left"),
    ]


def test_lines_that_are_not_overwritten_come_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    show = named(_plain(clock), "churn")
    show("scan")
    for second in range(1, 26):
        clock.now = float(second)
        show("sample parity", f"{second} rows")
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "model-preflight: churn: scan ...",
        "model-preflight: churn: sample parity ... 10 rows",
        "model-preflight: churn: sample parity ... 20 rows",
    ]


def test_a_missing_sample_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data sample was given"):
        need_sample(Settings())
    with pytest.raises(UsageError, match="cannot open the sample") as caught:
        need_sample(Settings(data=str(tmp_path / "none.csv")))
    assert caught.value.hint.startswith("check the path")
    (tmp_path / "some.csv").touch()
    assert need_sample(Settings(data=str(tmp_path / "some.csv"))) == str(tmp_path / "some.csv")


def test_a_lack_of_permission_names_the_owner_and_the_flag(tmp_path: Path) -> None:
    for number in (errno.EACCES, errno.EPERM):
        hint = remedy(OSError(number, "no"), tmp_path / "not" / "there", "choose another folder")
        assert hint.startswith("choose another folder; it belongs to user ")
        assert "--user $(id -u):$(id -g)" in hint
    assert remedy(OSError(errno.ENOSPC, "full"), tmp_path, "make room") == "make room"
    assert "read-only" in remedy(OSError(errno.EROFS, "no"), tmp_path, "choose another folder")


def test_what_nobody_met_is_a_lack_of_permission_or_a_mistake_of_ours() -> None:
    """A folder that may not be entered fails at whatever is first looked for in it."""
    told = unforeseen(PermissionError(errno.EACCES, "Permission denied", "/work/preflight.toml"))
    assert isinstance(told, UsageError)
    assert str(told).startswith("/work/preflight.toml: Permission denied")
    assert "--user $(id -u):$(id -g)" in str(told)
    for other in (OSError(errno.EACCES, "no file is named"), OSError(errno.EIO, "broken", "/work/x")):
        with pytest.raises(OSError, match=r"no file|broken") as raised:
            raise other
        assert isinstance(unforeseen(raised.value), InternalError)


def test_init_writes_whether_the_sample_is_infinite() -> None:
    contract = Contract(
        features=(FeatureSpec(name="a", dtype="float64"),), task="binary", allow_infinite=True
    )
    text = render(model="m", data="d", target=None, name="n", contract=contract, infinite="'a' (1 in 9 rows)")
    assert "# The sample holds infinite numbers: 'a' (1 in 9 rows)." in text
    assert "allow_infinite = true" in text
    plain = contract.model_copy(update={"allow_infinite": False})
    text = render(model="m", data="d", target=None, name="n", contract=plain)
    assert "allow_infinite = false" in text
    assert "infinite numbers" not in text
