"""Environments are built once, whole or not at all, and by an installer that is told nothing it need not know."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from validator.environments import build, interpreter, requirements
from validator.environments.installer import Installer, find_installer
from validator.errors import UsageError

BASE = getattr(sys, "_base_executable", sys.executable)
WANTED = requirements.read(["lightgbm==4.5.0"])


@dataclass
class Recorder:
    """An installer that makes the folder and nothing else; it fails when told to."""

    fails: bool = False
    built: list[Path] = field(default_factory=list)

    def install(self, folder, wanted, base, environ):
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to(base.path)
        self.built.append(folder)
        if self.fails:
            raise UsageError("no such package", hint="name another")


def test_the_second_time_nothing_is_built(tmp_path):
    recorder = Recorder()
    base = interpreter.examine(BASE)
    first = build.ensure(WANTED, base, tmp_path, recorder, {})
    again = build.ensure(WANTED, base, tmp_path, recorder, {})
    assert (first.fresh, again.fresh) == (True, False)
    assert len(recorder.built) == 1
    assert first.python.path == again.python.path
    assert [path.name for path in tmp_path.iterdir()] == [build.key(WANTED, base)]


def test_other_requirements_and_other_interpreters_are_other_environments():
    base = interpreter.examine(BASE)
    other = interpreter.Interpreter(path=base.path, version=(3, 9, 0))
    assert len({build.key(WANTED, base), build.key(WANTED, other),
                build.key(requirements.read(["lightgbm==4.4.0"]), base)}) == 3  # fmt: skip


def test_what_failed_leaves_nothing_behind(tmp_path):
    with pytest.raises(UsageError, match="no such package"):
        build.ensure(WANTED, interpreter.examine(BASE), tmp_path, Recorder(fails=True), {})
    assert list(tmp_path.iterdir()) == []


def test_an_environment_whose_python_is_gone_is_built_anew(tmp_path):
    base = interpreter.examine(BASE)
    build.ensure(WANTED, base, tmp_path, Recorder(), {})
    python = tmp_path / build.key(WANTED, base) / "bin" / "python"
    python.unlink()
    python.symlink_to("/absent/python")
    recorder = Recorder()
    assert build.ensure(WANTED, base, tmp_path, recorder, {}).fresh
    assert len(recorder.built) == 1


def test_of_two_runs_at_once_the_later_takes_what_the_first_built(tmp_path):
    base = interpreter.examine(BASE)

    class Slow(Recorder):
        def install(self, folder, wanted, base, environ):
            super().install(folder, wanted, base, environ)
            build.ensure(wanted, base, tmp_path, Recorder(), environ)

    assert build.ensure(WANTED, base, tmp_path, Slow(), {}).python.path.startswith(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [build.key(WANTED, base)]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be kept") as caught:
        build.ensure(WANTED, interpreter.examine(BASE), tmp_path / "file" / "cache", Recorder(), {})
    assert "environment_cache" in caught.value.hint


def test_where_environments_are_kept(tmp_path):
    assert build.cache_folder(tmp_path, {}) == tmp_path
    assert build.cache_folder(None, {"RUNNER_TOOL_CACHE": str(tmp_path)}) == tmp_path / "model-preflight"
    assert build.cache_folder(None, {"XDG_CACHE_HOME": "/c"}) == Path("/c/model-preflight/environments")
    assert build.cache_folder(None, {"HOME": "/h", "RUNNER_TOOL_CACHE": "/absent"}) == Path(
        "/h/.cache/model-preflight/environments"
    )


@pytest.fixture
def fake_uv(tmp_path):
    """A `uv` that writes down what it was given, then does as told."""

    def make(script: str) -> Installer:
        path = tmp_path / "uv"
        path.write_text(
            f'#!/bin/sh\nenv > {tmp_path}/environ\necho "$@" > {tmp_path}/arguments\n'
            f"cat requirements.txt constraints.txt > {tmp_path}/wanted\n{script}\n"
        )
        path.chmod(0o755)
        return Installer(uv=str(path))

    return make


def test_the_installer_gets_no_token_and_builds_nothing(fake_uv, tmp_path):
    environ = {
        "PATH": os.environ["PATH"], "HOME": "/h", "UV_INDEX_URL": "https://index.example/simple",
        "GITHUB_TOKEN": "t0ken", "INPUT_GITHUB-TOKEN": "t0ken", "PREFLIGHT_GITHUB_TOKEN": "t0ken",
        "ACTIONS_RUNTIME_TOKEN": "t0ken", "AWS_SECRET_ACCESS_KEY": "t0ken", "UV_NO_BUILD": "0",
    }  # fmt: skip
    fake_uv("exit 0").install(tmp_path / "venv", WANTED, interpreter.examine(BASE), environ)
    told = (tmp_path / "environ").read_text()
    assert "t0ken" not in told
    assert "UV_NO_BUILD" not in told
    assert "UV_INDEX_URL=https://index.example/simple" in told
    assert "--no-build" in (tmp_path / "arguments").read_text().split()
    assert (tmp_path / "wanted").read_text().split() == ["lightgbm==4.5.0", "numpy"]


@pytest.mark.parametrize(
    ("said", "shown", "remedy"),
    [
        ("Because x==1 has no usable wheels and you require x==1", "no usable wheels", "python = 3.9"),
        ("error sending request for url (https://u:secret@index.example/x/)", "//…@index.example", "reached"),
        ("Because x was not found in the package registry", "not found", "mend the requirements"),
    ],
)
def test_a_failure_tells_the_installers_last_words_and_a_remedy(fake_uv, tmp_path, said, shown, remedy):
    installer = fake_uv(f"echo 'Using Python at environment' >&2\necho '{said}' >&2\nexit 1")
    with pytest.raises(UsageError) as caught:
        installer.install(tmp_path / "venv", WANTED, interpreter.examine(BASE), dict(os.environ))
    assert shown in caught.value.message
    assert "secret" not in caught.value.message
    assert "Using Python" not in caught.value.message
    assert remedy in caught.value.hint


def test_without_the_converter_if_it_does_not_fit(fake_uv, tmp_path):
    script = f'echo "$@" >> {tmp_path}/calls\ncase "$*" in *helpers*) exit 1;; esac'
    wanted = requirements.read(["scikit-learn==1.5.0"])
    fake_uv(script).install(tmp_path / "venv", wanted, interpreter.examine(BASE), dict(os.environ))
    calls = (tmp_path / "calls").read_text().splitlines()
    assert ["helpers" in call for call in calls] == [True, False]


def test_uv_is_found_on_the_path_and_pip_serves_without(tmp_path, monkeypatch):
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    assert find_installer({"PATH": str(tmp_path)}).uv == str(tmp_path / "uv")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent" / "python"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_installer({"PATH": ""}).name == "pip"
