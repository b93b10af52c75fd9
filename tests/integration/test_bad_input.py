"""Bad input gets one clear error and the right exit code, and leaves nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.integration.command import TRADING, judge, unhurried

MODEL = TRADING / "model.pkl"
SAMPLE = TRADING / "sample.parquet"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"


def complaint(found):
    """The error's two lines. Nothing else of note may be on standard error."""
    assert "Traceback" not in found.err + found.out
    lines = [line for line in found.err.splitlines() if not line.endswith(" ...")]
    assert len(lines) == 2, found.err
    assert lines[1].startswith("  hint: ")
    assert len(lines[1]) > 12
    return lines[0]


def empty_folder(folder: Path) -> bool:
    """Nothing but, at most, the index, which says that the run judged none of its models."""
    if not folder.exists():
        return True
    files = [path for path in folder.rglob("*") if path.is_file()]
    return files in ([], [folder / "index.json"]) and all(
        model["status"] == "unjudged"
        for path in files
        for model in json.loads(path.read_text(encoding="utf-8"))["models"]
    )


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (None, 2, "no model"),
        ("folder", 2, "folder"),
        (b"", 1, "empty"),
        (LFS, 1, "LFS"),
        (b"hello, I am a text file\n" * 10, 1, ""),
    ],
    ids=["missing", "directory", "empty", "lfs", "no model"],
)
def test_a_file_that_is_no_model(tmp_path, make, code, words):
    path = tmp_path / "model.pkl"
    if make == "folder":
        path.mkdir()
    elif make is not None:
        path.write_bytes(make)
    found = judge("validate", "model.pkl", "--data", SAMPLE, cwd=tmp_path)
    assert found.code == code
    assert words.lower() in complaint(found).lower()
    assert empty_folder(found.folder)


def mutated(change):
    """The trading sample after a change to its frame, as a file of choice."""

    def write(folder: Path) -> Path:
        table = change(pd.read_parquet(SAMPLE).head(300))
        path = folder / "sample.csv"
        table.to_csv(path, index=False)
        return path

    return write


def with_text(table):
    table["returns_5d"] = table["returns_5d"].astype(object)
    table.loc[17, "returns_5d"] = "n/a?"
    return table


SAMPLES = {
    "missing column": (mutated(lambda t: t.drop(columns="range_1d")), "range_1d"),
    "misspelt column": (mutated(lambda t: t.rename(columns={"range_1d": "rnage_1d"})), "rnage_1d"),
    "extra column": (mutated(lambda t: t.assign(customer=1)), "customer"),
    "text in a number": (mutated(with_text), "returns_5d"),
    "no rows": (mutated(lambda t: t.head(0)), "no rows"),
}


@pytest.mark.parametrize("case", SAMPLES)
def test_a_sample_that_does_not_fit(tmp_path, case):
    write, words = SAMPLES[case]
    found = judge("validate", MODEL, "--data", write(tmp_path), "--target", "direction", cwd=tmp_path)
    assert found.code == 2
    assert words in complaint(found)
    assert not (found.folder / "result.json").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sample.parquet", b"PAR1 but not really"),
        ("sample.parquet", SAMPLE.read_bytes()[:20_000]),
        ("sample.npz", b"PK\x03\x04 broken"),
        ("sample.xlsx", b"whatever"),
        ("sample.csv", b"a,a\n1,2\n"),
        ("sample.arrow", b"ARROW1\0\0"),
    ],
)
def test_a_sample_that_cannot_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    found = judge("validate", MODEL, "--data", name, "--target", "direction", cwd=tmp_path)
    assert found.code == 2
    assert name.split(".")[0] in complaint(found)


def test_reordered_columns_are_taken_by_name(tmp_path):
    table = pd.read_parquet(SAMPLE).head(300)
    table[table.columns[::-1]].to_parquet(tmp_path / "sample.parquet")
    unhurried(tmp_path)
    found = judge(
        "validate", MODEL, "--data", "sample.parquet", "--target", "direction",
        "--latency-budget-s", 0.5, "--boundary-rows", 200, cwd=tmp_path,
    )  # fmt: skip
    assert found.code == 0, found.out
    note = next(check for check in found.result["checks"] if check["id"] == "load.sample")
    assert note["status"] == "warn"
    assert "another order" in note["message"]


PICKLES = {
    "truncated": (MODEL.read_bytes()[:200_000], ""),
    "no model": (pickle.dumps({"model": [1, 2], "threshold": 0.5}), "dictionary"),
    "a class that is not there": (b"\x80\x04\x8c\x0enopackage_here\x8c\x05Model\x93)\x81.", "nopackage_here"),
}


