"""Interpreters: found by version, asked who they are, and refused with a remedy where no worker could run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from validator.environments import interpreter
from validator.errors import UsageError

BASE = getattr(sys, "_base_executable", sys.executable)


@pytest.fixture
def make_python(tmp_path):
    """Makes programs that answer as a Python of that version would."""

    def make(
        name: str, version: tuple[int, ...] = (3, 9, 7), implementation: str = "cpython", said: str = ""
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        answer = said or json.dumps([str(path), version, implementation])
        path.write_text(f"#!/bin/sh\necho '{answer}'\n")
        path.chmod(0o755)
        return path

    return make


def test_a_path_is_asked_who_it_is():
    found = interpreter.examine(BASE)
    assert found.version == sys.version_info[:3]
    assert found.foreign


def test_a_virtual_environment_names_its_own_files(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(BASE)
    (tmp_path / "pyvenv.cfg").write_text(f"home = {Path(BASE).parent}\n")
    (tmp_path / "lib").mkdir()
    found = interpreter.choose(str(tmp_path / "bin" / "python"), {})
    assert set(found.readable) == {str(tmp_path / "pyvenv.cfg"), str(tmp_path / "lib")}


def test_our_own_interpreter_is_not_foreign():
    assert not interpreter.choose(sys.executable, {}).foreign


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ({"version": (3, 8, 18)}, "is Python 3.8.18, and models can be judged under 3.9 or later only"),
        ({"version": (2, 7, 18)}, "is Python 2.7.18"),
        ({"implementation": "pypy"}, "is pypy, not CPython"),
        ({"said": "hello"}, "is no Python interpreter of version 3.9 or later"),
        ({"said": "[1, 2, 3]"}, "is no Python interpreter"),
    ],
)
def test_what_cannot_serve_is_refused_with_a_remedy(make_python, program, why):
    path = make_python("python", **program)
    with pytest.raises(UsageError, match=why) as caught:
        interpreter.examine(str(path))
    assert caught.value.hint


def test_missing_programs_folders_and_plain_files_are_refused(tmp_path):
    plain = tmp_path / "notes"
    plain.write_text("no program")
    for path, why in (
        ("/absent/python", "No such file"),
        (tmp_path, "is a folder"),
        (plain, "Permission denied"),
    ):
        with pytest.raises(UsageError, match=why):
            interpreter.choose(str(path), {})


def test_a_version_is_found_in_the_usual_places_newest_first(make_python, tmp_path):
    for release in ("3.9.2", "3.9.18", "3.12.1"):
        numbers = tuple(map(int, release.split(".")))
        minor = ".".join(release.split(".")[:2])
        make_python(f"tools/Python/{release}/x64/bin/python{minor}", numbers)
    environ = {"RUNNER_TOOL_CACHE": str(tmp_path / "tools"), "HOME": str(tmp_path), "PATH": ""}
    assert interpreter.find("3.9", environ).release == "3.9.18"
    assert interpreter.find("3.9.2", environ).release == "3.9.2"
    assert interpreter.find("3.9.5", environ).release == "3.9.18", "the same minor version will do"
    assert interpreter.choose("python3.12", environ).release == "3.12.1"
    with pytest.raises(UsageError, match=r"Python 3\.10 is not on this machine"):
        interpreter.find("3.10", environ)


def test_a_program_on_the_path_is_taken_and_a_broken_one_passed_over(make_python, tmp_path):
    make_python("broken/python3.9", said="pyenv: no such version")
    make_python("good/python3.9", (3, 9, 1))
    path = os.pathsep.join(str(tmp_path / name) for name in ("broken", "good"))
    assert interpreter.find("3.9", {"PATH": path, "HOME": "/absent"}).release == "3.9.1"


def test_versions_that_are_too_old_are_refused_by_name():
    with pytest.raises(UsageError, match=r"Python 3\.8, and models can be judged under 3\.9"):
        interpreter.find("3.8", {})
