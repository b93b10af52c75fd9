"""`registry` as a user runs it; the gate's push and base version; deployments."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.peers.github_api_server import GitHub
from tests.unit.artifact.conftest import build_result
from tests.unit.registry.artifacts import artifact, version
from validator.artifact.signing import signature_of
from validator.baseline.base import Base, NoBase
from validator.baseline.find import find_base
from validator.cli.gate_push import check_push, push_passed
from validator.cli.main import main
from validator.cli.registry import place_of
from validator.errors import SettingsError, UsageError
from validator.registry.layout import LayoutRepository
from validator.results import Artifact
from validator.settings.sources import from_file, resolve

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `registry` in a folder of its own, without anybody's credentials; code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in (
        "GITHUB_ACTIONS",
        "GITHUB_TOKEN",
        "GH_TOKEN",
        "GITHUB_REPOSITORY",
        "MODEL_PREFLIGHT_REGISTRY",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_ACTOR", "anna")
    monkeypatch.setattr("validator.sandbox.lockdown.supervisor.protect_supervisor", lambda _names: None)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["registry", *map(str, arguments)])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


@pytest.fixture
def kept(command: Command, tmp_path: Path) -> Command:
    """With three versions in the folder of models."""
    for number in (1, 2, 3):
        assert command("push", artifact(tmp_path / "made", number))[0] == 0
    return command


def test_a_story(kept: Command, tmp_path: Path) -> None:
    assert "3 versions  champion none" in kept("list")[1]
    assert kept("promote", "churn", version(1), "--reason", "the first")[0] == 0
    assert kept("promote", "churn", version(2), "--url", "https://ci.example/1")[0] == 0
    code, out, _ = kept("rollback", "churn", "--reason", "worse")
    assert (code, out.splitlines()[0]) == (0, f"champion of registry/churn is back at {version(1)}")
    _, out, _ = kept("history", "churn")
    lines = out.splitlines()
    assert lines[0] == "champion of registry/churn"
    assert lines[1].endswith(f"{version(1)}  now  rollback")
    assert lines[2:4] == ["    by anna", "    worse"]
    assert "    https://ci.example/1" in lines
    assert all(len(line) <= 80 for line in lines)
    document = json.loads(kept("history", "churn", "--json")[1])
    assert [entry["outcome"] for entry in document["entries"]] == ["now", "was", "was"]
    code, out, _ = kept("pull", "churn", "-o", "got")
    assert code == 0
    assert (tmp_path / "got" / "manifest.json").is_file()
    assert kept("pull", "churn", "-o", "got")[1].startswith("was there already")
    assert json.loads(kept("show", "churn", "--json")[1])["version"] == version(1)
    listed = json.loads(kept("list", "churn", "--json")[1])
    assert listed["total"] == 3
    assert [one["aliases"] for one in listed["versions"]] == [[], [], ["champion"]]
    code, out, _ = kept("prune", "churn", "--keep", "1", "--keep-promoted", "0")
    assert "1 would be removed" in out
    assert kept("prune", "churn", "--keep", "1", "--keep-promoted", "0", "--yes", "--json")[0] == 0
    assert json.loads(kept("list", "churn", "--json")[1])["total"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("promote", "churn", "v_none"), 2, "has no v_none"),
        (("promote", "churn", version(1), "--to", "Bad"), 2, "is no alias"),
        (("promote", "churn:champion", version(1)), 2, "names one version"),
        (("promote", "churn", version(1), "--url", "javascript:x"), 2, "is no address"),
        (("rollback", "churn"), 2, "champion names nothing"),
        (("history", "nothing"), 2, "there is no registry in the folder"),
        (("show", "churn"), 2, "has no champion"),
        (("list", "https://ghcr.io/x"), 2, "is no reference"),
        (("list", "--registry", "oci://ghcr.io/x"), 2, "does not tell which models"),
        (("pull", f"churn:{version(1)}", "-o", "made"), 2, "is in the way"),
        (("prune", "churn", "--older-than", "soon"), 2, "is no age"),
        (("promote", "churn", version(1), "--verify-key", "no.pem"), 2, "--verify-key: no.pem"),
        (("pull", f"churn:{version(1)}", "-o", ".."), 2, "not one to make"),
        (("pull", f"churn:{version(1)}", "-o", "."), 2, "not one to make"),
        (("promote", "churn", "../../x"), 2, "has no ../../x"),
        (("push", "absent"), 2, "no artifact folder"),
        (("list", "churn", "--username", "anna"), 2, "belong together"),
    ],
)
def test_what_it_refuses(kept: Command, arguments: tuple[str, ...], code: int, said: str) -> None:
    ended, out, err = kept(*arguments)
    if said:
        assert said in err
        assert ended == code
    else:
        assert ended in (1, 2), err
    assert not out
    assert "Traceback" not in err


def test_a_history_with_a_gap_says_so(kept: Command) -> None:
    for number in (1, 2, 3):
        assert kept("promote", "churn", version(number))[0] == 0
    assert "gone" not in kept("history", "churn", "--limit", "1")[1]
    index = Path("registry/churn/index.json")
    document = json.loads(index.read_text())
    name = "org.opencontainers.image.ref.name"
    tags = sorted(one["annotations"][name] for one in document["manifests"])
    second = [tag for tag in tags if tag.startswith("champion.")][1]
    document["manifests"] = [one for one in document["manifests"] if one["annotations"][name] != second]
    index.write_text(json.dumps(document))
    code, out, _ = kept("history", "churn")
    assert code == 0
    assert f"A record is gone, or no longer what was written: {second}" in out
    assert json.loads(kept("history", "churn", "--json")[1])["missing"] == [second]


def test_a_pull_brings_the_signature_and_takes_no_other_ones(kept: Command, tmp_path: Path) -> None:
    folder = artifact(tmp_path / "made", 4)
    signature_of(folder).write_bytes(b"a signature")
    assert kept("push", folder)[0] == 0
    beside = tmp_path / "got.sig"
    beside.write_bytes(b"of something else")
    for number in (4, 3):
        code, _, told = kept("pull", f"churn:{version(number)}", "-o", "got")
        assert (code, "got.sig is in the way" in told) == (2, True)
        assert not (tmp_path / "got").exists()
    beside.unlink()
    assert kept("pull", f"churn:{version(4)}", "-o", "got")[1].startswith(f"pulled {version(4)}, signed")
    beside.unlink()
    assert kept("pull", f"churn:{version(4)}", "-o", "got")[0] == 0
    assert beside.read_bytes() == b"a signature"
    assert not list(tmp_path.glob(".pulling-*"))


def test_what_a_killed_pull_left_goes_with_a_later_one(kept: Command, tmp_path: Path) -> None:
    for name, age in (("old", 2 * 86400), ("new", 60)):
        left = tmp_path / f".pulling-{name}"
        (left / "models").mkdir(parents=True)
        os.utime(left, (time.time() - age,) * 2)
    assert kept("pull", f"churn:{version(1)}", "-o", "got")[0] == 0
    assert [one.name for one in tmp_path.glob(".pulling-*")] == [".pulling-new"]


def test_a_failed_or_strange_version_is_refused_with_1(kept: Command, tmp_path: Path) -> None:
    failed = artifact(tmp_path / "made", 8, verdict="fail", reason="worse\x1b[31m")
    code, _, err = kept("push", failed)
    assert code == 1
    assert "\x1b" not in err
    assert kept("push", artifact(tmp_path / "made", 9, name="other"), "churn")[0] == 1
    assert json.loads(kept("list", "churn", "--json")[1])["total"] == 3


@pytest.mark.parametrize(
    ("text", "base", "name"),
    [
        ("trading", "registry", "registry/trading"),
        ("trading:v", "oci://ghcr.io/acme/models/", "ghcr.io/acme/models/trading"),
        ("Trading", "ghcr.io/acme", "ghcr.io/acme/trading"),
        ("ghcr.io/acme/trading", "registry", "ghcr.io/acme/trading"),
        ("./trading", "oci://ghcr.io/acme", "trading"),
        ("trading", "./my.models", "my.models/trading"),
        ("trading", "oci:my.models", "my.models/trading"),
        ("trading", "localhost:5000", "localhost:5000/trading"),
        ("trading", "ghcr.io", "ghcr.io/trading"),
        ("trading", "here.d", "here.d/trading"),
        ("trading", "oci://[::1]:5000/a/b", "[::1]:5000/a/b/trading"),
        ("trading", "/abs/registry", "/abs/registry/trading"),
    ],
)
def test_names(text: str, base: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.d").mkdir()
    found = place_of(f"{text}@sha256:{0:064}", base)
    assert (found.name, found.digest) == (name, f"sha256:{0:064}")
    assert place_of(text, base).name == name
    assert (place_of(text, base).folder is None) == (
        base.startswith(("oci://", "ghcr", "localhost")) != text.startswith(("./", "ghcr"))
    )


@pytest.mark.parametrize("base", ["https://ghcr.io/acme", "s3://bucket", "oci://", "oci://UPPER CASE/x"])
def test_a_base_that_is_no_registry_makes_no_folder(kept: Command, tmp_path: Path, base: str) -> None:
    before = sorted(one.name for one in tmp_path.iterdir())
    for arguments in (("push", next((tmp_path / "made").rglob("v_*"))), ("list",), ("list", "churn")):
        code, _, told = kept(*arguments, "--registry", base)
        assert code == 2
        assert "is no reference" in told
    assert sorted(one.name for one in tmp_path.iterdir()) == before


def test_a_base_version_from_a_registry(tmp_path: Path) -> None:
    place = LayoutRepository(tmp_path / "churn")
    from validator.registry.promoting import Why, promote
    from validator.registry.pushing import push

    done = push(place, artifact(tmp_path / "made", 1))
    reference = f"oci:{tmp_path}/churn:champion"
    found = find_base(reference, "m.pkl", {})
    assert isinstance(found, NoBase)
    assert found.missing
    assert found.reason == f"No base version: {tmp_path}/churn has no champion yet."
    promote(place, version(1), Why(by="anna"))
    base = find_base(reference, "m.pkl", {})
    assert isinstance(base, Base)
    assert (base.name, base.version, base.format) == (reference, version(1), "onnx")
    assert base.origin == f"champion is {done.digest[:19]}…"
    assert isinstance(find_base(f"{tmp_path}/churn:champion", "m.pkl", {}), Base)
    with pytest.raises(UsageError, match="has no v_"):
        find_base(f"oci:{tmp_path}/churn:{version(7)}", "m.pkl", {})


@pytest.mark.parametrize(
    "wrong", ["oci://ghcr.io/Acme/x", "https://x/y", "oci://ghcr.io/acme/x:champion", ""]
)
def test_a_push_to_nowhere_is_found_before_anything_is_judged(wrong: str) -> None:
    with pytest.raises(SettingsError, match="push"):
        check_push(wrong)


def test_no_file_of_a_checkout_says_where_to_push(tmp_path: Path) -> None:
    (tmp_path / "preflight.toml").write_text('push = "oci://ghcr.io/acme/x"\n')
    with pytest.raises(SettingsError, match="may not set 'push'"):
        from_file(tmp_path / "preflight.toml")


@pytest.mark.parametrize("table", ["", "[[models]]\nmodel = 'm.pkl'\n"])
@pytest.mark.parametrize("scheme", ["oci://", "oci+http://", "oci+https://", "oci:5000/"])
def test_no_file_of_a_checkout_says_whom_a_job_talks_to(tmp_path: Path, table: str, scheme: str) -> None:
    (tmp_path / "preflight.toml").write_text(f'{table}baseline = "{scheme}evil.example/x:champion"\n')
    with pytest.raises(SettingsError, match="may not name a registry as 'baseline'"):
        resolve({}, {"GITHUB_ACTIONS": "true"}, tmp_path)
    assert resolve({}, {}, tmp_path) is not None
    (tmp_path / "preflight.toml").unlink()
    given = {"baseline": "oci://ghcr.io/acme/x:champion"}
    assert resolve(given, {"GITHUB_ACTIONS": "true"}, tmp_path).baseline == given["baseline"]


def pushed(
    tmp_path: Path, kind: str | None, *, fork: bool = False, numbers: tuple[int, ...] = (1,)
) -> tuple[bool, str, str]:
    results = []
    for number in numbers:
        folder = artifact(tmp_path / "made", number, name=f"model{number}")
        manifest = json.loads((folder / "manifest.json").read_text())
        result = build_result(artifact=Artifact(path=str(folder), files=()))
        results.append(result.model_copy(update={"model": result.model.model_copy(update=manifest["model"])}))
    target: Any = SimpleNamespace(kind=kind, fork=fork, event_name=kind) if kind else None
    log, outputs = io.StringIO(), tmp_path / "outputs"
    outputs.touch()
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(outputs)}
    done = push_passed(
        str(tmp_path / "reg"), results, several=len(numbers) > 1, target=target, environ=environ, log=log
    )
    assert len(done.by_artifact) in (0, len(numbers))
    return done.is_whole, log.getvalue(), outputs.read_text()


@pytest.mark.parametrize(
    "kind", ["pull_request", "pull_request_target", "workflow_run", "merge_group", "issue_comment"]
)
def test_nothing_is_pushed_that_is_not_merged(tmp_path: Path, kind: str) -> None:
    done, log, outputs = pushed(tmp_path, kind)
    assert done
    assert "not pushed" in log
    assert not outputs
    assert not (tmp_path / "reg").exists()


def test_nothing_is_pushed_from_a_fork(tmp_path: Path) -> None:
    assert "not pushed" in pushed(tmp_path, "push", fork=True)[1]
    assert not (tmp_path / "reg").exists()


@pytest.mark.parametrize("kind", [None, "push", "workflow_dispatch"])
def test_what_passed_is_pushed_and_told_as_outputs(tmp_path: Path, kind: str | None) -> None:
    done, log, outputs = pushed(tmp_path, kind)
    digest = LayoutRepository(tmp_path / "reg").find(version(1))
    assert done
    assert digest is not None
    assert digest in outputs
    assert f"{tmp_path}/reg@{digest}" in log


def test_several_models_have_a_repository_each(tmp_path: Path) -> None:
    assert pushed(tmp_path, "push", numbers=(1, 2))[0]
    assert LayoutRepository(tmp_path / "reg" / "model2").tags() == [version(2)]


def test_a_push_that_fails_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "reg").mkdir()
    (tmp_path / "reg" / "mine.txt").touch()
    done, _, outputs = pushed(tmp_path, "push")
    assert not done
    assert not outputs
    assert "is no OCI layout" in capsys.readouterr().err


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    with GitHub() as peer:
        yield peer


def in_github(monkeypatch: pytest.MonkeyPatch, github: GitHub, token: str = "ghs_t") -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", github.repo)
    monkeypatch.setenv("GITHUB_TOKEN", token)
    monkeypatch.setenv("GITHUB_API_URL", github.url)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_RUN_ID", "17")


def test_a_promotion_makes_a_deployment(
    kept: Command, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_github(monkeypatch, github)
    sha = github.head_sha(github.s["pulls"][0])
    monkeypatch.setenv("GITHUB_SHA", sha)
    code, _, err = kept("promote", "churn", version(1))
    assert code == 0
    assert f"deployment to production at {sha[:12]}" in err
    (made,) = github.deployments()
    assert (made["environment"], made["sha"], made["task"]) == ("production", sha, "deploy:model")
    assert made["description"] == f"churn now {version(1)}"
    status = github.deployment_statuses(made["id"])[0]
    assert status["state"] == "success"
    assert status["log_url"] == f"https://github.com/{github.repo}/actions/runs/17"
    assert kept("promote", "churn", version(1))[0] == 0, "already champion: no second one"
    assert kept("promote", "churn", version(2), "--no-deployment")[0] == 0
    assert len(github.deployments()) == 1
    assert kept("rollback", "churn", "--environment", "live")[0] == 0
    assert [one["environment"] for one in github.deployments()] == ["production", "live"]
    assert github.problems == []


def test_a_deployment_that_fails_changes_nothing(
    kept: Command, github: GitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_github(monkeypatch, github)
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    code, out, err = kept("promote", "churn", version(1))
    assert code == 0
    assert "is now" in out
    assert "no GitHub deployment was made" in err
    assert "the promotion stands" in err
    assert LayoutRepository(Path("registry/churn")).find("champion")
