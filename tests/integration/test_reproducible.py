"""The same commit and inputs give byte-identical artifacts, whatever the clock and the machine's mood."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.integration.command import TRADING, run, waived

EPOCH = "1764000000"
FAST = ("--latency-budget-s", 0.3, "--boundary-rows", 500, "--batch-sizes", "1,50")


def artifact_files(found):
    """Every file of the artifact, by its path below the output folder."""
    root = found.folder / "artifact"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("limit_ms", "code"), [(500, 0), (0.0001, 1)], ids=["passing", "failing with measured times"]
)
def test_two_runs_write_the_same_artifact(tmp_path, limit_ms, code):
    runs = []
    for name in ("first", "second"):
        here = tmp_path / name
        shutil.copytree(TRADING, here, ignore=shutil.ignore_patterns("__pycache__"))
        settings = here / "preflight.toml"
        settings.write_text(settings.read_text() + waived("latency.speedup"))
        runs.append(
            run(
                "validate",
                "model.pkl",
                *FAST,
                "--max-latency-ms",
                limit_ms,
                cwd=here,
                SOURCE_DATE_EPOCH=EPOCH,
            )
        )
        time.sleep(1.1)  # the clock's second moves on
    first, second = runs
    assert (first.code, second.code) == (code, code), first.out
    files = artifact_files(first)
    assert {path.rsplit("/", 1)[1] for path in files} >= {
        "model.onnx", "manifest.json", "contract.json", "report.md", "SHA256SUMS"
    }  # fmt: skip
    again = artifact_files(second)
    assert files.keys() == again.keys()
    assert [path for path in files if files[path] != again[path]] == []
    # Yet the times that were measured are told: beside the artifact, not in it.
    assert (first.folder / "report.md").read_text() != (second.folder / "report.md").read_text()


def test_without_a_fixed_time_the_commits_time_counts(tmp_path):
    """A repository is made with a commit of last year: its time is the version's."""
    from dulwich import porcelain

    for name in ("model.pkl", "sample.parquet", "preflight.toml"):
        shutil.copy(TRADING / name, tmp_path)
    repository = porcelain.init(tmp_path)
    porcelain.add(repository, [str(tmp_path / "model.pkl")])
    porcelain.commit(
        repository, message=b"model", author=b"a <a@b.c>", committer=b"a <a@b.c>",
        commit_timestamp=int(EPOCH) - 86_400, commit_timezone=0,
    )  # fmt: skip
    found = run("validate", "model.pkl", *FAST, cwd=tmp_path)
    assert found.result["version"].startswith("v_20251123T160000Z_")
    recorded = next(check for check in found.result["checks"] if check["id"] == "version.recorded")
    assert "from the commit" in recorded["message"]