@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_that_is_no_model_is_blocked_by_name(tmp_path, case):
    content, words = PICKLES[case]
    (tmp_path / "model.pkl").write_bytes(content)
    found = judge("validate", "model.pkl", "--data", SAMPLE, "--target", "direction", cwd=tmp_path)
    assert found.code == 1
    assert "Traceback" not in found.err + found.out
    assert found.result["verdict"] == "fail"
    assert words in found.result["reason"]
    assert any(name.startswith("load.") for name in found.failing())


def test_an_output_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "out").write_text("in the way")
    found = judge("validate", MODEL, "--data", SAMPLE, "--out", "out", cwd=tmp_path)
    assert found.code == 2
    assert "out" in complaint(found)
    assert (tmp_path / "out").read_text() == "in the way"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max-latency-ms", "soon"], "--max-latency-ms"),
        (["--no-such-flag"], "--no-such-flag"),
        (["--target", "nowhere"], "nowhere"),
        (["--quality", "auc"], "--quality"),
    ],
)
def test_wrong_flags_are_named(tmp_path, flags, words):
    found = judge("validate", MODEL, "--data", SAMPLE, *flags, cwd=tmp_path)
    assert found.code == 2
    assert words in complaint(found)


def test_a_wrong_key_gets_the_nearest_right_one(tmp_path):
    (tmp_path / "preflight.toml").write_text("max_latncy_ms = 3\n")
    found = judge("validate", MODEL, "--data", SAMPLE, cwd=tmp_path)
    assert found.code == 2
    assert "max_latncy_ms" in complaint(found)
    assert "max_latency_ms" in found.err


def test_a_wrong_flag_gets_the_nearest_right_one(tmp_path):
    found = judge("validate", MODEL, "--max-latncy-ms=3", cwd=tmp_path)
    assert found.code == 2
    assert "--max-latncy-ms" in complaint(found)
    assert "did you mean --max-latency-ms?" in found.err


def test_no_model_and_no_command(tmp_path):
    assert judge("validate", cwd=tmp_path).code == 2
    bare = judge(cwd=tmp_path)
    assert bare.code == 2
    assert "validate" in bare.out


STAGES = [
    ("sample", signal.SIGINT),
    ("load native", signal.SIGTERM),
    ("smoke", signal.SIGINT),
    pytest.param("latency", signal.SIGTERM, marks=pytest.mark.long),
]


@pytest.mark.parametrize(("stage", "sent"), STAGES)
def test_an_interrupt_leaves_no_worker_and_nothing_half_written(tmp_path, stage, sent):
    """Ctrl-C goes to the whole foreground group, as a terminal sends it; SIGTERM to the command alone."""
    shutil.copy(MODEL, tmp_path / "model.pkl")
    command = [sys.executable, "-m", "validator.cli", "validate", "model.pkl"]
    process = subprocess.Popen(
        [*command, f"--data={SAMPLE}", "--target=direction"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        start_new_session=True,
        # A shell starts what it puts into the background with Ctrl-C ignored, and so may whoever runs these tests.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for line in process.stderr:
        if stage in line:
            break
    workers = when_there_are_children(process.pid)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    assert process.wait(timeout=60) == 130
    said = [line for line in process.stderr.read().splitlines() if not line.endswith(" ...")]
    process.stderr.close()
    assert said == ["model-preflight: interrupted; no verdict"]
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    assert not list(tmp_path.glob("preflight-*"))
    assert empty_folder(tmp_path / "preflight")


def when_there_are_children(pid: int) -> list[int]:
    """The descendants of a process, as soon as there is a worker below its zygotes: trunk, tools, serving."""
    for _ in range(1_200):
        found = children_of(pid)
        if len(found) >= 4:
            return found
        time.sleep(0.05)
    raise AssertionError(f"no worker came up within a minute: {found}")


def children_of(pid: int) -> list[int]:
    """All descendants of a process, as far as they are still there."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *children_of(int(child))]
    return found


def test_numbers_in_an_npz_sample_are_taken_by_position_only_without_names(tmp_path):
    table = pd.read_parquet(SAMPLE).head(200)
    np.savez(
        tmp_path / "sample.npz", X=table.drop(columns="direction").to_numpy(), y=table["direction"].to_numpy()
    )
    found = judge("validate", MODEL, "--data", "sample.npz", "--target", "y", cwd=tmp_path)
    assert found.code == 2
    assert "returns_1d" in complaint(found)
