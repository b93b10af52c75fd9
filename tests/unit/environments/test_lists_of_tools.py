"""Requirements as people's tools write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from validator.environments import requirements
from validator.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "pyproject.toml",
            '[project]\nname = "x"\ndependencies = ["scikit-learn==1.2.2", "numpy<2"]\n',
            {"scikit-learn==1.2.2", "numpy<2"},
        ),
        (
            "pylock.toml",
            'lock-version = "1.0"\n[[packages]]\nname = "lightgbm"\nversion = "4.3.0"\n'
            '[[packages]]\nname = "colorama"\nversion = "0.4"\nmarker = "sys_platform == \'win32\'"\n',
            {"lightgbm==4.3.0", 'colorama==0.4; sys_platform == "win32"'},
        ),
        (
            "Pipfile.lock",
            '{"default": {"xgboost": {"version": "==2.0.3", "hashes": ["sha256:00"]}}, "develop": {"pytest": {}}}',
            {"xgboost==2.0.3"},
        ),
        (
            "pylock.toml",
            'default-groups = ["default"]\n[[packages]]\nname = "numpy"\nversion = "1.26.4"\n'
            'marker = \'"default" in dependency_groups and python_version >= "3.9"\'\n'
            '[[packages]]\nname = "ruff"\nversion = "0.6"\nmarker = "\'dev\' in dependency_groups"\n',
            {
                'numpy==1.26.4; python_version >= "0" and python_version >= "3.9"',
                'ruff==0.6; python_version < "0"',
            },
        ),
        (
            "Pipfile.lock",
            '{"default": {"uvicorn": {"version": "==0.3", "extras": ["a"]}}}',
            {"uvicorn[a]==0.3"},
        ),
        (
            "conda.yml",
            "dependencies:\n  - xgboost 2.1.*\n  - pyarrow[version='>=14']\n  - numpy=1.26.*=py_0\n  - libgcc-ng\n",
            {"xgboost==2.1.*", "pyarrow>=14", "numpy==1.26.*"},
        ),
        (
            "environment.yml",
            "name: x\ndependencies:\n  - python=3.11\n  - scikit-learn=1.4\n  - conda-forge::numpy=1.26.4=py311h\n"
            "  - libgcc-ng\n  - py-xgboost==2.0.3\n  - pip:\n    - lightgbm==4.3.0\n    - numpy==1.26.3\n",
            {"scikit-learn==1.4.*", "xgboost==2.0.3", "lightgbm==4.3.0", "numpy==1.26.3"},
        ),
    ],
)
def test_names_and_versions_are_read(tmp_path: Path, name: str, text: str, expected: set[str]) -> None:
    path = tmp_path / name
    path.write_text(text)
    found = requirements.read([str(path)])
    assert expected <= set(found.lines)
    assert ("libgcc-ng" in found.source) == name.endswith(".yml")


@pytest.mark.parametrize(
    ("name", "text", "left_out"),
    [
        ("pylock.toml", '[[packages]]\nname = "mine"\nvcs = {}\n[[packages]]\nname = "np"\nversion = "2"\n', "mine"),
        ("Pipfile.lock", '{"default": {"mine": {"path": "."}, "numpy": {"version": "==2.0"}}}', "mine"),
        ("pyproject.toml", '[project]\ndependencies = ["numpy"]\n[dependency-groups]\ntrain = ["lightgbm"]\n',
         "group train"),
        ("pyproject.toml", '[project]\ndependencies = ["numpy"]\n[project.optional-dependencies]\nml = ["shap"]\n',
         "extra ml"),
    ],
)  # fmt: skip
def test_nothing_is_left_out_without_a_word(tmp_path: Path, name: str, text: str, left_out: str) -> None:
    (tmp_path / name).write_text(text)
    assert f"without its {left_out}" in requirements.read([str(tmp_path / name)]).source


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("requirements.txt", "numpy=1.26.4=py311h64a7726_0\n", "conda env export"),
        ("requirements.txt", "# platform: linux-64\n@EXPLICIT\n", "conda env export"),
        (
            "requirements.txt",
            "numpy @ file:///croot/numpy-1.26.4-cp311-linux_x86_64.whl\n",
            "pip list --format=freeze",
        ),
        ("pyproject.toml", '[project]\ndynamic = ["dependencies"]\n', "pip list --format=freeze"),
        ("pyproject.toml", '[dependency-groups]\ntrain = ["numpy"]\n', "uv export"),
        ("setup.py", "setup()\n", "pip list --format=freeze"),
    ],
)
def test_what_is_no_list_of_requirements_leads_to_one(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as caught:
        requirements.read([str(tmp_path / name)])
    assert said in str(caught.value.hint)


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "Pipfile", "pdm.lock"])
def test_others_are_named_with_the_command_that_writes_a_list(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("version = 1\n")
    with pytest.raises(UsageError) as caught:
        requirements.read([str(path)])
    assert "requirements.txt" in str(caught.value.hint)


def test_poetrys_own_form_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text('[tool.poetry.dependencies]\npython = "^3.11"\nscikit-learn = "^1.4"\n')
    with pytest.raises(UsageError, match="Poetry"):
        requirements.read([str(path)])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-16-le", "utf-16-be"])
def test_a_file_of_powershell_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("scikit-learn==1.4.0\n", encoding=encoding)
    assert "scikit-learn==1.4.0" in requirements.read([str(path)]).lines
