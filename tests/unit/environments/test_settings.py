"""Which settings of the environment a checked-in file may decide, and in which jobs."""

from __future__ import annotations

import pytest

from validator.cli.targets import targets
from validator.errors import SettingsError
from validator.settings.sources import resolve

FORK = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request"}
PRIVILEGED = ("pull_request_target", "workflow_run", "issue_comment", "issues")
LETS_CODE_RUN = {
    "python": "'3.9'",
    "requirements": "['scikit-learn==1.2.2']",
    "trust-pickle": "'I made it'",
    "isolation": "'reduced'",
    "allow": "['mine.*']",
    "wrapper": "'serve.py:Model'",
}


def _write(folder, text):
    (folder / "preflight.toml").write_text(text)


@pytest.mark.parametrize("event", PRIVILEGED)
@pytest.mark.parametrize("name", LETS_CODE_RUN)
def test_where_the_job_holds_the_bases_token_no_file_lets_code_run(tmp_path, name, event):
    _write(tmp_path, f"{name} = {LETS_CODE_RUN[name]}\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event}
    with pytest.raises(
        SettingsError, match=f"may not set '{name.replace('-', '_')}' in a {event} run"
    ) as caught:
        resolve({}, environ, tmp_path)
    assert "action input" in caught.value.hint
    _write(tmp_path, "[[models]]\nmodel = 'a.pkl'\nrequirements = ['numpy']\n")
    with pytest.raises(SettingsError, match="may not set 'requirements'"):
        resolve({}, environ, tmp_path)


@pytest.mark.parametrize("event", PRIVILEGED)
def test_an_earlier_name_is_no_way_around_that(tmp_path, event):
    _write(tmp_path, "deployment = 'serve.py:Model'\n")
    environ = {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": event}
    with pytest.raises(SettingsError, match="may not set 'wrapper'"):
        resolve({}, environ, tmp_path)


@pytest.mark.parametrize("name", LETS_CODE_RUN)
def test_in_a_pull_requests_own_job_a_file_may(tmp_path, name):
    _write(tmp_path, f"{name} = {LETS_CODE_RUN[name]}\n")
    assert getattr(resolve({}, FORK, tmp_path), name.replace("-", "_"))


def test_the_workflow_itself_may_in_any_job(tmp_path):
    environ = {
        "GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target",
        "INPUT_PYTHON": "/opt/train/bin/python", "INPUT_REQUIREMENTS": "scikit-learn>=1.0,<1.3\npandas[excel]",
    }  # fmt: skip
    found = resolve({}, environ, tmp_path)
    assert found.python == "/opt/train/bin/python"
    assert found.requirements == ("scikit-learn>=1.0,<1.3", "pandas[excel]")


def test_in_a_job_a_file_names_a_version_never_a_program(tmp_path):
    for python in ("./python", "/usr/bin/python3", "python3.9", "3.9/../x"):
        _write(tmp_path, f"python = '{python}'\n")
        for environ in (FORK, {"CI": "true"}):
            with pytest.raises(SettingsError, match="to a version only"):
                resolve({}, environ, tmp_path)
        assert resolve({}, {}, tmp_path).python == python


def test_no_file_says_where_built_environments_lie(tmp_path):
    _write(tmp_path, "environment-cache = 'mine'\n")
    with pytest.raises(SettingsError, match="may not set"):
        resolve({}, {}, tmp_path)


def test_a_comma_within_a_requirement_does_not_separate(tmp_path):
    environ = {"PREFLIGHT_REQUIREMENTS": "numpy>=1.20,<2, pandas[excel,aws]==2.0 ,scipy"}
    assert resolve({}, environ, tmp_path).requirements == (
        "numpy>=1.20,<2",
        "pandas[excel,aws]==2.0",
        "scipy",
    )
    assert resolve({"requirements": ["a.txt"]}, {}, tmp_path).requirements == ("a.txt",)


def test_each_of_several_models_may_have_its_own_and_its_paths_count_from_the_file(tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "old.txt").write_text("scikit-learn==1.2.2\n")
    _write(
        folder,
        "python = 'train/bin/python'\n[[models]]\nmodel = 'a.pkl'\nrequirements = ['old.txt', 'numpy<2']\n"
        "python = '3.9'\n[[models]]\nmodel = 'b.pkl'\n",
    )
    settings = resolve({"config": "models/preflight.toml"}, {}, tmp_path)
    first, second = targets(settings)
    assert (first.python, first.requirements) == ("3.9", ("models/old.txt", "numpy<2"))
    assert (second.python, second.requirements) == ("models/train/bin/python", ())
